/**
 * Hostile rings for tests. `fuzzStaticRing` compares the queue with a second, naive reading of 2.7 and with the exact
 * memory that must result; `fuzzRacingRing` lets the driver scribble over the ring between any two of our reads, and
 * checks what must hold even then. Each returns undefined or what went wrong.
 */
import { GuestMemory } from '../memory/guest-memory.ts';
import { Virtqueue } from './queue.ts';
import type { DescriptorChain } from './queue.ts';
import type { Segment } from './segments.ts';
import type { TestRam } from './test-driver.ts';
import { Random } from './test-random.ts';

export const FUZZ_RAM_BYTES = 0x2000;
const DESCRIPTORS = 0x100;
const AVAIL = 0x200;
const USED = 0x300;
const TABLES = 0x400;
const BUFFERS = 0x1000;
const MAX_SIZE = 8;
/** Everything that the driver writes: rings and tables. */
const RING_END = 0x600;

const NEXT = 1;
const WRITE = 2;
const INDIRECT = 4;

interface Ring {
  readonly size: number;
  readonly indirect: boolean;
  readonly eventIdx: boolean;
}

interface Oracle {
  readonly chains: readonly { head: number; readable: Segment[]; writable: Segment[] }[];
  readonly isBroken: boolean;
}

/** Fills rings and tables with something that is often nearly right. */
function scatter(random: Random, data: DataView): Ring {
  const size = random.pick([1, 2, 4, 8]);
  const nasty = random.pick([0, 2, 10, 40]);
  for (let at = BUFFERS; at < FUZZ_RAM_BYTES; at += 4) data.setUint32(at, 0x11111111, true);
  for (let n = 0; n < MAX_SIZE; n++) {
    descriptor(random, data, DESCRIPTORS + 16 * n, size, nasty, true);
    data.setUint16(AVAIL + 4 + 2 * n, random.chance(nasty) ? random.u32() : random.below(size), true);
  }
  for (let n = 0; n < 32; n++) descriptor(random, data, TABLES + 16 * n, 4, nasty, false);
  data.setUint16(AVAIL, random.below(2), true);
  data.setUint16(AVAIL + 2, random.chance(nasty) ? random.u32() : random.below(size + 1), true);
  data.setUint16(AVAIL + 4 + 2 * size, random.below(4), true);
  data.setUint32(USED, 0, true);
  return { size, indirect: !random.chance(10), eventIdx: random.chance(50) };
}

function descriptor(
  random: Random,
  data: DataView,
  at: number,
  size: number,
  nasty: number,
  mayPoint: boolean,
): void {
  const points = mayPoint ? random.chance(30) : random.chance(nasty >> 2);
  const address = points ? TABLES + 16 * random.below(24) : BUFFERS + random.below(0xe00);
  const bytes = points ? 16 * (1 + random.below(6)) : random.below(0x200);
  const next = random.chance(40) ? NEXT : 0;
  // Mostly the neighbour: random links alone would nearly always run in circles.
  const link = random.chance(60) ? ((at >> 4) + 1) % size : random.below(size);
  const flags = points
    ? INDIRECT | (random.chance(nasty) ? NEXT : 0)
    : next | (random.chance(50) ? WRITE : 0);
  data.setUint32(at, random.chance(nasty) ? nastyAddress(random) : address, true);
  data.setUint32(at + 4, random.chance(nasty >> 2) ? random.u32() : 0, true);
  data.setUint32(at + 8, random.chance(nasty) ? nastyLength(random) : bytes, true);
  data.setUint16(at + 12, random.chance(nasty >> 1) ? random.u32() : flags, true);
  data.setUint16(at + 14, random.chance(nasty) ? random.u32() : link, true);
}

function nastyAddress(random: Random): number {
  return random.pick([
    0,
    DESCRIPTORS,
    AVAIL,
    USED,
    FUZZ_RAM_BYTES - 1,
    FUZZ_RAM_BYTES,
    0xffffffff,
    random.u32(),
  ]);
}

function nastyLength(random: Random): number {
  return random.pick([0, 1, 15, 17, FUZZ_RAM_BYTES, 0x7fffffff, 0xffffffff, random.u32()]);
}

/** 2.7 read naively over memory that does not change. */
function readNaively(data: DataView, ring: Ring): Oracle {
  const { size, indirect } = ring;
  const chains: Oracle['chains'][number][] = [];
  const idx = data.getUint16(AVAIL + 2, true);
  if (idx > size) return { chains, isBroken: true };
  for (let n = 0; n < idx; n++) {
    const head = data.getUint16(AVAIL + 4 + 2 * n, true);
    const chain =
      head < size && !chains.some((other) => other.head === head)
        ? walk(data, head, size, indirect)
        : undefined;
    if (chain === undefined) return { chains, isBroken: true };
    chains.push({ head, ...chain });
  }
  return { chains, isBroken: false };
}

