/** For tests: the smallest kernel that the loader takes, an ELF file with a PVH note, around any 32-bit code. */

const LOAD = 0x100000;
const ELF_HEADER = 52;
const PROGRAM_HEADER = 32;
const NOTE = ELF_HEADER + 2 * PROGRAM_HEADER;
const NOTE_BYTES = 20;
const CODE = NOTE + NOTE_BYTES;
const ET_EXEC = 2;
const EM_386 = 3;
const PT_LOAD = 1;
const PT_NOTE = 4;
const XEN_ELFNOTE_PHYS32_ENTRY = 18;
const XEN = 0x6e6558;

/** Where `pvhKernel` is entered. */
export const PVH_ENTRY = LOAD + CODE;

/** Code for a kernel that nobody runs. */
export const HLT = 0xf4;

/** Loaded at 1 MiB and entered at the first byte of `code`, in protected mode with flat segments and no paging. */
export function pvhKernel(code: readonly number[]): Uint8Array<ArrayBuffer> {
  const file = new Uint8Array(CODE + code.length);
  const view = new DataView(file.buffer);
  const words = (at: number, values: readonly number[]): void => {
    for (const [index, value] of values.entries()) view.setUint32(at + index * 4, value, true);
  };
  const programHeader = (index: number, type: number, offset: number, bytes: number): void => {
    const address = LOAD + offset;
    words(ELF_HEADER + index * PROGRAM_HEADER, [type, offset, address, address, bytes, bytes, 7, 4]);
  };
  file.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  view.setUint16(16, ET_EXEC, true);
  view.setUint16(18, EM_386, true);
  words(20, [1, PVH_ENTRY, ELF_HEADER]);
  view.setUint16(40, ELF_HEADER, true);
  view.setUint16(42, PROGRAM_HEADER, true);
  view.setUint16(44, 2, true);
  programHeader(0, PT_LOAD, 0, file.length);
  programHeader(1, PT_NOTE, NOTE, NOTE_BYTES);
  words(NOTE, [4, 4, XEN_ELFNOTE_PHYS32_ENTRY, XEN, PVH_ENTRY]);
  file.set(code, CODE);
  return file;
}
