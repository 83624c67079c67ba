/**
 * Executes recorded cases on a vCPU and compares: user code at CPL 3 with CR0.AM, on one of two platforms. No Node here:
 * the same module runs in a page.
 */
import { RAM_BASE } from '../layout/map.ts';
import {
  FLAGS_ADC,
  FLAGS_ADD,
  FLAGS_DEC,
  FLAGS_EXPLICIT,
  FLAGS_INC,
  FLAGS_RESULT,
  FLAGS_SBB,
  FLAGS_SUB,
  SEG_CS,
  SEG_FS,
  SEG_GS,
  SEG_LDTR,
  SEG_SS,
  SEG_TR,
  VCPU,
} from '../layout/vcpu.ts';
import type { CaseOutcome, ChangedVector, Group, MemorySet, RecordedCase } from './vectors-file.ts';
import { buildCaseState, registerValue } from './vectors-file.ts';
import type { Hidden, PlatformKind } from './vectors-platform.ts';
import {
  ERROR_CODE_VECTORS,
  FRAME_CS,
  FRAME_ERROR,
  FRAME_FLAGS,
  FRAME_RIP,
  FRAME_RSP,
  FRAME_SS,
  hiddenPart,
  ReplayPlatform,
} from './vectors-platform.ts';
import type { Profile } from './vectors-state.ts';
import {
  CaseState,
  fillPage,
  PROFILES,
  STATE,
  STOP_BREAKPOINT,
  TEST_PAGES,
  USER_CS64,
  WINDOW_BYTES,
  WINDOWS,
} from './vectors-state.ts';
import type { Tolerance } from './vectors-undefined.ts';
import {
  AF,
  APPROXIMATE,
  APPROXIMATION_ERROR,
  CF,
  OF,
  PF,
  SF,
  TOLERATED_ON_FAULT,
  TRANSCENDENTAL,
  undefinedAfter,
  ZF,
} from './vectors-undefined.ts';

/** What the replay needs of a vCPU. */
export interface StepMachine {
  /** The machine's shared memory. */
  readonly memory: ArrayBufferLike;
  /** Host address of the vCPU block. */
  readonly cpu: number;
  readonly core: {
    updateMode(cpu: number): void;
    flushTlb(cpu: number, keepGlobal: number): void;
    invalidateCode(cpu: number, gpa: number, bytes: number): void;
  };
  /** Executes one instruction, or delivers its exception. A text if the machine cannot go on. */
  step(): string | undefined;
}

export interface Difference {
  readonly group: string;
  readonly index: number;
  /** What differs, readable. */
  readonly text: string;
}

const ARITHMETIC = CF | PF | AF | ZF | SF | OF;
/** Those that user code can see change: DF IF IOPL NT AC ID. TF and RF are the recorder's. */
const SYSTEM_FLAGS = 0x247600;
const MAX_STEPS = 400;
const FSW_C1 = 0x200;
/** Here a #GP may come from a selector of 64-bit code, or from an offset that long mode takes. */
const FAR_TRANSFERS = new Set(['callFar', 'callFarTo', 'jmpFar', 'jmpFarTo', 'retFar', 'iret']);
/** The 512 bytes of FXSAVE may wrap at the end of a segment; a far call pushes with the stack size of the new mode. */
const WRAPPING = new Set(['fxsave', 'fxrstor', 'callFar', 'callFarTo']);
const KERNEL_OR_USER_CS64 = 0x30;

const REGISTER_NAMES = [
  'RAX',
  'RCX',
  'RDX',
  'RBX',
  'RSP',
  'RBP',
  'RSI',
  'RDI',
  'R8',
  'R9',
  'R10',
  'R11',
  'R12',
  'R13',
  'R14',
  'R15',
];
const SEGMENT_NAMES = ['ES', 'CS', 'SS', 'DS', 'FS', 'GS'];

export class Replay {
  readonly #machine: StepMachine;
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #state = new CaseState();
  /** What each test page holds now, or should hold after the case. */
  readonly #expected: Uint8Array[] = [];
  readonly #expectedWords: Int32Array[] = [];
  readonly #words: Int32Array;
  readonly #platform: ReplayPlatform;

