/**
 * Hand-assembled 32-bit guests in an ELF file with a PVH note: enough of a kernel to test everything around it. They
 * start in protected mode with flat segments and no paging (PVH), and talk to COM1 at 3F8h.
 */
const LOAD = 0x100000;
const ELF_HEADER = 52;
const PROGRAM_HEADER = 32;
const NOTE_BYTES = 20;
const CODE = ELF_HEADER + 2 * PROGRAM_HEADER + NOTE_BYTES;
/** XEN_ELFNOTE_PHYS32_ENTRY. */
const NOTE_PHYS32_ENTRY = 18;

/** An ELF that is loaded at 1 MiB and entered at the first byte of `code`. */
export function pvhKernel(code: readonly number[]): Buffer {
  const file = Buffer.alloc(CODE + code.length);
  file.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  file.writeUInt16LE(2, 16); // ET_EXEC
  file.writeUInt16LE(3, 18); // EM_386
  file.writeUInt32LE(1, 20);
  file.writeUInt32LE(LOAD + CODE, 24);
  file.writeUInt32LE(ELF_HEADER, 28);
  file.writeUInt16LE(ELF_HEADER, 40);
  file.writeUInt16LE(PROGRAM_HEADER, 42);
  file.writeUInt16LE(2, 44);
  const note = ELF_HEADER + 2 * PROGRAM_HEADER;
  programHeader(file, ELF_HEADER, 1, 0, LOAD, file.length); // PT_LOAD
  programHeader(file, ELF_HEADER + PROGRAM_HEADER, 4, note, LOAD + note, NOTE_BYTES); // PT_NOTE
  file.writeUInt32LE(4, note);
  file.writeUInt32LE(4, note + 4);
  file.writeUInt32LE(NOTE_PHYS32_ENTRY, note + 8);
  file.write('Xen\0', note + 12, 'latin1');
  file.writeUInt32LE(LOAD + CODE, note + 16);
  file.set(code, CODE);
  return file;
}

function programHeader(
  file: Buffer,
  at: number,
  type: number,
  offset: number,
  address: number,
  bytes: number,
): void {
  file.writeUInt32LE(type, at);
  file.writeUInt32LE(offset, at + 4);
  file.writeUInt32LE(address, at + 8);
  file.writeUInt32LE(address, at + 12);
  file.writeUInt32LE(bytes, at + 16);
  file.writeUInt32LE(bytes, at + 20);
  file.writeUInt32LE(7, at + 24);
  file.writeUInt32LE(4, at + 28);
}

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