function walk(
  data: DataView,
  head: number,
  size: number,
  indirect: boolean,
): { readable: Segment[]; writable: Segment[] } | undefined {
  const list: { gpa: bigint; bytes: number; isWrite: boolean }[] = [];
  let table = DESCRIPTORS;
  let count = size;
  let index = head;
  let isInTable = false;
  let inThisTable = 0;
  for (;;) {
    const at = table + 16 * index;
    const gpa = data.getBigUint64(at, true);
    const bytes = data.getUint32(at + 8, true);
    const flags = data.getUint16(at + 12, true);
    const next = data.getUint16(at + 14, true);
    if ((flags & INDIRECT) !== 0) {
      if (isInTable || !indirect || (flags & NEXT) !== 0) return undefined;
      if (bytes === 0 || bytes % 16 !== 0 || gpa + BigInt(bytes) > BigInt(FUZZ_RAM_BYTES)) return undefined;
      table = Number(gpa);
      count = bytes / 16;
      index = 0;
      isInTable = true;
      inThisTable = 0;
      continue;
    }
    if (++inThisTable > count) return undefined;
    list.push({ gpa, bytes, isWrite: (flags & WRITE) !== 0 });
    if (list.length > (isInTable ? MAX_SIZE : size)) return undefined;
    if ((flags & NEXT) === 0) break;
    if (next >= count) return undefined;
    index = next;
  }
  if (list.some(({ gpa, bytes }) => gpa + BigInt(bytes) > BigInt(FUZZ_RAM_BYTES))) return undefined;
  const firstWrite = list.findIndex(({ isWrite, bytes }) => isWrite && bytes > 0);
  if (firstWrite >= 0 && list.slice(firstWrite).some(({ isWrite }) => !isWrite)) return undefined;
  const pick = (wanted: boolean): Segment[] =>
    list
      .filter(({ isWrite, bytes }) => isWrite === wanted && bytes > 0)
      .map(({ gpa, bytes }) => ({ gpa: Number(gpa), bytes }));
  return { readable: pick(false), writable: pick(true) };
}

function createQueue(memory: GuestMemory, ring: Ring): Virtqueue {
  const created = Virtqueue.create({
    memory,
    ring: { descriptors: DESCRIPTORS, avail: AVAIL, used: USED },
    size: ring.size,
    maxSize: MAX_SIZE,
    indirect: ring.indirect,
    eventIdx: ring.eventIdx,
    onBroken: () => {},
  });
  if (!created.ok) throw new Error(created.error);
  return created.value;
}

function popAll(queue: Virtqueue): DescriptorChain[] {
  const chains: DescriptorChain[] = [];
  for (let chain = queue.pop(); chain !== undefined; chain = queue.pop()) chains.push(chain);
  return chains;
}

function shape(
  chains: readonly { head: number; readable: readonly Segment[]; writable: readonly Segment[] }[],
): string {
  return JSON.stringify(chains.map(({ head, readable, writable }) => ({ head, readable, writable })));
}

export interface FuzzRound {
  readonly problem: string | undefined;
  readonly chains: number;
  readonly isBroken: boolean;
}

export function fuzzStaticRing({ memory, ram, data }: TestRam, seed: number): FuzzRound {
  const random = new Random(seed);
  const ring = scatter(random, data);
  const expected = readNaively(data, ring);
  const queue = createQueue(memory, ring);
  const chains = popAll(queue);
  const round = { chains: chains.length, isBroken: queue.broken !== undefined };
  if (shape(chains) !== shape(expected.chains) || round.isBroken !== expected.isBroken) {
    return {
      ...round,
      problem: `expected ${shape(expected.chains)} ${expected.isBroken}, got ${shape(chains)} ${queue.broken}`,
    };
  }
  const model = ram.slice();
  const modelData = new DataView(model.buffer);
  for (const [n, chain] of chains.entries()) {
    for (const { gpa, bytes } of chain.writable) {
      model.fill(0x20 + n, gpa, gpa + bytes);
      memory.fill(gpa, bytes, 0x20 + n);
    }
    queue.push(chain, chain.writableBytes);
    if (expected.isBroken) continue;
    modelData.setUint32(USED + 4 + 8 * n, chain.head, true);
    modelData.setUint32(USED + 8 + 8 * n, chain.writableBytes, true);
  }
  if (!expected.isBroken && chains.length > 0) modelData.setUint16(USED + 2, chains.length, true);
  queue.publish();
  const differs = firstDifference(ram, model);
  return { ...round, problem: differs < 0 ? undefined : `byte ${differs.toString(16)} was written` };
}

/** By words: the comparison is most of the time of a round. */
function firstDifference(a: Uint8Array, b: Uint8Array): number {
  const wordsA = new Int32Array(a.buffer, a.byteOffset, a.length >> 2);
  const wordsB = new Int32Array(b.buffer, b.byteOffset, b.length >> 2);
  for (let n = 0; n < wordsA.length; n++) {
    if (wordsA[n] !== wordsB[n]) return 4 * n;
  }
  return -1;
}

