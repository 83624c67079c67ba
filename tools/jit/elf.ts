/** The functions of an ELF file by its symbol table (System V ABI, chapter 4; ELF-64 object file format). */

export interface GuestFunction {
  readonly name: string;
  readonly address: number;
  readonly bytes: Uint8Array;
  readonly bits: 32 | 64;
}

const SHT_SYMTAB = 2;
const STT_FUNC = 2;
const CLASS_64 = 2;

interface Section {
  readonly type: number;
  readonly address: number;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
}

export function functionsIn(file: Uint8Array): GuestFunction[] {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.length < 64 || view.getUint32(0) !== 0x7f454c46) throw new Error('not an ELF file');
  const is64 = file[4] === CLASS_64;
  const word = (at: number): number => view.getUint32(at, true);
  const long = (at: number): number => (is64 ? Number(view.getBigUint64(at, true)) : word(at));
  const table = long(is64 ? 0x28 : 0x20);
  const entrySize = view.getUint16(is64 ? 0x3a : 0x2e, true);
  const count = view.getUint16(is64 ? 0x3c : 0x30, true);
  const sections = Array.from({ length: count }, (_, i): Section => {
    const at = table + i * entrySize;
    return is64
      ? {
          type: word(at + 4),
          address: long(at + 16),
          offset: long(at + 24),
          size: long(at + 32),
          link: word(at + 40),
        }
      : {
          type: word(at + 4),
          address: word(at + 12),
          offset: word(at + 16),
          size: word(at + 20),
          link: word(at + 24),
        };
  });
  const symbols = sections.find(({ type }) => type === SHT_SYMTAB);
  const names = sections[symbols?.link ?? -1];
  if (symbols === undefined || names === undefined) throw new Error('the ELF file has no symbols');
  const found: GuestFunction[] = [];
  const size = is64 ? 24 : 16;
  for (let at = symbols.offset; at < symbols.offset + symbols.size; at += size) {
    const info = file[at + (is64 ? 4 : 12)]!;
    if ((info & 15) !== STT_FUNC) continue;
    const section = sections[view.getUint16(at + (is64 ? 6 : 14), true)];
    const address = long(at + (is64 ? 8 : 4));
    const length = long(at + (is64 ? 16 : 8));
    if (section === undefined || length === 0) continue;
    const nameStart = names.offset + word(at);
    const name = new TextDecoder().decode(file.subarray(nameStart, file.indexOf(0, nameStart)));
    const start = section.offset + address - section.address;
    found.push({ name, address, bytes: file.subarray(start, start + length), bits: is64 ? 64 : 32 });
  }
  return found.toSorted((a, b) => a.address - b.address);
}
