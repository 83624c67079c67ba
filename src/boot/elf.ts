/** ELF executables for x86 (System V ABI, "Object Files"): program headers and notes. */
import type { Result } from '../base/result.ts';
import { failure, success } from '../base/result.ts';
import { TWO_32 } from '../base/bits.ts';

export interface ElfSegment {
  readonly virtualAddress: number;
  readonly physicalAddress: number;
  readonly bytes: Uint8Array;
  readonly memoryBytes: number;
}

export interface ElfNote {
  readonly name: string;
  readonly type: number;
  readonly description: Uint8Array;
}

export interface ElfFile {
  readonly is64Bit: boolean;
  readonly entry: number;
  /** PT_LOAD. */
  readonly segments: readonly ElfSegment[];
  /** Of all PT_NOTE. */
  readonly notes: readonly ElfNote[];
}

const ELFCLASS32 = 1;
const ELFCLASS64 = 2;
const ELFDATA2LSB = 1;
const ET_EXEC = 2;
const ET_DYN = 3;
const EM_386 = 3;
const EM_X86_64 = 62;
const PT_LOAD = 1;
const PT_NOTE = 4;
/** Longer names than any that exist are damage. */
const MAX_NAME_BYTES = 256;

export function isElf(file: Uint8Array): boolean {
  return file.length >= 4 && file[0] === 0x7f && file[1] === 0x45 && file[2] === 0x4c && file[3] === 0x46;
}

/** The error is the second half of a sentence: "the kernel ...". */
export function parseElf(file: Uint8Array): Result<ElfFile> {
  if (!isElf(file)) return failure('is not an ELF file');
  const is64Bit = file[4] === ELFCLASS64;
  if (!is64Bit && file[4] !== ELFCLASS32) return failure('is an ELF file of an unknown class');
  if (file[5] !== ELFDATA2LSB) return failure('is an ELF file for a big-endian machine');
  const headerBytes = is64Bit ? 64 : 52;
  if (file.length < headerBytes) return failure('is truncated inside its ELF header');
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const word = (at: number): number =>
    is64Bit ? view.getUint32(at, true) + view.getUint32(at + 4, true) * TWO_32 : view.getUint32(at, true);

  const type = view.getUint16(16, true);
  if (type !== ET_EXEC && type !== ET_DYN) return failure('is an ELF file, but not an executable');
  const machine = view.getUint16(18, true);
  if (machine !== EM_386 && machine !== EM_X86_64)
    return failure(`is an ELF file for another processor (e_machine ${machine})`);
  const tableOffset = word(is64Bit ? 32 : 28);
  const entryBytes = view.getUint16(is64Bit ? 54 : 42, true);
  const count = view.getUint16(is64Bit ? 56 : 44, true);
  if (entryBytes < (is64Bit ? 56 : 32)) return failure('has ELF program headers of an impossible size');
  if (tableOffset + count * entryBytes > file.length)
    return failure('is truncated: its ELF program headers are missing');

  const segments: ElfSegment[] = [];
  const notes: ElfNote[] = [];
  for (let index = 0; index < count; index++) {
    const at = tableOffset + index * entryBytes;
    const kind = view.getUint32(at, true);
    if (kind !== PT_LOAD && kind !== PT_NOTE) continue;
    const offset = word(at + (is64Bit ? 8 : 4));
    const virtualAddress = word(at + (is64Bit ? 16 : 8));
    const physicalAddress = word(at + (is64Bit ? 24 : 12));
    const fileBytes = word(at + (is64Bit ? 32 : 16));
    const memoryBytes = word(at + (is64Bit ? 40 : 20));
    if (offset + fileBytes > file.length) {
      return failure(
        `is truncated: segment ${index} ends at byte ${offset + fileBytes}, the file has ${file.length}`,
      );
    }
    const bytes = file.subarray(offset, offset + fileBytes);
    if (kind === PT_NOTE) {
      notes.push(...parseNotes(bytes));
    } else {
      if (memoryBytes < fileBytes)
        return failure(`has an ELF segment ${index} that is larger in the file than in memory`);
      if (memoryBytes > 0) segments.push({ virtualAddress, physicalAddress, bytes, memoryBytes });
    }
  }
  if (segments.length === 0) return failure('is an ELF file with nothing to load');
  return success({ is64Bit, entry: word(24), segments, notes });
}

/** e_entry is a virtual address: where that byte is loaded. A kernel whose e_entry is in no segment means a physical one. */
export function physicalEntry({ entry, segments }: ElfFile): number {
  const segment = segments.find(
    ({ virtualAddress, memoryBytes }) => entry >= virtualAddress && entry < virtualAddress + memoryBytes,
  );
  return segment === undefined ? entry : entry - segment.virtualAddress + segment.physicalAddress;
}

/** Notes are 4-byte aligned in Linux's and Xen's files of either class. A damaged tail is ignored. */
function parseNotes(bytes: Uint8Array): ElfNote[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const notes: ElfNote[] = [];
  let at = 0;
  while (at + 12 <= bytes.length) {
    const nameBytes = view.getUint32(at, true);
    const descriptionBytes = view.getUint32(at + 4, true);
    const nameAt = at + 12;
    const descriptionAt = nameAt + Math.ceil(nameBytes / 4) * 4;
    if (descriptionAt + descriptionBytes > bytes.length || nameBytes > MAX_NAME_BYTES) return notes;
    const name = String.fromCharCode(...bytes.subarray(nameAt, nameAt + nameBytes)).replace(/\0+$/, '');
    const description = bytes.subarray(descriptionAt, descriptionAt + descriptionBytes);
    notes.push({ name, type: view.getUint32(at + 8, true), description });
    at = descriptionAt + Math.ceil(descriptionBytes / 4) * 4;
  }
  return notes;
}
