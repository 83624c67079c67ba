/**
 * Whether the host's processor keeps plain stores in the order of the program, and loads too, as x86 does (TSO). Drivers of x86 guests count
 * on it, and their barriers emit no instruction.
 *
 * A test that looks for reordering can only ever find some. But the sign of the NaN that an invalid operation makes tells the architecture:
 * set on x86 (SDM vol. 1, 4.8.3.7: the real indefinite QNaN), clear on ARM (the default NaN) and RISC-V (the canonical NaN). WebAssembly leaves the sign
 * to the processor, so this is the processor’s own word, in every browser.
 */
// oxfmt-ignore
const MODULE = Uint8Array.of(
  0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
  // Type 0: (f32) -> i32; function 0 has it, and is exported as "f".
  1, 6, 1, 0x60, 1, 0x7d, 1, 0x7f,
  3, 2, 1, 0,
  7, 5, 1, 1, 0x66, 0, 0,
  // local.get 0, local.get 0, f32.sub, i32.reinterpret_f32
  10, 10, 1, 8, 0, 0x20, 0, 0x20, 0, 0x93, 0xbc, 0x0b,
);

export function hasStoreOrder(): boolean {
  const { f } = new WebAssembly.Instance(new WebAssembly.Module(MODULE)).exports;
  // Infinity minus itself is an invalid operation.
  return (f as (value: number) => number)(Infinity) < 0;
}