  constructor(machine: StepMachine, kind: PlatformKind) {
    this.#machine = machine;
    this.#view = new DataView(machine.memory);
    this.#bytes = new Uint8Array(machine.memory);
    this.#words = new Int32Array(machine.memory);
    this.#platform = new ReplayPlatform(kind, machine.memory);
    for (const page of TEST_PAGES) {
      const contents = new Uint8Array(4096);
      fillPage(page, contents);
      this.#expected.push(contents);
      this.#expectedWords.push(new Int32Array(contents.buffer));
    }
    this.#setSystemState();
    machine.core.updateMode(machine.cpu);
    machine.core.flushTlb(machine.cpu, 0);
  }

  /** All differences of a group, at most `limit`. */
  replay(group: Group, limit = 1000): Difference[] {
    const differences: Difference[] = [];
    for (const c of group.cases) {
      if (!this.#applies(group, c)) continue;
      if (differences.length >= limit) break;
      const text = this.#case(group, c);
      if (text !== undefined) differences.push({ group: group.id, index: c.index, text });
    }
    return differences;
  }

  /** There is no 64-bit code in legacy mode, where descriptor bit L means nothing. */
  #applies(group: Group, c: RecordedCase): boolean {
    if (this.#platform.kind === 'long') return true;
    if (PROFILES[group.profile]!.mode === 64) return false;
    if (!FAR_TRANSFERS.has(group.mnemonic)) return true;
    const { outcome } = c;
    return (outcome.selectors[SEG_CS]! & ~3) !== KERNEL_OR_USER_CS64 && outcome.vector !== 13;
  }

  // --- vCPU state

  #u64(offset: number, value: bigint): void {
    this.#view.setBigUint64(this.#machine.cpu + offset, BigInt.asUintN(64, value), true);
  }

