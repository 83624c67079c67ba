/** Code for hand-assembled guests (src/machine/pvh-kernel.ts), which talk to COM1 at 3F8h. */

/** mov dx, 3F8h; then for each character: mov al, c; out dx, al. */
export function print(text: string): number[] {
  return [0x66, 0xba, 0xf8, 0x03, ...[...Buffer.from(text, 'latin1')].flatMap((byte) => [0xb0, byte, 0xee])];
}

/** mov al, value; out F4h, al: isa-debug-exit. */
export function debugExit(value: number): number[] {
  return [0xb0, value, 0xe6, 0xf4];
}

/** mov dx, 604h; mov ax, 2000h; out dx, ax: ACPI S5 (SLP_TYP 0, SLP_EN). */
export const POWER_OFF = [0x66, 0xba, 0x04, 0x06, 0x66, 0xb8, 0x00, 0x20, 0x66, 0xef];

/** mov dx, CF9h; mov al, 6; out dx, al. */
export const RESET = [0x66, 0xba, 0xf9, 0x0c, 0xb0, 0x06, 0xee];

/** lidt [esp] with a limit of 0, then int3: nothing can be delivered. */
export const TRIPLE_FAULT = [
  0xbc, 0x00, 0x70, 0x00, 0x00, 0x6a, 0x00, 0x6a, 0x00, 0x0f, 0x01, 0x1c, 0x24, 0xcc,
];

/** jmp $ */
export const SPIN = [0xeb, 0xfe];

/** cli; hlt; jmp back to the hlt. */
export const HALT = [0xfa, 0xf4, 0xeb, 0xfd];

/** Echoes COM1: in al, LSR; test al, 1; jz; in al, RBR; out; repeat. */
export const ECHO = [
  0x66, 0xba, 0xfd, 0x03, // mov dx, 3FDh
  0xec, // in al, dx
  0xa8, 0x01, // test al, 1
  0x74, 0xfb, // jz to the in
  0x66, 0xba, 0xf8, 0x03, // mov dx, 3F8h
  0xec, // in al, dx
  0xee, // out dx, al
  0xeb, 0xef, // jmp to the start
]; // prettier-ignore
