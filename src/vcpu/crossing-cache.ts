/**
 * Instructions whose bytes come from two pages. They are no part of any block (docs/core.md, Blocks), so the interpreter leaves its
 * code for each of them: one in a thousand that are executed. Decoded ones are kept here and compared with the bytes of both
 * pages each time, so that nobody has to tell of writes to them.
 */
import { Decoded, MAX_LENGTH } from '../isa/decoder.ts';
import { PAGE_SIZE } from '../layout/map.ts';

const ENTRIES = 2048;

interface Crossing {
  readonly first: number;
  readonly mode: number;
  readonly bytes: Uint8Array;
  readonly decoded: Decoded;
}

export class CrossingCache {
  readonly #memory: Uint8Array;
  /** By page. */
  readonly #entries: (Crossing | undefined)[] = Array.from({ length: ENTRIES });

  constructor(memory: Uint8Array) {
    this.#memory = memory;
  }

  /** Whether the instruction at host address `first` is one of these, as far as its own page tells. */
  has(first: number, mode: number): boolean {
    const entry = this.#entries[slotOf(first)];
    if (entry === undefined || entry.first !== first || entry.mode !== mode) return false;
    return isAt(this.#memory, entry.bytes, 0, roomIn(first), first);
  }

  /** The instruction at `first` that goes on at `second`, the start of another page; undefined if that is not known. */
  find(first: number, second: number, mode: number): Decoded | undefined {
    if (!this.has(first, mode)) return undefined;
    const { bytes, decoded } = this.#entries[slotOf(first)]!;
    const room = roomIn(first);
    return isAt(this.#memory, bytes, room, bytes.length, second - room) ? decoded : undefined;
  }

  /** `bytes` begin with those of the instruction. */
  add(first: number, mode: number, bytes: Uint8Array, decoded: Decoded): void {
    const { length } = decoded;
    if (length <= roomIn(first) || length > MAX_LENGTH) return;
    const kept = Object.assign(new Decoded(), decoded);
    this.#entries[slotOf(first)] = { first, mode, bytes: bytes.slice(0, length), decoded: kept };
  }
}

function slotOf(first: number): number {
  return (first / PAGE_SIZE) & (ENTRIES - 1);
}

function roomIn(first: number): number {
  return PAGE_SIZE - (first & (PAGE_SIZE - 1));
}

/** Whether bytes `from` to `to` stand at address `base` + `from`. */
function isAt(memory: Uint8Array, bytes: Uint8Array, from: number, to: number, base: number): boolean {
  for (let index = from; index < to; index++) if (memory[base + index] !== bytes[index]) return false;
  return true;
}
