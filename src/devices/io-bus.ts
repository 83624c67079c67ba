/**
 * Ports and MMIO of one vCPU's thread: finds the device that answers an address. Every thread has a bus of its own
 * over device state that is shared, so looking up takes no lock.
 *
 * Ports behave as on ISA: an access that no device takes at its width is done as two of half the width, down to
 * bytes; what nobody claims reads as all ones and ignores writes.
 */
import { PAGE_SIZE } from '../layout/map.ts';

export type AccessBytes = 1 | 2 | 4;

/** Registers behind a range. `offset` is relative to its start; values are unsigned, of the access's width. */
export interface IoHandler {
  read(offset: number, bytes: AccessBytes): number;
  write(offset: number, value: number, bytes: AccessBytes): void;
}

/** A claimed range, with what `info exits` prints of it. */
export interface IoRange {
  readonly name: string;
  readonly start: number;
  readonly size: number;
  readonly handler: IoHandler;
  reads: number;
  writes: number;
  /** Of `timed` of these accesses, how long they took together, in ms. */
  timedMs: number;
  timed: number;
}

/** Ranges that move while the machine runs (PCI BARs): asked when no fixed range claims an address. */
export interface MovableRanges {
  findPort(port: number, bytes: number): IoRange | undefined;
  findMmio(gpa: number, bytes: number): IoRange | undefined;
  /** All that are mapped now. */
  readonly ranges: { readonly ports: readonly IoRange[]; readonly mmio: readonly IoRange[] };
}

export type WriteSpace = 'port' | 'memory';

/** Writes that are over before any range is asked: doorbells (ioeventfd). */
export interface WriteMatch {
  /** True if that was all there is to do. */
  claim(space: WriteSpace, address: number, value: number, bytes: number): boolean;
}

export function ioRange(name: string, start: number, size: number, handler: IoHandler): IoRange {
  return { name, start, size, handler, reads: 0, writes: 0, timedMs: 0, timed: 0 };
}

const PORTS = 0x10000;
const ALL_WIDTHS: readonly AccessBytes[] = [1, 2, 4];
/** A look at the clock takes as long as a fast device, so one access in so many is timed. */
const TIMED_EACH = 16;

