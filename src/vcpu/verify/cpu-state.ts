/** The vCPU's block between two runs of the same code: what is kept, taken back, compared. */
import type { Views } from '../../base/views.ts';
import { elementBytes, type Field } from '../../layout/struct.ts';
import { VCPU } from '../../layout/vcpu.ts';

type FieldName = keyof typeof VCPU.at;

/** What belongs to the machinery and not to the guest's CPU, or to other threads: it survives when a run is taken back. */
const MACHINERY: ReadonlySet<string> = new Set<FieldName>([
  'budget',
  'budgetStart',
  'attention',
  'arenaNext',
  'arenaEnd',
  'arenaStart',
  'tlbFilled',
  'tlbLarge',
  'returns',
  'returnsTop',
  'links',
  'linksOf',
  'linksMode',
  'linksLast',
  'linksKernel',
  'ramBytes',
  'heatMask',
  'cr4Allowed',
  'eferAllowed',
  'journal',
  'journalNext',
  'journalEnd',
]);

/** What the guest cannot see. The arithmetic flags are compared as EFLAGS has them. */
const UNSEEN: ReadonlySet<string> = new Set<FieldName>([
  'flagKind',
  'flagResult',
  'flagA',
  'flagB',
  'exceptionError',
  'exceptionAddress',
  'region',
  'exitReason',
  'exitArg0',
  'exitArg1',
  'scratch',
  'scratchLinear',
  'scratchSize',
  'scratchFirst',
  'scratchSecond',
  'scratchSplit',
  'scratchKind',
  'refund',
  'segStale',
  'pad0',
  'pad1',
  'pad2',
]);

const GENERAL = 'rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15'.split(' ');
const SEGMENTS = 'es cs ss ds fs gs ldtr tr'.split(' ');
/** Of an x87 register's slot, those that it has. */
const X87_BYTES = 10;

interface Place {
  readonly name: string;
  readonly offset: number;
  readonly bytes: number;
}

function nameOf(field: string, index: number, count: number): string {
  if (count === 1) return field;
  if (field === 'regs') return GENERAL[index]!;
  if (field === 'fpu') return `x87 register ${index}`;
  if (field.startsWith('seg')) return `${field}[${SEGMENTS[index]}]`;
  return `${field}${index}`;
}

function isMachinery(field: string): boolean {
  return MACHINERY.has(field) || field.startsWith('count');
}

const FIELDS = Object.entries<Field>(VCPU.fields).map(([name, field]) => {
  const [type, count] = typeof field === 'string' ? [field, 1] : field;
  return { name, offset: VCPU.at[name as FieldName], bytes: elementBytes(type), count };
});

const SEEN: readonly Place[] = FIELDS.filter(({ name }) => !isMachinery(name) && !UNSEEN.has(name)).flatMap(
  ({ name, offset, bytes, count }) =>
    // Behind the general registers there is none that the guest has.
    Array.from({ length: name === 'regs' ? GENERAL.length : count }, (_, i) => ({
      name: nameOf(name, i, count),
      offset: offset + i * bytes,
      bytes: name === 'fpu' ? X87_BYTES : bytes,
    })),
);

/** Parts, in words, that are not machinery. */
const KEPT: readonly (readonly [start: number, end: number])[] = keptParts();

function keptParts(): (readonly [number, number])[] {
  const isKept = Array.from({ length: VCPU.size >>> 2 }, () => true);
  for (const { name, offset, bytes, count } of FIELDS) {
    if (isMachinery(name)) isKept.fill(false, offset >>> 2, (offset + bytes * count) >>> 2);
  }
  const parts: (readonly [number, number])[] = [];
  for (let start = isKept.indexOf(true); start >= 0;) {
    const next = isKept.indexOf(false, start);
    const end = next < 0 ? isKept.length : next;
    parts.push([start, end]);
    start = isKept.indexOf(true, end);
  }
  return parts;
}

export interface StateDifference {
  readonly name: string;
  readonly translated: string;
  readonly interpreted: string;
}

/** What the vCPU's block held at one time. */
export class CpuState {
  readonly words = new Uint32Array(VCPU.size >>> 2);
  /** Its parts that are not machinery. */
  readonly parts = KEPT.map(([start, end]) => this.words.subarray(start, end));
  /** CF, PF, AF, ZF, SF and OF. */
  flags = 0n;
}

export class CpuBlock {
  readonly #live: Uint32Array;
  /** The same parts of the block and of a copy. */
  readonly #parts: readonly (readonly [live: Uint32Array, start: number])[];

  constructor(views: Views, cpu: number) {
    this.#live = views.u32.subarray(cpu >>> 2, (cpu + VCPU.size) >>> 2);
    this.#parts = KEPT.map(([start, end]) => [this.#live.subarray(start, end), start]);
  }

  save(state: CpuState): void {
    state.words.set(this.#live);
  }

  /** All but the machinery's. */
  restore(state: CpuState): void {
    this.#parts.forEach(([live], i) => live.set(state.parts[i]!));
  }

  /** What a call has changed since `before`, as pairs of word and value. */
  changesSince(before: CpuState): number[] {
    const changes: number[] = [];
    for (const [live, start] of this.#parts) {
      for (let i = 0; i < live.length; i++) {
        if (live[i] !== before.words[start + i]) changes.push(start + i, live[i]!);
      }
    }
    return changes;
  }

  apply(changes: readonly number[]): void {
    for (let i = 0; i < changes.length; i += 2) this.#live[changes[i]!] = changes[i + 1]!;
  }
}

/** Bits of each word that are compared. */
const MASKS = masks();

function masks(): Uint32Array {
  const bytes = new Uint8Array(VCPU.size);
  for (const { offset, bytes: length } of SEEN) bytes.fill(0xff, offset, offset + length);
  return new Uint32Array(bytes.buffer);
}

export function isSame(a: CpuState, b: CpuState): boolean {
  for (let i = 0; i < MASKS.length; i++) {
    if (((a.words[i]! ^ b.words[i]!) & MASKS[i]!) !== 0) return false;
  }
  return a.flags === b.flags;
}

export function stateDifferences(translated: CpuState, interpreted: CpuState): StateDifference[] {
  const a = new Uint8Array(translated.words.buffer);
  const b = new Uint8Array(interpreted.words.buffer);
  const differences = SEEN.filter(({ offset, bytes }) => hex(a, offset, bytes) !== hex(b, offset, bytes)).map(
    ({ name, offset, bytes }) => ({
      name,
      translated: hex(a, offset, bytes),
      interpreted: hex(b, offset, bytes),
    }),
  );
  if (translated.flags === interpreted.flags) return differences;
  const flags = {
    name: 'flags',
    translated: flagsText(translated.flags),
    interpreted: flagsText(interpreted.flags),
  };
  return [...differences, flags];
}

/** A little-endian number. */
function hex(bytes: Uint8Array, at: number, length: number): string {
  return [...bytes.subarray(at, at + length)]
    .toReversed()
    .map((byte) => byte.toString(16).padStart(2, '0'))
    .join('');
}

const FLAG_NAMES: readonly (readonly [bit: bigint, name: string])[] = [
  [11n, 'OF'],
  [7n, 'SF'],
  [6n, 'ZF'],
  [4n, 'AF'],
  [2n, 'PF'],
  [0n, 'CF'],
];

function flagsText(flags: bigint): string {
  return FLAG_NAMES.map(([bit, name]) => `${name}=${(flags >> bit) & 1n}`).join(' ');
}
