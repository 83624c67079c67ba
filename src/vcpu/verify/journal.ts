/** The journal of stores as TypeScript reads it (wasm/journal.ts writes it). */
import type { Views } from '../../base/views.ts';
import { RAM_BASE } from '../../layout/map.ts';

/** Entries of this part: host address, bytes, and where their contents lie. */
export interface Entry {
  readonly host: number;
  readonly bytes: number;
  readonly contents: number;
}

const HEAD = 8;
const TAIL = 8;

export interface Part {
  readonly from: number;
  readonly to: number;
}

export function entriesOf({ u32 }: Views, { from, to }: Part): Entry[] {
  const entries: Entry[] = [];
  for (let at = from; at < to;) {
    const bytes = u32[(at + 4) >>> 2]!;
    entries.push({ host: u32[at >>> 2]!, bytes, contents: at + HEAD });
    at += HEAD + ((bytes + 7) & -8) + TAIL;
  }
  return entries;
}

/** Whether two runs, both taken back, made the same stores. */
export function isSameJournal({ u32 }: Views, a: Part, b: Part): boolean {
  if (a.to - a.from !== b.to - b.from) return false;
  for (let i = a.from >>> 2, j = b.from >>> 2; i < a.to >>> 2; i++, j++) {
    if (u32[i] !== u32[j]) return false;
  }
  return true;
}

/** What a run left in memory, by host address: its entries, taken back, hold what each store wrote. */
function finalBytes(views: Views, part: Part): Map<number, number> {
  const bytes = new Map<number, number>();
  for (const { host, bytes: length, contents } of entriesOf(views, part)) {
    for (let i = 0; i < length; i++) bytes.set(host + i, views.u8[contents + i]!);
  }
  return bytes;
}

export interface MemoryDifference {
  /** Guest-physical. */
  readonly address: number;
  readonly translated: number;
  readonly interpreted: number;
}

/** Where two runs, both taken back, leave memory different. */
export function memoryDifferences(views: Views, translated: Part, interpreted: Part): MemoryDifference[] {
  const a = finalBytes(views, translated);
  const b = finalBytes(views, interpreted);
  return [...new Set([...a.keys(), ...b.keys()])]
    .toSorted((x, y) => x - y)
    .map((host) => {
      const before = views.u8[host]!;
      return {
        address: host - RAM_BASE,
        translated: a.get(host) ?? before,
        interpreted: b.get(host) ?? before,
      };
    })
    .filter((difference) => difference.translated !== difference.interpreted);
}
