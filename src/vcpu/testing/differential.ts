/** Runs one random program on two executors, the interpreter alone and with the translator, and says where they differ. */
import { heatMask } from '../tiering.ts';
import { RAM_BASE } from '../../layout/map.ts';
import { VCPU } from '../../layout/vcpu.ts';
import { bareMachine, setHandlers, type BareMachine } from './bare-machine.ts';
import {
  assemble,
  CODE_ALIAS,
  CODE_BASE,
  CODE_BYTES,
  DATA_BASE,
  LOG,
  type RandomProgram,
} from './random-program.ts';

const PAGE = 4096;
const STACK = 0x78000;
const STACK_BYTES = 0x8000;
const PDPT = 0x2000;
const PD = 0x3000;
const PT = 0x4000;
const PRESENT = 1n;
const WRITABLE = 2n;
const LARGE = 0x80n;
/** Frames of the data's pages: not beside each other, so that an access across the boundary has two. */
const FRAMES = [0x90000n | PRESENT | WRITABLE, 0x97000n | PRESENT | WRITABLE, 0n, 0x93000n | PRESENT];

/** Entries until a block is translated: few, as programs are short. */
const THRESHOLD = 64;
/** Turns of the run loop after which a program is given up. */
const MAX_TURNS = 20_000;

/** xor [LOG + offset], rax; rol qword [LOG + offset], 7 */
function note(offset: number): string {
  const at = [...new Uint8Array(Uint32Array.of(LOG + offset).buffer)]
    .map((byte) => byte.toString(16).padStart(2, '0'))
    .join('');
  return `48310425${at} 48c10425${at}07`;
}

/** Notes RIP and RFLAGS of the fault, counts, and goes on at R13. */
const FAULT = `50 488b442408 ${note(0)} 488b442418 ${note(8)} 48ff042510800600 4c896c2408 58 48cf`;
/** The same for those with an error code, which it notes with CR2. */
const FAULT_WITH_CODE = `50 488b442408 ${note(24)} 0f20d0 ${note(32)} 58 4883c408 ${FAULT}`;

export type Jit = 'off' | 'on' | 'verify';

export interface Outcome {
  /** False: it was given up. */
  readonly ended: boolean;
  /** Of `verify`, where translated code and the interpreter disagreed. */
  readonly report: string | undefined;
  /** Instructions that were executed twice and compared. */
  readonly verified: number;
  readonly instructions: bigint;
  readonly translatedInstructions: bigint;
  readonly faults: bigint;
  /** By name: registers and instruction count. */
  readonly values: Readonly<Record<string, bigint>>;
  /** By name of the area. */
  readonly memory: Readonly<Record<string, Uint8Array>>;
}

const SEGMENTS = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'];
const NAMES = 'rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15'.split(' ');

/** What random programs of one kind run in. */
export interface Guest {
  /** Page tables, segments, handlers of faults, data and registers. */
  prepare(machine: BareMachine): void;
  /** (E/R)IP of the first instruction. */
  readonly start: number;
  /** Guest-physical address of the u64 in which the handlers count. */
  readonly faults: number;
  /** Compared at the end: address and length. */
  readonly areas: Readonly<Record<string, readonly [address: number, length: number]>>;
}

const LONG: Guest = {
  prepare: prepareLong,
  start: CODE_BASE,
  faults: LOG + 16,
  areas: {
    'log of faults, flags, FXSAVE': [LOG, 0x300],
    'first data page': [0x90000, PAGE],
    'second data page': [0x97000, PAGE],
    stack: [STACK - STACK_BYTES, STACK_BYTES],
    code: [CODE_BASE, CODE_BYTES],
  },
};

function prepareLong(machine: BareMachine): void {
  const { views, vcpu } = machine;
  const set64 = (at: number, value: bigint): void => views.data.setBigUint64(at, value, true);
  set64(RAM_BASE + PDPT, BigInt(PD) | PRESENT | WRITABLE);
  for (let i = 0; i < 8; i++) set64(RAM_BASE + PD + i * 8, (BigInt(i) << 21n) | PRESENT | WRITABLE | LARGE);
  set64(RAM_BASE + PD, BigInt(PT) | PRESENT | WRITABLE);
  for (let i = 0; i < 512; i++) set64(RAM_BASE + PT + i * 8, (BigInt(i) << 12n) | PRESENT | WRITABLE);
  FRAMES.forEach((entry, i) => set64(RAM_BASE + PT + ((DATA_BASE >>> 12) + i) * 8, entry));
  for (let at = 0; at < CODE_BYTES; at += PAGE) {
    set64(RAM_BASE + PT + ((CODE_ALIAS + at) >>> 12) * 8, BigInt(CODE_BASE + at) | PRESENT | WRITABLE);
  }
  // Protection, extension type, numeric errors, write protection, paging; PAE, FXSR, SIMD exceptions.
  set64(vcpu.cpu + VCPU.at.cr0, 0x80010031n);
  set64(vcpu.cpu + VCPU.at.cr4, 0x620n);
  vcpu.core.updateMode(vcpu.cpu);
  setHandlers(machine, {
    0: FAULT,
    12: FAULT_WITH_CODE,
    13: FAULT_WITH_CODE,
    14: FAULT_WITH_CODE,
    // #MF and #XM
    16: FAULT,
    19: FAULT,
  });
  for (let i = 0; i < 4 * PAGE; i += 4) {
    views.u32[(RAM_BASE + 0x90000 + i) >>> 2] = Math.imul(i + 1, 0x9e3779b1);
    views.u32[(RAM_BASE + 0x97000 + i) >>> 2] = Math.imul(i + 7, 0x85ebca6b);
  }
  const set = (index: number, value: number): void =>
    set64(vcpu.cpu + VCPU.at.regs + index * 8, BigInt(value));
  NAMES.forEach((_, i) => set(i, (i + 1) * 0x01234567));
  set(3, DATA_BASE + 0x800);
  set(4, STACK);
  set(5, DATA_BASE + PAGE - 8);
  set(12, 0);
  set(14, DATA_BASE + 0x400);
}