  #u32(offset: number, value: number): void {
    this.#view.setUint32(this.#machine.cpu + offset, value, true);
  }

  #get64(offset: number): bigint {
    return this.#view.getBigUint64(this.#machine.cpu + offset, true);
  }

  #get32(offset: number): number {
    return this.#view.getUint32(this.#machine.cpu + offset, true);
  }

  #setSegment(index: number, hidden: Hidden, base = BigInt(hidden.base)): void {
    this.#u32(VCPU.at.segSelector + index * 4, hidden.selector);
    this.#u64(VCPU.at.segBase + index * 8, base);
    this.#u32(VCPU.at.segLimit + index * 4, hidden.limit);
    this.#u32(VCPU.at.segAttr + index * 4, hidden.attributes);
  }

  #setSystemState(): void {
    const { state } = this.#platform;
    this.#u64(VCPU.at.cr0, state.cr0);
    this.#u64(VCPU.at.cr3, state.cr3);
    this.#u64(VCPU.at.cr4, state.cr4);
    this.#u64(VCPU.at.efer, state.efer);
    this.#u64(VCPU.at.gdtBase, state.gdtBase);
    this.#u32(VCPU.at.gdtLimit, state.gdtLimit);
    this.#u64(VCPU.at.idtBase, state.idtBase);
    this.#u32(VCPU.at.idtLimit, state.idtLimit);
    this.#setSegment(SEG_LDTR, state.ldt, state.ldtBase);
    this.#setSegment(SEG_TR, state.tss, state.tssBase);
  }

  /** `VCPU.mode` in which the cases of a profile run. */
  modeOf(profile: Profile): number {
    this.#setSystemState();
    this.#loadSegments(profile);
    this.#machine.core.updateMode(this.#machine.cpu);
    return this.#get32(VCPU.at.mode);
  }

  #loadSegments(profile: Profile): void {
    [profile.es, profile.cs, profile.ss, profile.ds, profile.fs, profile.gs].forEach((selector, i) => {
      this.#setSegment(i, hiddenPart(selector));
    });
    if (profile.mode !== 64) return;
    this.#u64(VCPU.at.segBase + 32, BigInt(profile.fsBase));
    this.#u64(VCPU.at.segBase + 40, BigInt(profile.gsBase));
  }

  #load(profile: Profile): void {
    const state = this.#state;
    const { view, bytes } = state;
    const { cpu, core } = this.#machine;
    this.#setSystemState();
    for (let i = 0; i < 16; i++) this.#u64(VCPU.at.regs + i * 8, state.gpr(i));
    const eflags = view.getUint32(STATE.eflags, true);
    this.#u32(VCPU.at.eflags, (eflags & ~ARITHMETIC) | 2);
    this.#u32(VCPU.at.flagKind, FLAGS_EXPLICIT);
    this.#u64(VCPU.at.flagA, BigInt(eflags & ARITHMETIC));
    this.#u64(VCPU.at.rip, view.getBigUint64(STATE.rip, true));
    this.#loadSegments(profile);
    this.#u64(VCPU.at.cr2, 0n);
    this.#u32(VCPU.at.cpl, 3);
    this.#u32(VCPU.at.shadow, 0);
    this.#u32(VCPU.at.attention, 0);
    this.#u32(VCPU.at.halted, 0);
    this.#u32(VCPU.at.exception, 0);

    for (let i = 0; i < 16 * 16; i++) this.#bytes[cpu + VCPU.at.xmm + i] = bytes[STATE.xmm + i]!;
    this.#u32(VCPU.at.mxcsr, view.getUint32(STATE.mxcsr, true));
    const fsw = view.getUint16(STATE.fsw, true);
    this.#view.setUint16(cpu + VCPU.at.fpuControl, view.getUint16(STATE.fcw, true), true);
    this.#view.setUint16(cpu + VCPU.at.fpuStatus, fsw, true);
    this.#bytes[cpu + VCPU.at.fpuTag] = bytes[STATE.ftw]!;
    for (let i = 0; i < 8; i++) {
      const physical = cpu + VCPU.at.fpu + (((fsw >> 11) + i) & 7) * 16;
      for (let b = 0; b < 16; b++) this.#bytes[physical + b] = b < 10 ? bytes[STATE.st + i * 16 + b]! : 0;
    }
    // The recorder starts without a last instruction.
    this.#u64(VCPU.at.fpuCodeOffset, 0n);
    this.#u64(VCPU.at.fpuDataOffset, 0n);
    for (const offset of [VCPU.at.fpuOpcode, VCPU.at.fpuCodeSelector, VCPU.at.fpuDataSelector]) {
      this.#view.setUint16(cpu + offset, 0, true);
    }
    core.updateMode(cpu);
  }

  /** Puts bytes into the test pages, and into what they are compared with. */
  #poke(linear: number, data: Uint8Array, ram: boolean): void {
    for (let i = 0; i < data.length; i++) {
      const page = pageIndex(linear + i);
      if (page < 0) continue;
      const offset = (linear + i) & 4095;
      this.#expected[page]![offset] = data[i]!;
      if (ram) this.#bytes[RAM_BASE + this.#platform.pages[page]! + offset] = data[i]!;
    }
  }

  #placeCode(linear: number, code: Uint8Array): void {
    this.#poke(linear, code, true);
    const first = pageIndex(linear);
    const { core, cpu } = this.#machine;
    core.invalidateCode(cpu, this.#platform.pages[first]!, 4096);
    if (first + 1 < TEST_PAGES.length) core.invalidateCode(cpu, this.#platform.pages[first + 1]!, 4096);
  }

  // --- a stream of instructions

  /**
   * Executes code from `state` on, which `run` does until an exception is delivered, and tells what became of it. An INT3 directly
   * behind the code is its end and no exception.
   */
  execute(
    state: CaseState,
    code: Uint8Array,
    codeLinear: number,
    run: () => string | undefined,
  ): CaseOutcome {
    this.#state.bytes.set(state.bytes);
    const profile = PROFILES[state.bytes[STATE.profile]!]!;
    WINDOWS.forEach((base, w) => {
      const from = STATE.windows + w * WINDOW_BYTES;
      this.#poke(base, state.bytes.subarray(from, from + WINDOW_BYTES), true);
    });
    this.#placeCode(codeLinear, code);
    this.#load(profile);
    const problem = run();
    const vector = this.#vector();
    if (problem !== undefined || vector < 0) throw new Error(`the stream does not end: ${problem ?? ''}`);
    const outcome = this.#outcome(profile, vector, codeLinear + code.length);
    this.#placeCode(codeLinear, new Uint8Array(code.length).fill(0xcc));
    return outcome;
  }

  #outcome(profile: Profile, vector: number, end: number): CaseOutcome {
    const { cpu } = this.#machine;
    const state = this.#state;
    const rip = this.#frame(vector, FRAME_RIP);
    const ended = vector === 3 && rip === BigInt(end + 1 - profile.csBase);
    const changed = (
      from: number,
      count: number,
      bytes: number,
      at: (i: number) => number,
    ): ChangedVector[] => {
      const list: ChangedVector[] = [];
      for (let i = 0; i < count; i++) {
        const now = this.#bytes.slice(at(i), at(i) + bytes);
        if (now.some((b, j) => b !== state.bytes[from + i * 16 + j])) list.push({ index: i, bytes: now });
      }
      return list;
    };
    const fsw = this.#view.getUint16(cpu + VCPU.at.fpuStatus, true);
    const physical = (i: number): number => cpu + VCPU.at.fpu + (((fsw >> 11) + i) & 7) * 16;
    return {
      vector: ended ? -1 : vector,
      error: ERROR_CODE_VECTORS.has(vector) ? Number(this.#frame(vector, FRAME_ERROR)) : 0,
      cr2: this.#get64(VCPU.at.cr2),
      rip: ended ? rip - 1n : rip,
      gpr: Array.from({ length: 16 }, (_, i) =>
        registerValue(
          profile,
          i,
          i === 4 ? this.#frame(vector, FRAME_RSP) : this.#get64(VCPU.at.regs + i * 8),
        ),
      ),
      eflags: Number(this.#frame(vector, FRAME_FLAGS)),
      memory: this.#takeMemory(),
      xmm: changed(STATE.xmm, 16, 16, (i) => cpu + VCPU.at.xmm + i * 16),
      mxcsr: this.#get32(VCPU.at.mxcsr),
      fcw: this.#view.getUint16(cpu + VCPU.at.fpuControl, true),
      fsw,
      ftw: this.#bytes[cpu + VCPU.at.fpuTag]!,
      st: changed(STATE.st, 8, 10, physical),
      selectors: Array.from({ length: 6 }, (_, i) => this.#get32(VCPU.at.segSelector + i * 4)),
      fsBase: this.#get64(VCPU.at.segBase + 32),
      gsBase: this.#get64(VCPU.at.segBase + 40),
    };
  }

  /** What is not as it was, as runs; everything is put back. */
  #takeMemory(): MemorySet[] {
    const runs: MemorySet[] = [];
    TEST_PAGES.forEach((page, i) => {
      const before = this.#expected[i]!;
      const base = RAM_BASE + this.#platform.pages[i]!;
      if (sameWords(this.#words, base >>> 2, this.#expectedWords[i]!)) return;
      for (let b = 0; b < 4096; b++) {
        if (this.#bytes[base + b] === before[b]) continue;
        const from = b;
        while (b < 4096 && this.#bytes[base + b] !== before[b]) b++;
        runs.push({ linear: page.address + from, bytes: this.#bytes.slice(base + from, base + b) });
        this.#bytes.set(before.subarray(from, b), base + from);
      }
    });
    return runs;
  }

  // --- one case

  #case(group: Group, c: RecordedCase): string | undefined {
    const profile = PROFILES[group.profile]!;
    const state = this.#state;
    buildCaseState(state, group, c.index, c.input);
    WINDOWS.forEach((base, w) => {
      const from = STATE.windows + w * WINDOW_BYTES;
      this.#poke(base, state.bytes.subarray(from, from + WINDOW_BYTES), true);
    });
    this.#placeCode(c.input.codeLinear, c.input.code);
    this.#load(profile);

    const problem = this.#run();
    for (const run of c.outcome.memory) this.#poke(run.linear, run.bytes, false);
    const differences = problem === undefined ? this.#compare(group, c, profile) : [problem];
    const { result } = undefinedAfter(group.mnemonic, operandFacts(group, c, state));
    this.#compareMemory(
      c.outcome,
      differences,
      result || (c.outcome.vector >= 0 && tolerates(group, 'memory')),
      fxsaveAddress(group, c),
    );

    const filler = new Uint8Array(c.input.code.length).fill(0xcc);
    this.#placeCode(c.input.codeLinear, filler);
    if (differences.length === 0) return undefined;
    return describe(group, c, state, differences);
  }

  /** Steps until the instruction is over: REP may take several. */
  #run(): string | undefined {
    const rip = this.#get64(VCPU.at.rip);
    for (let i = 0; i < MAX_STEPS; i++) {
      const stopped = this.#machine.step();
      if (stopped !== undefined) return `machine: ${stopped}`;
      if (this.#get64(VCPU.at.rip) !== rip || this.#inHandler()) return undefined;
      if (this.#get32(VCPU.at.cpl) !== 3) return undefined;
      // A branch to itself is over after one step, a repetition when its count is.
      if (this.#state.bytes[STATE.stop] !== STOP_BREAKPOINT) return undefined;
    }
    return `still running after ${MAX_STEPS} steps`;
  }

  #inHandler(): boolean {
    return this.#vector() >= 0;
  }

  #vector(): number {
    return this.#platform.vectorAt(this.#get64(VCPU.at.rip));
  }

  #compare(group: Group, c: RecordedCase, profile: Profile): string[] {
    const { outcome } = c;
    const state = this.#state;
    const differences: string[] = [];
    const check = (name: string, got: bigint, expected: bigint): void => {
      if (got !== expected)
        differences.push(`${name} ${got.toString(16)}, expected ${expected.toString(16)}`);
    };
    // Raised and not delivered: a machine without exception delivery.
    const raised = this.#get32(VCPU.at.exception) - 1;
    const vector = raised >= 0 ? raised : this.#vector();
    // #UD always comes first.
    const bothFault = vector > 6 && outcome.vector > 6 && tolerates(group, 'order');
    if (vector !== outcome.vector && !bothFault) {
      const error =
        vector >= 0 && ERROR_CODE_VECTORS.has(vector)
          ? `(${this.#frame(vector, FRAME_ERROR).toString(16)})`
          : '';
      const got = vector < 0 ? 'no exception' : `exception ${vector}${error}`;
      const expected = outcome.vector < 0 ? 'none' : `${outcome.vector}(${outcome.error.toString(16)})`;
      differences.push(`${got}, expected ${expected}`);
    }
    const facts = operandFacts(group, c, state);
    const undefinedNow = undefinedAfter(group.mnemonic, facts);
    const fault = vector >= 0;
    const gpr = (i: number): bigint => {
      const raw = fault && i === 4 ? this.#frame(vector, FRAME_RSP) : this.#get64(VCPU.at.regs + i * 8);
      return registerValue(profile, i, raw);
    };
    const selector = (i: number): number => {
      if (fault && i === SEG_CS) return Number(this.#frame(vector, FRAME_CS) & 0xffffn);
      if (fault && i === SEG_SS) return Number(this.#frame(vector, FRAME_SS) & 0xffffn);
      return this.#get32(VCPU.at.segSelector + i * 4);
    };
    if (vector === outcome.vector) {
      // A write where the recording CPU reads first, and CR2 anywhere near.
      const anywhere = vector === 14 && tolerates(group, 'address');
      // Two selectors or an offset that are all wrong.
      const whichever = vector === 13 && tolerates(group, 'order');
      if (fault && ERROR_CODE_VECTORS.has(vector) && !whichever) {
        const compared = anywhere ? ~2n : ~0n;
        check('error code', this.#frame(vector, FRAME_ERROR) & compared, BigInt(outcome.error) & compared);
      }
      const cr2 = this.#get64(raised >= 0 ? VCPU.at.exceptionAddress : VCPU.at.cr2);
      const distance = cr2 > outcome.cr2 ? cr2 - outcome.cr2 : outcome.cr2 - cr2;
      const near = anywhere && (distance < 512n || WRAPPING.has(group.mnemonic));
      if (vector === 14 && !near) check('CR2', cr2, outcome.cr2);
      check('RIP', fault ? this.#frame(vector, FRAME_RIP) : this.#get64(VCPU.at.rip), outcome.rip);
    }
    for (let i = 0; i < 16; i++) {
      if (undefinedNow.result && outcome.gpr[i] !== state.gpr(i)) continue;
      if (outcome.vector >= 0 && tolerates(group, 'registers') && outcome.gpr[i] !== state.gpr(i)) continue;
      // A far transfer to compatibility mode: the high halves are undefined from then on.
      const kept = profile.mode === 64 && outcome.selectors[SEG_CS] !== USER_CS64 ? 0xffffffffn : ~0n;
      check(REGISTER_NAMES[i]!, gpr(i) & kept, outcome.gpr[i]! & kept);
    }
    const flags = fault
      ? Number(this.#frame(vector, FRAME_FLAGS))
      : this.#arithmeticFlags() | (this.#get32(VCPU.at.eflags) & ~ARITHMETIC);
    const mask = (ARITHMETIC & ~undefinedNow.flags) | SYSTEM_FLAGS;
    const wrong = (flags ^ outcome.eflags) & mask;
    if (wrong !== 0) {
      differences.push(
        `flags ${flagText(flags)}, expected ${flagText(outcome.eflags)} (wrong: ${flagText(wrong)}; undefined: ${flagText(undefinedNow.flags)})`,
      );
    }
    for (let i = 0; i < 6; i++)
      check(SEGMENT_NAMES[i]!, BigInt(nullIsZero(selector(i))), BigInt(nullIsZero(outcome.selectors[i]!)));
    if (profile.mode === 64 && outcome.selectors[SEG_CS] === USER_CS64) {
      // AMD before Zen 3 keeps the base of a null selector, later ones and Intel clear it (CPUID 8000_0021h, NullSelectorClearsBase).
      if (!loadsNull(outcome, SEG_FS)) check('FS.base', this.#get64(VCPU.at.segBase + 32), outcome.fsBase);
      if (!loadsNull(outcome, SEG_GS)) check('GS.base', this.#get64(VCPU.at.segBase + 40), outcome.gsBase);
    }
    this.#compareFloating(group, c, differences);
    return differences;
  }

  #frame(vector: number, field: number): bigint {
    if (this.#get32(VCPU.at.exception) !== 0) return this.#undelivered(field);
    return this.#platform.frame(vector, this.#get64(VCPU.at.regs + 32), field);
  }

  #undelivered(field: number): bigint {
    switch (field) {
      case FRAME_ERROR:
        return BigInt(this.#get32(VCPU.at.exceptionError));
      case FRAME_RIP:
        return this.#get64(VCPU.at.rip);
      case FRAME_CS:
        return BigInt(this.#get32(VCPU.at.segSelector + SEG_CS * 4));
      case FRAME_FLAGS:
        return BigInt(this.#arithmeticFlags() | (this.#get32(VCPU.at.eflags) & ~ARITHMETIC));
      case FRAME_RSP:
        return this.#get64(VCPU.at.regs + 32);
      default:
        return BigInt(this.#get32(VCPU.at.segSelector + SEG_SS * 4));
    }
  }

  #compareFloating(group: Group, c: RecordedCase, differences: string[]): void {
    const { outcome } = c;
    const lastBit = isTranscendental(group, c);
    const { cpu } = this.#machine;
    const state = this.#state;
    for (let i = 0; i < 16; i++) {
      const changed = outcome.xmm.find(({ index }) => index === i);
      const expected = changed?.bytes ?? state.bytes.subarray(STATE.xmm + i * 16, STATE.xmm + i * 16 + 16);
      const at = cpu + VCPU.at.xmm + i * 16;
      if (expected.every((b, j) => b === this.#bytes[at + j])) continue;
      if (APPROXIMATE.has(group.mnemonic) && nearlyEqual(this.#bytes.slice(at, at + 16), expected)) continue;
      differences.push(`XMM${i} ${hex(this.#bytes.subarray(at, at + 16))}, expected ${hex(expected)}`);
    }
    const mxcsr = this.#get32(VCPU.at.mxcsr);
    if (mxcsr !== outcome.mxcsr)
      differences.push(`MXCSR ${mxcsr.toString(16)}, expected ${outcome.mxcsr.toString(16)}`);
    if (outcome.vector >= 0 && tolerates(group, 'registers')) return;
    const fcw = this.#view.getUint16(cpu + VCPU.at.fpuControl, true);
    const fsw = this.#view.getUint16(cpu + VCPU.at.fpuStatus, true);
    const ftw = this.#bytes[cpu + VCPU.at.fpuTag]!;
    if (fcw !== outcome.fcw)
      differences.push(`FCW ${fcw.toString(16)}, expected ${outcome.fcw.toString(16)}`);
    if (((fsw ^ outcome.fsw) & (lastBit ? ~FSW_C1 : ~0)) !== 0)
      differences.push(`FSW ${fsw.toString(16)}, expected ${outcome.fsw.toString(16)}`);
    if (ftw !== outcome.ftw)
      differences.push(`FTW ${ftw.toString(16)}, expected ${outcome.ftw.toString(16)}`);
    for (let i = 0; i < 8; i++) {
      const changed = outcome.st.find(({ index }) => index === i);
      const expected = changed?.bytes ?? state.bytes.subarray(STATE.st + i * 16, STATE.st + i * 16 + 10);
      const at = cpu + VCPU.at.fpu + (((fsw >> 11) + i) & 7) * 16;
      if (expected.every((b, j) => b === this.#bytes[at + j])) continue;
      if (lastBit && differInLastPlace(this.#bytes.slice(at, at + 10), expected)) continue;
      differences.push(`ST(${i}) ${hex(this.#bytes.subarray(at, at + 10))}, expected ${hex(expected)}`);
    }
  }

  /** Compares the test pages, and makes RAM what it should be for the next case. */
  #compareMemory(
    outcome: CaseOutcome,
    differences: string[],
    excused: boolean,
    fxsave: number | undefined,
  ): void {
    const wrong: string[] = [];
    // MXCSR_MASK bit 17 says misaligned SSE mode (MISALIGNSSE), which the guest's CPU does not offer.
    const maskByte = fxsave === undefined ? -1 : fxsave + 30;
    TEST_PAGES.forEach((page, i) => {
      const expected = this.#expected[i]!;
      const base = RAM_BASE + this.#platform.pages[i]!;
      if (sameWords(this.#words, base >>> 2, this.#expectedWords[i]!)) return;
      for (let b = 0; b < 4096; b++) {
        if (this.#bytes[base + b] === expected[b]) continue;
        const linear = page.address + b;
        if (linear === maskByte) expected[b] = this.#bytes[base + b]!;
        if (linear === maskByte) continue;
        if (!excused)
          wrong.push(
            `[${linear.toString(16)}] ${byte(this.#bytes[base + b]!)}, expected ${byte(expected[b]!)}`,
          );
        this.#bytes[base + b] = expected[b]!;
      }
    });
    // The next case fills the windows; what lies outside them is put back here.
    for (const run of outcome.memory) this.#restore(run.linear, run.bytes.length);
    if (wrong.length > 0)
      differences.push(
        `memory ${wrong.slice(0, 4).join('; ')}${wrong.length > 4 ? `; ${wrong.length - 4} more` : ''}`,
      );
  }

  #restore(linear: number, length: number): void {
    const contents = new Uint8Array(4096);
    for (let i = 0; i < length; i++) {
      const page = pageIndex(linear + i);
      if (page < 0) continue;
      const offset = (linear + i) & 4095;
      if (i === 0 || offset === 0) fillPage(TEST_PAGES[page]!, contents);
      this.#poke(linear + i, contents.subarray(offset, offset + 1), true);
    }
  }

  /** The six flags, from the lazy ones (layout/vcpu.ts, FLAGS_*). */
  #arithmeticFlags(): number {
    const kind = this.#get32(VCPU.at.flagKind);
    const a = this.#get64(VCPU.at.flagA);
    if (kind === FLAGS_EXPLICIT) return Number(a & BigInt(ARITHMETIC));
    const r = this.#get64(VCPU.at.flagResult);
    const b = this.#get64(VCPU.at.flagB);
    let flags = (r === 0n ? ZF : 0) | (r >> 63n ? SF : 0) | (evenParity(Number(r & 0xffn)) ? PF : 0);
    const carry = (on: boolean): number => (on ? CF : 0);
    const overflow = (bits: bigint): number => ((bits >> 63n) & 1n ? OF : 0);
    const adjust = (bits: bigint): number => Number(bits & 0x10n);
    if (kind === FLAGS_ADD || kind === FLAGS_ADC) {
      flags |= carry(kind === FLAGS_ADD ? r < a : r <= a) | overflow((a ^ r) & (b ^ r)) | adjust(a ^ b ^ r);
    } else if (kind === FLAGS_SUB || kind === FLAGS_SBB) {
      flags |= carry(kind === FLAGS_SUB ? a < b : a <= b) | overflow((a ^ b) & (a ^ r)) | adjust(a ^ b ^ r);
    } else if (kind === FLAGS_INC || kind === FLAGS_DEC) {
      flags |= carry(b !== 0n) | overflow(kind === FLAGS_INC ? ~a & r : a & ~r) | adjust(a ^ 1n ^ r);
    } else if (kind === FLAGS_RESULT) flags |= Number(a & BigInt(CF | OF | AF));
    return flags;
  }
}

/** Where FXSAVE stored: its image is aligned to 16, its first changed byte is in the first 16 (FCW, FSW, FTW). */
function fxsaveAddress(group: Group, c: RecordedCase): number | undefined {
  const first = c.outcome.memory[0];
  return group.mnemonic === 'fxsave' && first ? first.linear & ~15 : undefined;
}

function tolerates(group: Group, what: Tolerance): boolean {
  return TOLERATED_ON_FAULT[group.mnemonic]?.includes(what) === true;
}

function isTranscendental(group: Group, { input: { code } }: RecordedCase): boolean {
  return group.mnemonic === 'x87reg' && code.at(-2) === 0xd9 && TRANSCENDENTAL.has(code.at(-1)!);
}

/** Whether two extended values are neighbours with the same sign and exponent. */
function differInLastPlace(got: Uint8Array, expected: Uint8Array): boolean {
  const a = new DataView(got.buffer, got.byteOffset);
  const b = new DataView(expected.buffer, expected.byteOffset);
  const distance = a.getBigUint64(0, true) - b.getBigUint64(0, true);
  return a.getUint16(8, true) === b.getUint16(8, true) && distance >= -1n && distance <= 1n;
}

/** Four singles, each within the error that both makers promise. */
function nearlyEqual(got: Uint8Array, expected: Uint8Array): boolean {
  const a = new DataView(got.buffer, got.byteOffset);
  const b = new DataView(expected.buffer, expected.byteOffset);
  for (let i = 0; i < 16; i += 4) {
    if (a.getUint32(i, true) === b.getUint32(i, true)) continue;
    const x = a.getFloat32(i, true);
    const y = b.getFloat32(i, true);
    if (!(Math.abs(x - y) <= Math.abs(y) * APPROXIMATION_ERROR)) return false;
  }
  return true;
}

function loadsNull(outcome: CaseOutcome, segment: number): boolean {
  const base = segment === SEG_FS ? outcome.fsBase : outcome.gsBase;
  return base === 0n && outcome.selectors[segment]! < 4;
}

/** The kernel's IRET to the recorder cleared null selectors (SDM vol. 2, IRET): their RPL is lost. */
function nullIsZero(selector: number): number {
  return selector < 4 ? 0 : selector;
}

function evenParity(value: number): boolean {
  let v = value;
  v ^= v >> 4;
  v ^= v >> 2;
  v ^= v >> 1;
  return (v & 1) === 0;
}

function sameWords(memory: Int32Array, at: number, expected: Int32Array): boolean {
  for (let i = 0; i < expected.length; i++) if (memory[at + i] !== expected[i]) return false;
  return true;
}

function pageIndex(linear: number): number {
  return TEST_PAGES.findIndex(({ address }) => linear >= address && linear < address + 4096);
}

/** Operand size and shift count of a case, read from the group's id and the inputs. */
function operandFacts(group: Group, c: RecordedCase, state: CaseState): { size: number; count: number } {
  const words = group.id.split(' ');
  const operands = words[3] ?? '';
  const size = /b,|b$/.test(operands.split(',')[0] ?? '')
    ? 8
    : Number(words.find((w, i) => i > 3 && /^(16|32|64)$/.test(w)) ?? 32);
  const last = operands.split(',').at(-1);
  const raw =
    last === 'CL'
      ? Number(state.gpr(1) & 0xffn)
      : last === 'Ib'
        ? c.input.code.at(-1)!
        : last === '1'
          ? 1
          : 0;
  return { size, count: raw & (size === 64 ? 63 : 31) };
}

const FLAG_NAMES: readonly (readonly [bit: number, name: string])[] = [
  [CF, 'CF'],
  [PF, 'PF'],
  [AF, 'AF'],
  [ZF, 'ZF'],
  [SF, 'SF'],
  [0x200, 'IF'],
  [0x400, 'DF'],
  [OF, 'OF'],
  [0x3000, 'IOPL'],
  [0x4000, 'NT'],
  [0x40000, 'AC'],
  [0x200000, 'ID'],
];

function flagText(flags: number): string {
  return (
    FLAG_NAMES.filter(([bit]) => flags & bit)
      .map(([, name]) => name)
      .join(' ') || 'none'
  );
}

function byte(value: number): string {
  return value.toString(16).padStart(2, '0');
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, byte).join('');
}

/** The case as a person needs it to find the mistake. */
function describe(group: Group, c: RecordedCase, state: CaseState, differences: readonly string[]): string {
  const profile = PROFILES[group.profile]!;
  const registers: string[] = [];
  for (let i = 0; i < (profile.mode === 64 ? 16 : 8); i++)
    registers.push(`${REGISTER_NAMES[i]}=${state.gpr(i).toString(16)}`);
  const flags = state.view.getUint32(STATE.eflags, true);
  return [
    `${group.id} #${c.index}: ${hex(c.input.code)} at ${c.input.codeLinear.toString(16)}`,
    ...differences.map((d) => `    got ${d}`),
    `    in  ${registers.join(' ')} flags ${flagText(flags)}`,
  ].join('\n');
}