export class IoBus {
  /** By width: 1 + index in #ranges, 0 = unclaimed. */
  readonly #ports: Readonly<Record<AccessBytes, Uint16Array>> = {
    1: new Uint16Array(PORTS),
    2: new Uint16Array(PORTS),
    4: new Uint16Array(PORTS),
  };
  readonly #portRanges: IoRange[] = [];
  readonly #mmioPages = new Map<number, IoRange[]>();
  readonly #mmioRanges: IoRange[] = [];
  readonly #movable: MovableRanges[] = [];
  #match: WriteMatch | undefined;
  #matched = 0;
  #unclaimedReads = 0;
  #unclaimedWrites = 0;
  readonly #now: (() => number) | undefined;
  #untilTimed = 1;

  /** `now` in milliseconds, for the times of `info exits`; without it nothing is timed. */
  constructor(now?: () => number) {
    this.#now = now;
  }

  #read(range: IoRange, offset: number, bytes: AccessBytes): number {
    range.reads++;
    if (--this.#untilTimed > 0 || this.#now === undefined) return range.handler.read(offset, bytes);
    this.#untilTimed = TIMED_EACH;
    const begun = this.#now();
    const value = range.handler.read(offset, bytes);
    range.timedMs += this.#now() - begun;
    range.timed++;
    return value;
  }

  #write(range: IoRange, offset: number, value: number, bytes: AccessBytes): void {
    range.writes++;
    if (--this.#untilTimed > 0 || this.#now === undefined) return range.handler.write(offset, value, bytes);
    this.#untilTimed = TIMED_EACH;
    const begun = this.#now();
    range.handler.write(offset, value, bytes);
    range.timedMs += this.#now() - begun;
    range.timed++;
  }

  /** Claims ports for accesses of the given widths, naturally aligned. Claiming what is taken is our own mistake. */
  addPorts(
    name: string,
    start: number,
    size: number,
    widths: readonly AccessBytes[],
    handler: IoHandler,
  ): void {
    const range = ioRange(name, start, size, handler);
    this.#portRanges.push(range);
    for (const bytes of widths) {
      const table = this.#ports[bytes];
      for (let port = start; port + bytes <= start + size; port++) {
        if (port % bytes !== 0) continue;
        if (table[port] !== 0) throw new Error(`${name}: port ${port.toString(16)} is taken`);
        table[port] = this.#portRanges.length;
      }
    }
  }

  /** Claims guest-physical addresses. Ranges may share a page but no byte. */
  addMmio(name: string, start: number, size: number, handler: IoHandler): void {
    const range = ioRange(name, start, size, handler);
    if (this.#mmioRanges.some((other) => start < other.start + other.size && other.start < start + size)) {
      throw new Error(`${name}: address ${start.toString(16)} is taken`);
    }
    this.#mmioRanges.push(range);
    const last = Math.floor((start + size - 1) / PAGE_SIZE);
    for (let page = Math.floor(start / PAGE_SIZE); page <= last; page++) {
      this.#mmioPages.set(page, [...(this.#mmioPages.get(page) ?? []), range]);
    }
  }

  addMovable(ranges: MovableRanges): void {
    this.#movable.push(ranges);
  }

  /** Asked about writes that no fixed range claims. */
  setWriteMatch(match: WriteMatch): void {
    this.#match = match;
  }

  /** Writes that the match took. */
  get matched(): number {
    return this.#matched;
  }

  #isMatched(space: WriteSpace, address: number, value: number, bytes: number): boolean {
    if (this.#match?.claim(space, address, value, bytes) !== true) return false;
    this.#matched++;
    return true;
  }

  /** Everything registered, for `info exits` and `info mtree`. */
  get ranges(): { readonly ports: readonly IoRange[]; readonly mmio: readonly IoRange[] } {
    return {
      ports: [...this.#portRanges, ...this.#movable.flatMap(({ ranges }) => ranges.ports)],
      mmio: [...this.#mmioRanges, ...this.#movable.flatMap(({ ranges }) => ranges.mmio)],
    };
  }

  /** Accesses that nobody answered. */
  get unclaimed(): { readonly reads: number; readonly writes: number } {
    return { reads: this.#unclaimedReads, writes: this.#unclaimedWrites };
  }

  readPort(port: number, bytes: AccessBytes): number {
    const range = this.#findPort(port, bytes);
    if (range !== undefined) return this.#read(range, port - range.start, bytes);
    if (bytes === 1) {
      this.#unclaimedReads++;
      return 0xff;
    }
    const half = bytes === 4 ? 2 : 1;
    const low = this.readPort(port, half);
    const high = this.readPort((port + half) & 0xffff, half);
    return ((high << (half * 8)) | low) >>> 0;
  }

  writePort(port: number, value: number, bytes: AccessBytes): void {
    if (this.#ports[bytes][port] === 0 && this.#isMatched('port', port, value, bytes)) return;
    const range = this.#findPort(port, bytes);
    if (range !== undefined) {
      this.#write(range, port - range.start, value, bytes);
      return;
    }
    if (bytes === 1) {
      this.#unclaimedWrites++;
      return;
    }
    const half = bytes === 4 ? 2 : 1;
    this.writePort(port, half === 2 ? value & 0xffff : value & 0xff, half);
    this.writePort((port + half) & 0xffff, half === 2 ? value >>> 16 : (value >>> 8) & 0xff, half);
  }

  #findPort(port: number, bytes: AccessBytes): IoRange | undefined {
    const index = this.#ports[bytes][port]!;
    if (index !== 0) return this.#portRanges[index - 1];
    for (const movable of this.#movable) {
      const range = movable.findPort(port, bytes);
      if (range !== undefined) return range;
    }
    return undefined;
  }

  /** Fills `size` bytes of `target` from MMIO at `gpa`: the core's exits carry up to 64 bytes. */
  loadMmio(gpa: number, size: number, target: DataView, at: number): void {
    for (let done = 0; done < size;) {
      const bytes = pieceSize(gpa + done, size - done);
      const value = this.readMmio(gpa + done, bytes);
      if (bytes === 1) target.setUint8(at + done, value);
      else if (bytes === 2) target.setUint16(at + done, value, true);
      else target.setUint32(at + done, value, true);
      done += bytes;
    }
  }

  storeMmio(gpa: number, size: number, source: DataView, at: number): void {
    for (let done = 0; done < size;) {
      const bytes = pieceSize(gpa + done, size - done);
      const value =
        bytes === 1
          ? source.getUint8(at + done)
          : bytes === 2
            ? source.getUint16(at + done, true)
            : source.getUint32(at + done, true);
      this.writeMmio(gpa + done, value, bytes);
      done += bytes;
    }
  }

  /** `gpa` is aligned to `bytes`. */
  readMmio(gpa: number, bytes: AccessBytes): number {
    const range = this.#findMmio(gpa, bytes);
    if (range === undefined) {
      this.#unclaimedReads++;
      return bytes === 4 ? 0xffffffff : (1 << (bytes * 8)) - 1;
    }
    return this.#read(range, gpa - range.start, bytes);
  }

  writeMmio(gpa: number, value: number, bytes: AccessBytes): void {
    const isFixed = this.#mmioPages.has(Math.floor(gpa / PAGE_SIZE));
    if (!isFixed && this.#isMatched('memory', gpa, value, bytes)) return;
    const range = this.#findMmio(gpa, bytes);
    if (range === undefined) {
      this.#unclaimedWrites++;
      return;
    }
    this.#write(range, gpa - range.start, value, bytes);
  }

  #findMmio(gpa: number, bytes: AccessBytes): IoRange | undefined {
    const candidates = this.#mmioPages.get(Math.floor(gpa / PAGE_SIZE));
    if (candidates !== undefined) {
      for (const range of candidates) {
        if (gpa >= range.start && gpa + bytes <= range.start + range.size) return range;
      }
    }
    for (const movable of this.#movable) {
      const range = movable.findMmio(gpa, bytes);
      if (range !== undefined) return range;
    }
    return undefined;
  }
}

/** The largest naturally aligned piece at `address`. */
function pieceSize(address: number, left: number): AccessBytes {
  return ALL_WIDTHS.findLast((bytes) => bytes <= left && address % bytes === 0) ?? 1;
}