export interface Executors {
  readonly core: BufferSource;
  readonly interpreter: BufferSource;
}

export function execute(
  { core, interpreter }: Executors,
  program: RandomProgram,
  guest: Guest,
  jit: Jit,
): Outcome {
  let turns = 0;
  let time = 0;
  const machine = bareMachine(core, interpreter, jit !== 'off', {
    ...(jit === 'verify' ? { verify: {} } : {}),
    // Each reading later by more than a stay should last: stays are as short as they get, and the same in every run.
    hostNow: () => time++,
    turn: () => {
      if (++turns > MAX_TURNS) machine.vcpu.leave('port');
    },
  });
  const { views, vcpu } = machine;
  guest.prepare(machine);
  if (jit !== 'off') views.u32[(vcpu.cpu + VCPU.at.heatMask) >>> 2] = heatMask(THRESHOLD);
  for (const { address, bytes } of assemble(program)) views.u8.set(bytes, RAM_BASE + address);
  const register = (index: number): number => vcpu.cpu + VCPU.at.regs + index * 8;
  views.data.setBigUint64(vcpu.cpu + VCPU.at.rip, BigInt(guest.start), true);
  const end = vcpu.run();
  const read = (at: number): bigint => views.data.getBigUint64(at, true);
  const selectors = SEGMENTS.map((name, i): [string, bigint] => [
    name,
    BigInt(views.u32[(vcpu.cpu + VCPU.at.segSelector + i * 4) >>> 2]!),
  ]);
  return {
    ended: end.kind === 'asked' && turns <= MAX_TURNS,
    report: end.kind === 'disagreement' ? end.report : undefined,
    verified: vcpu.figures.verify?.instructions ?? 0,
    instructions: read(vcpu.cpu + VCPU.at.countInstructions),
    translatedInstructions: read(vcpu.cpu + VCPU.at.countRegionInstructions),
    faults: read(RAM_BASE + guest.faults),
    values: {
      rip: read(vcpu.cpu + VCPU.at.rip),
      instructions: read(vcpu.cpu + VCPU.at.countInstructions),
      ...Object.fromEntries(NAMES.map((name, i) => [name, read(register(i))])),
      ...Object.fromEntries(selectors),
    },
    memory: Object.fromEntries(
      Object.entries(guest.areas).map(([name, [at, length]]) => [
        name,
        views.u8.slice(RAM_BASE + at, RAM_BASE + at + length),
      ]),
    ),
  };
}

export interface Comparison {
  readonly differences: readonly string[];
  readonly expected: Outcome;
  readonly actual: Outcome;
}

export function compare(
  executors: Executors,
  program: RandomProgram,
  guest = LONG,
  jit: Jit = 'on',
): Comparison {
  const expected = execute(executors, program, guest, 'off');
  const actual = execute(executors, program, guest, jit);
  if (actual.report !== undefined) return { differences: [actual.report], expected, actual };
  const values = Object.keys(expected.values)
    .filter((name) => expected.values[name] !== actual.values[name])
    .map(
      (name) =>
        `${name}: interpreter ${expected.values[name]!.toString(16)}, translated ${actual.values[name]!.toString(16)}`,
    );
  const memory = Object.entries(expected.memory).flatMap(([name, bytes]) => {
    const other = actual.memory[name]!;
    const at = bytes.findIndex((byte, i) => byte !== other[i]);
    return at < 0
      ? []
      : [`${name}, offset ${at.toString(16)}: ${hex(bytes, at)}, translated ${hex(other, at)}`];
  });
  const ended =
    expected.ended === actual.ended
      ? []
      : [`only ${expected.ended ? 'the interpreter' : 'translated code'} ended`];
  return { differences: [...ended, ...values, ...memory], expected, actual };
}

function hex(bytes: Uint8Array, at: number): string {
  return [...bytes.subarray(at & -8, (at & -8) + 8)]
    .map((byte) => byte.toString(16).padStart(2, '0'))
    .join(' ');
}

/** The program without what the failure does not need. */
export function minimize(program: RandomProgram, fails: (program: RandomProgram) => boolean): RandomProgram {
  let smallest = program;
  const count = (): number =>
    smallest.functions.reduce((sum, { items }) => sum + items.filter(({ optional }) => optional).length, 0);
  for (let size = Math.ceil(count() / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = 0; from < count();) {
      let number = 0;
      const tried = {
        ...smallest,
        functions: smallest.functions.map(({ start, items }) => ({
          start,
          // oxlint-disable-next-line no-loop-func -- called at once
          items: items.filter((item) => {
            if (item.optional !== true) return true;
            const index = number++;
            return index < from || index >= from + size;
          }),
        })),
      };
      if (fails(tried)) smallest = tried;
      else from += size;
    }
  }
  return smallest;
}