/** Guest memory whose rings change at any read, and that knows who wrote where. */
class RacingMemory extends GuestMemory {
  readonly written: Segment[] = [];
  reads = 0;
  readonly #ram: TestRam;
  readonly #random: Random;

  constructor(ram: TestRam, random: Random) {
    super(ram.views, FUZZ_RAM_BYTES, () => {});
    this.#ram = ram;
    this.#random = random;
  }

  #race(): void {
    this.reads++;
    const random = this.#random;
    if (!random.chance(30)) return;
    const at = DESCRIPTORS + random.below(RING_END - DESCRIPTORS);
    if (random.chance(50)) this.#ram.ram[at] = random.u32();
    else descriptor(random, this.#ram.data, at & ~15, MAX_SIZE, 10, true);
  }

  override readU16(gpa: number): number | undefined {
    this.#race();
    return super.readU16(gpa);
  }

  override loadU16(gpa: number): number | undefined {
    this.#race();
    return super.loadU16(gpa);
  }

  override readU32(gpa: number): number | undefined {
    this.#race();
    return super.readU32(gpa);
  }

  override readU64(gpa: number): number | undefined {
    this.#race();
    return super.readU64(gpa);
  }

  override writeU16(gpa: number, value: number): boolean {
    this.written.push({ gpa, bytes: 2 });
    return super.writeU16(gpa, value);
  }

  override storeU16(gpa: number, value: number): boolean {
    this.written.push({ gpa, bytes: 2 });
    return super.storeU16(gpa, value);
  }

  override writeU32(gpa: number, value: number): boolean {
    this.written.push({ gpa, bytes: 4 });
    return super.writeU32(gpa, value);
  }
}

/** Per pop: the index, the head, and four fields of each descriptor, of the direct and of the indirect part. */
const MAX_READS_PER_POP = 2 + 4 * (MAX_SIZE + MAX_SIZE + 2);

export function fuzzRacingRing(ram: TestRam, seed: number): FuzzRound {
  const random = new Random(seed);
  const ring = scatter(random, ram.data);
  const memory = new RacingMemory(ram, random);
  const queue = createQueue(memory, ring);
  const held: DescriptorChain[] = [];
  const problem = ((): string | undefined => {
    for (let step = 0; step < 12; step++) {
      memory.reads = 0;
      const chain = queue.pop();
      if (memory.reads > MAX_READS_PER_POP) return `${memory.reads} reads in one pop`;
      if (chain !== undefined) {
        held.push(chain);
        const wrong = misplaced(chain);
        if (wrong !== undefined) return wrong;
      }
      if (queue.inFlight !== held.length || held.length > ring.size)
        return `${queue.inFlight} chains in flight`;
      if (random.chance(30)) queue.disableNotifications();
      if (random.chance(30)) queue.enableNotifications();
      if (random.chance(50) && held.length > 0) {
        queue.push(held.splice(random.below(held.length), 1)[0]!, random.u32());
        if (random.chance(50)) queue.publish();
      }
    }
    const end = USED + 4 + 8 * ring.size + 2;
    const stray = memory.written.find(({ gpa, bytes }) => gpa < USED || gpa + bytes > end);
    return stray === undefined ? undefined : `${stray.bytes} bytes at ${stray.gpa.toString(16)} were written`;
  })();
  return { problem, chains: queue.counters.chains, isBroken: queue.broken !== undefined };
}

function misplaced(chain: DescriptorChain): string | undefined {
  const all = [...chain.readable, ...chain.writable];
  if (all.some(({ gpa, bytes }) => bytes <= 0 || gpa < 0 || gpa + bytes > FUZZ_RAM_BYTES))
    return 'a segment outside RAM';
  if (all.length > 2 * MAX_SIZE) return `${all.length} segments`;
  const sum = (segments: readonly Segment[]): number =>
    segments.reduce((total, { bytes }) => total + bytes, 0);
  if (sum(chain.readable) !== chain.readableBytes || sum(chain.writable) !== chain.writableBytes)
    return 'wrong sums';
  return undefined;
}

export interface FuzzReport {
  readonly rings: number;
  readonly chains: number;
  readonly broken: number;
  /** The first one, with its seed. */
  readonly problem: string | undefined;
}

export function fuzzRings(
  round: (ram: TestRam, seed: number) => FuzzRound,
  ram: TestRam,
  firstSeed: number,
  count: number,
): FuzzReport {
  let chains = 0;
  let broken = 0;
  for (let seed = firstSeed; seed < firstSeed + count; seed++) {
    const result = round(ram, seed);
    chains += result.chains;
    if (result.isBroken) broken++;
    if (result.problem !== undefined)
      return { rings: seed - firstSeed + 1, chains, broken, problem: `seed ${seed}: ${result.problem}` };
  }
  return { rings: count, chains, broken, problem: undefined };
}
