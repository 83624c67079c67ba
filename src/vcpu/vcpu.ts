/** One vCPU: enters the interpreter, gets a reason, handles it (docs/core.md). */
import { DEFAULT_FEATURES, type CpuFeature } from '../base/cpu-features.ts';
import type { Views } from '../base/views.ts';
import type { VcpuFigures } from '../control/figures.ts';
import type { InstalledRegion } from '../control/regions.ts';
import { controlBits } from '../isa/cpuid.ts';
import { EXCEPTION_DB, EXCEPTION_UD } from '../layout/exceptions.ts';
import {
  EXIT_BUDGET,
  EXIT_CUT,
  EXIT_DECODE,
  EXIT_FETCH_MMIO,
  EXIT_HLT,
  EXIT_HOT,
  EXIT_NAMES,
  EXIT_SHUTDOWN,
  STATUS_EXIT,
} from '../layout/exits.ts';
import { STOP_RUN, THREAD_VCPU0 } from '../layout/machine.ts';
import { ARENA_BASE, ARENA_BYTES, RAM_BASE, vcpuAddress } from '../layout/map.ts';
import { DR6_BS, FLAG_IF, FLAG_RF, FLAG_TF } from '../layout/registers.ts';
import {
  ATTENTION_COMPILED,
  ATTENTION_INTERRUPT,
  ATTENTION_MAIL,
  ATTENTION_NMI,
  BUDGET_USED_UP,
  REG_PAGE_RIP,
  SEG_CS,
  SHADOW_STACK,
  VCPU,
} from '../layout/vcpu.ts';
import { stopRequest } from '../sync/stop.ts';
import { WakeWord } from '../sync/wake.ts';
import { BlockDecoder } from './blocks.ts';
import { regionOf, PLAIN, type FormRegion } from '../jit/translate.ts';
import { InPlaceCompiler, type Compiler } from './compiler.ts';
import { OwedKick } from './owed-kick.ts';
import { link, type CoreExports, type HostCalls, type InterpreterExports } from './link.ts';
import { Translator } from './translator.ts';
import { Disagreement, Verifier } from './verify/verifier.ts';

/** Interrupts, timers and time as the run loop sees them; all times in guest nanoseconds. */
export interface VcpuEnvironment {
  /** Vector that can be delivered now, or -1. */
  pendingVector(): number;
  /** Takes that vector into service. */
  acknowledge(): number;
  now(): number;
  /** When the next timer of any device on this thread is due; Infinity if none is. */
  nextDeadline(): number;
  expire(now: number): void;
  /** ATTENTION_MAIL: other threads have overwritten decoded code (sync/code-mail.ts). */
  takeMail(): void;
}

/** Why `run` came back. `Asked` is whatever a device passed to `leave`. */
export type RunEnd<Asked> =
  | { readonly kind: 'stop'; readonly request: number }
  | { readonly kind: 'shutdown' }
  /** The compiler's answer is on its way to this thread's event loop; the guest goes on with the next `run`. */
  | { readonly kind: 'compiled' }
  | { readonly kind: 'asked'; readonly what: Asked }
  /** `verify`: translated code and the interpreter came to different ends; CPU and memory are as they were before. */
  | { readonly kind: 'disagreement'; readonly report: string }
  | { readonly kind: 'unsupported'; readonly message: string };

export interface VcpuOptions {
  readonly views: Views;
  readonly memory: WebAssembly.Memory;
  readonly index: number;
  readonly vcpuCount: number;
  readonly coreModule: WebAssembly.Module;
  readonly interpreterModule: WebAssembly.Module;
  readonly host: HostCalls;
  readonly environment: VcpuEnvironment;
  readonly jit: boolean;
  /** Every region is compared with the interpreter (verify/verifier.ts), and compiled on this thread. */
  readonly verify?: { readonly form?: FormRegion };
  /** Who translates; this thread if absent. */
  readonly compiler?: Compiler;
  /** RDTSC guesses for some microseconds how time goes on: host clocks take long to read. Not with several vCPUs, which would disagree. */
  readonly guessTsc?: boolean;
  /** Of the CPU model; the default ones if absent. */
  readonly features?: ReadonlySet<CpuFeature>;
  /** Milliseconds, for the figures. */
  readonly hostNow: () => number;
}

/** A stay in the interpreter is meant to take this long; timers and interrupts wait for its end. */
const STAY_MS = 0.06;
/** Behind one that took longer the budget is cut at once, and not bit by bit: no interrupt is to wait for so long. */
const LONGEST_STAY_MS = 0.1;
const MIN_BUDGET = 2_000;
const MAX_BUDGET = 200_000;
/** The clock takes as long to read as an instruction to decode: one block of so many stands for all. A power of two. */
const DECODES_PER_MEASUREMENT = 16;
/** A halted vCPU looks around at least this often, in ms, although every event wakes it. */
const MAX_SLEEP_MS = 1000;

export class Vcpu<Asked> {
  /** Host address of the vCPU block. */
  readonly cpu: number;
  readonly core: CoreExports;
  readonly #interpreter: InterpreterExports;
  readonly #views: Views;
  readonly #environment: VcpuEnvironment;
  readonly #thread: number;
  readonly #wake: WakeWord;
  readonly #owedKick: OwedKick;
  readonly #blocks: BlockDecoder;
  readonly #translator: Translator;
  readonly #verifier: Verifier | undefined;
  readonly #hostNow: () => number;
  readonly #exits = new Float64Array(EXIT_NAMES.length);
  #decodeMs = 0;
  #interpretMs = 0;
  #haltedMs = 0;
  #budget = MIN_BUDGET;
  readonly #guessTsc: boolean;
  /** Nanoseconds per instruction, of late. */
  #pace = 0;
  #asked: { what: Asked } | undefined;

  constructor(options: VcpuOptions) {
    this.cpu = vcpuAddress(options.index);
    this.#views = options.views;
    this.#environment = options.environment;
    this.#thread = THREAD_VCPU0 + options.index;
    this.#wake = new WakeWord(options.views, this.#thread);
    this.#owedKick = new OwedKick(options.views, this.cpu);
    this.#hostNow = options.hostNow;
    this.#guessTsc = options.guessTsc ?? false;
    const features = options.features ?? DEFAULT_FEATURES;
    const form = options.verify?.form ?? regionOf;
    const verifier = options.verify && new Verifier(options.views, this.cpu, options.host, features, form);
    this.#verifier = verifier;
    const host = verifier?.host ?? options.host;
    const linked = link(options.memory, options.coreModule, options.interpreterModule, host);
    this.core = linked.core;
    this.#interpreter = linked.interpreter;
    const allowed = controlBits(features);
    this.#set(VCPU.at.cr4Allowed, allowed.cr4);
    this.#set(VCPU.at.eferAllowed, allowed.efer);
    this.#blocks = new BlockDecoder(options.views, linked.core, this.cpu, features);
    const translation = verifier === undefined ? PLAIN : { journaled: true, form };
    const compiler = options.compiler ?? new InPlaceCompiler(features, options.hostNow, translation);
    this.#translator = new Translator(
      options.views,
      verifier === undefined ? linked : { ...linked, regions: verifier.table },
      this.cpu,
      options.hostNow,
      compiler,
      verifier?.onRegion,
    );
    verifier?.attach(linked, { run: () => this.#replay(), step: () => this.step() });
    this.#translator.enable(options.jit);
    this.#blocks.onFlush = () => this.#translator.forget();
    const share = Math.floor(ARENA_BYTES / options.vcpuCount) & -64;
    const start = ARENA_BASE + options.index * share;
    this.#set(VCPU.at.arenaStart, start);
    this.#set(VCPU.at.arenaNext, start);
    this.#set(VCPU.at.arenaEnd, start + share);
  }

  /** Power-on state; RAM is not touched. */
  reset(ramBytes: number): void {
    this.#set(VCPU.at.ramBytes, ramBytes);
    this.core.reset(this.cpu);
    this.core.flushBlocks(this.cpu);
    this.#translator.forget();
    this.#asked = undefined;
  }

  /** Translated code that is installed now. */
  get regions(): InstalledRegion[] {
    return this.#translator.regions;
  }

  get figures(): VcpuFigures {
    return {
      decodeMs: this.#decodeMs,
      interpretMs: this.#interpretMs,
      haltedMs: this.#haltedMs,
      jit: this.#translator.figures,
      ...(this.#verifier === undefined ? {} : { verify: this.#verifier.figures }),
      exits: Object.fromEntries(EXIT_NAMES.map((name, i) => [name, this.#exits[i]!])),
    };
  }

  /** Called by a device on this thread: `run` comes back after the current instruction's block. */
  leave(what: Asked): void {
    this.#asked ??= { what };
    this.useUpBudget();
  }

  /** Makes the interpreter return at the next block (docs/core.md, Interrupts). */
  useUpBudget(): void {
    const left = this.#get(VCPU.at.budget) | 0;
    if (left > 0) this.#set(VCPU.at.budget, left - BUDGET_USED_UP);
  }

  /** Runs the guest until something stops it. */
  run(): RunEnd<Asked> {
    try {
      return this.#run();
    } catch (error) {
      if (error instanceof Disagreement) return { kind: 'disagreement', report: error.message };
      throw error;
    } finally {
      this.#owedKick.pay();
    }
  }

  #run(): RunEnd<Asked> {
    this.#translator.install();
    for (;;) {
      if (this.#asked) {
        const { what } = this.#asked;
        this.#asked = undefined;
        return { kind: 'asked', what };
      }
      const request = stopRequest(this.#views, this.#thread);
      if (request !== STOP_RUN) return { kind: 'stop', request };
      const now = this.#environment.now();
      if (now >= this.#environment.nextDeadline()) this.#environment.expire(now);
      if (this.#attention() !== 0) {
        if (this.#takeCompiled()) return { kind: 'compiled' };
        if (!this.#interrupts()) return { kind: 'shutdown' };
      }
      if (this.#get(VCPU.at.halted) !== 0) {
        this.#sleep(now);
        continue;
      }
      this.#owedKick.turn(now);
      const end = (this.#isAlone() ? this.#stepAlone() : this.#stay()) ?? this.#debugTrap();
      if (end) return end;
    }
  }

  /** Executes exactly one instruction, or delivers the exception that it raises. */
  step(): RunEnd<Asked> | undefined {
    this.#set(VCPU.at.tscGuesses, 0);
    this.#set(VCPU.at.budget, 1);
    this.#set(VCPU.at.budgetStart, 1);
    const host = this.#fetch(this.#linearRip());
    if (host === 0) return this.#deliver();
    if (host === 1) return this.#outsideRam();
    const block = this.#decodeOne(host, false);
    if (typeof block !== 'number') return block;
    return block === 0 ? undefined : this.#handle(this.#interpreter.runBlock(this.cpu, block), true);
  }

  /**
   * Decodes the instruction at rip, which is `host`, into the scratch block, or with `keep` into one that is found again if it
   * goes on in the next page. Gives the block, or 0 if the instruction's exception was delivered instead.
   */
  #decodeOne(host: number, keep: boolean): number | RunEnd<Asked> {
    let block = this.#blocks.decodeOne(host, 0);
    if (block === 0) {
      const second = this.#fetch((this.#linearRip() & ~0xfffn) + 0x1000n);
      if (second === 0) return this.#deliver() ?? 0;
      if (second === 1) return this.#outsideRam() ?? 0;
      block = this.#blocks.decodeOne(host, second);
      if (keep) block = this.#blocks.keepCrossing(second);
    }
    this.#setPageRip(host);
    return block;
  }

  /** One stay in the interpreter. */
  #stay(): RunEnd<Asked> | undefined {
    this.#set(VCPU.at.budget, this.#budget);
    this.#set(VCPU.at.budgetStart, this.#budget);
    this.#set(VCPU.at.tscGuesses, 0);
    const started = this.#hostNow();
    const decodedBefore = this.#decodeMs;
    let end: RunEnd<Asked> | undefined;
    let reason = this.#interpreter.run(this.cpu);
    while (reason === EXIT_DECODE || reason === EXIT_HOT || reason === EXIT_CUT) {
      this.#set(VCPU.at.tscGuesses, 0);
      const next =
        reason === EXIT_DECODE ? this.#decode() : reason === EXIT_HOT ? this.#translate() : this.#exclude();
      if (typeof next !== 'number') {
        end = next;
        break;
      }
      reason = next;
    }
    if (reason === EXIT_BUDGET) this.#translator.tick();
    const elapsed = this.#hostNow() - started;
    this.#interpretMs += elapsed - (this.#decodeMs - decodedBefore);
    const ran = this.#ran();
    this.#countInstructions(ran);
    if (this.#guessTsc && ran > MIN_BUDGET / 2) {
      this.#pace += ((elapsed * 1e6) / ran - this.#pace) / 4;
      this.#set(VCPU.at.tscRate, Math.min(Math.max(1, Math.round(this.#pace * 65536)), 0xffffffff));
    }
    // Only a full stay says how long a budget lasts.
    if (reason === EXIT_BUDGET && ran > this.#budget >> 1 && elapsed > 0) {
      const target = (this.#budget * STAY_MS) / elapsed;
      const next = elapsed > LONGEST_STAY_MS ? target : (this.#budget * 7 + target) / 8;
      this.#budget = Math.round(Math.min(MAX_BUDGET, Math.max(MIN_BUDGET, next)));
    }
    return end ?? this.#handle(reason, false);
  }

  #handle(reason: number, counted: boolean): RunEnd<Asked> | undefined {
    this.#exits[reason]!++;
    if (counted) {
      this.#countInstructions(this.#ran());
    }
    switch (reason) {
      case EXIT_SHUTDOWN:
        return { kind: 'shutdown' };
      case EXIT_FETCH_MMIO:
        return this.#outsideRam();
      case EXIT_HLT:
        this.#set(VCPU.at.halted, 1);
        return undefined;
      case EXIT_BUDGET:
      case EXIT_DECODE:
      case EXIT_HOT:
      case EXIT_CUT:
        return undefined;
      default:
        return { kind: 'unsupported', message: `the interpreter returned ${reason}` };
    }
  }

  /** EXIT_DECODE: decodes what is at rip and goes on. Gives the next EXIT_*. */
  #decode(): number | RunEnd<Asked> {
    const isMeasured = (this.#exits[EXIT_DECODE]!++ & (DECODES_PER_MEASUREMENT - 1)) === 0;
    const started = isMeasured ? this.#hostNow() : 0;
    const host = this.#get(VCPU.at.exitArg0);
    const decoded = this.#blocks.decodeBlock(host);
    if (isMeasured) this.#decodeMs += (this.#hostNow() - started) * DECODES_PER_MEASUREMENT;
    // Who used the budget up (IRET with an interrupt pending) wants the run loop before the next instruction.
    if (this.#isBudgetUsedUp) return EXIT_BUDGET;
    // The page of rip was set when the block was looked up.
    if (decoded !== 0) return this.#interpreter.runBlock(this.cpu, decoded);
    const block = this.#decodeOne(host, true);
    return typeof block === 'number' ? this.#interpreter.runBlock(this.cpu, block) : block;
  }

  /** For the verifier: interprets until the budget is used up, or an EXIT_* that ends the stay. */
  #replay(): number {
    let reason = this.#interpreter.run(this.cpu);
    while (reason === EXIT_DECODE || reason === EXIT_HOT) {
      const next = reason === EXIT_DECODE ? this.#decode() : this.#interpreter.run(this.cpu);
      if (typeof next !== 'number') return next.kind === 'shutdown' ? EXIT_SHUTDOWN : EXIT_BUDGET;
      reason = next;
    }
    return reason;
  }

  get #isBudgetUsedUp(): boolean {
    return (this.#get(VCPU.at.budget) | 0) <= 0;
  }

  /** EXIT_HOT: notes the block for translation and goes on. */
  #translate(): number {
    this.#exits[EXIT_HOT]!++;
    this.#translator.hot(this.#get(VCPU.at.exitArg0));
    return this.#isBudgetUsedUp ? EXIT_BUDGET : this.#interpreter.run(this.cpu);
  }

  /** EXIT_CUT: the interpreter executes what is at rip. */
  #exclude(): number | RunEnd<Asked> {
    this.#exits[EXIT_CUT]!++;
    // The TLB does not know the limit of CS, and brings us here also beyond it.
    const host = this.#fetch(this.#linearRip());
    const end = host === 0 ? this.#deliver() : host === 1 ? this.#outsideRam() : undefined;
    if (host > 1) this.#translator.exclude(host - RAM_BASE);
    if (end) return end;
    return this.#isBudgetUsedUp ? EXIT_BUDGET : this.#interpreter.run(this.cpu);
  }

  /** Between STI or a load of SS and the instruction behind it. A shadow that nobody asked for is long over. */
  get #isShadowed(): boolean {
    return (
      this.#get(VCPU.at.shadow) !== 0 &&
      this.#get(VCPU.at.shadowRip) === this.#get(VCPU.at.rip) &&
      this.#get(VCPU.at.shadowRip + 4) === this.#get(VCPU.at.rip + 4)
    );
  }

  /** Whether the next instruction runs by itself: it is traced, passes its breakpoint, or stands behind MOV SS. */
  #isAlone(): boolean {
    return (this.#get(VCPU.at.eflags) & (FLAG_TF | FLAG_RF)) !== 0 || this.#get(VCPU.at.debugPending) !== 0;
  }

  /** Single step: a trap follows every instruction that did not itself cause an event (SDM vol. 3, 18.3.1.4). */
  #stepAlone(): RunEnd<Asked> | undefined {
    const flags = this.#get(VCPU.at.eflags);
    if (flags & FLAG_RF) {
      this.#set(VCPU.at.eflags, flags & ~FLAG_RF);
      this.#set(VCPU.at.debugResume, 1);
    }
    this.#set(VCPU.at.shadow, 0);
    const delivered = this.#get(VCPU.at.delivered);
    const end = this.step();
    if (end) return end;
    const traced = (flags & FLAG_TF) !== 0 && this.#get(VCPU.at.delivered) === delivered;
    if (traced && this.#get(VCPU.at.shadow) !== SHADOW_STACK) {
      this.#set(VCPU.at.debugPending, this.#get(VCPU.at.debugPending) | DR6_BS);
    }
    return undefined;
  }

  /** #DB for what the last instruction has earned; behind a load of SS it waits for one more (APM vol. 2, 13.1.1.5). */
  #debugTrap(): RunEnd<Asked> | undefined {
    const causes = this.#get(VCPU.at.debugPending);
    if (causes === 0 || this.#get(VCPU.at.shadow) === SHADOW_STACK) return undefined;
    this.#set(VCPU.at.debugPending, 0);
    this.#set(VCPU.at.dr + 6 * 8, this.#get(VCPU.at.dr + 6 * 8) | causes);
    this.#set(VCPU.at.halted, 0);
    this.#set(VCPU.at.exception, 1 + EXCEPTION_DB);
    return this.#deliver();
  }

  /** Whether the compiler has answered since the last call. */
  #takeCompiled(): boolean {
    if ((this.#attention() & ATTENTION_COMPILED) === 0) return false;
    // Before the turn of the event loop: an answer that comes later sets the bit again.
    Atomics.and(this.#views.i32, (this.cpu + VCPU.at.attention) >>> 2, ~ATTENTION_COMPILED);
    this.#translator.countTurn();
    return true;
  }

  /** Delivers what can be delivered; false on a triple fault. */
  #interrupts(): boolean {
    if (this.#attention() & ATTENTION_MAIL) this.#environment.takeMail();
    if (this.#isShadowed) {
      const held = this.#get(VCPU.at.halted) === 0;
      const end = held ? (this.#isAlone() ? this.#stepAlone() : this.step()) : undefined;
      this.#set(VCPU.at.shadow, 0);
      if (end) return end.kind !== 'shutdown';
      if (this.#debugTrap()) return false;
    }
    const attention = this.#attention();
    const { i32 } = this.#views;
    if (attention & ATTENTION_NMI && this.#get(VCPU.at.nmiBlocked) === 0) {
      // Taken before delivery: an NMI that arrives meanwhile sets the bit again.
      Atomics.and(i32, (this.cpu + VCPU.at.attention) >>> 2, ~ATTENTION_NMI);
      this.#set(VCPU.at.halted, 0);
      if (this.core.nonMaskableInterrupt(this.cpu) === STATUS_EXIT) return false;
    }
    if (attention & ATTENTION_INTERRUPT && this.#environment.pendingVector() >= 0) {
      if ((this.#get(VCPU.at.eflags) & FLAG_IF) === 0) return true;
      const vector = this.#environment.acknowledge();
      if (vector < 0) return true;
      this.#set(VCPU.at.halted, 0);
      if (this.core.interruptVector(this.cpu, vector) === STATUS_EXIT) return false;
    }
    return true;
  }

  /** HLT: waits for the next timer or for whoever bumps the wake word. */
  #sleep(now: number): void {
    this.#owedKick.halting(now);
    const started = this.#hostNow();
    const left = (this.#environment.nextDeadline() - this.#environment.now()) / 1e6;
    // Every cause makes the loop test all its reasons again, so which one it was does not matter.
    if (left > 0) this.#wake.wait(Math.min(left, MAX_SLEEP_MS));
    this.#haltedMs += this.#hostNow() - started;
  }

  #deliver(): RunEnd<Asked> | undefined {
    return this.core.deliverException(this.cpu) === STATUS_EXIT ? { kind: 'shutdown' } : undefined;
  }

  /** There is no memory to execute: a PC reads ones there, and FFh FFh is no instruction. */
  #outsideRam(): RunEnd<Asked> | undefined {
    this.#set(VCPU.at.exception, 1 + EXCEPTION_UD);
    return this.#deliver();
  }

  #fetch(linear: bigint): number {
    return this.core.fetchSlow(this.cpu, linear) >>> 0;
  }

  /** Linear address of rip. */
  #linearRip(): bigint {
    const { data } = this.#views;
    const rip = data.getBigUint64(this.cpu + VCPU.at.rip, true);
    const base = data.getBigUint64(this.cpu + VCPU.at.segEffective + SEG_CS * 8, true);
    return (rip + base) & data.getBigUint64(this.cpu + VCPU.at.linearMask, true);
  }

  #setPageRip(host: number): void {
    const { data } = this.#views;
    const rip = data.getBigUint64(this.cpu + VCPU.at.rip, true);
    data.setBigUint64(
      this.cpu + VCPU.at.regs + REG_PAGE_RIP * 8,
      BigInt.asUintN(64, rip - BigInt(host & 0xfff)),
      true,
    );
  }

  /** Instructions executed in this stay: 30 bits with a sign, as BUDGET_USED_UP may be in the budget. */
  #ran(): number {
    return ((this.#get(VCPU.at.budgetStart) - this.#get(VCPU.at.budget)) << 2) >> 2;
  }

  #countInstructions(by: number): void {
    const { u32 } = this.#views;
    const low = (this.cpu + VCPU.at.countInstructions) >>> 2;
    const sum = u32[low]! + by;
    u32[low] = sum;
    if (sum > 0xffffffff) u32[low + 1]!++;
  }

  /** ATTENTION_* bits; ordered before the reads of what they speak of, which was written before they were set. */
  #attention(): number {
    return Atomics.load(this.#views.u32, (this.cpu + VCPU.at.attention) >>> 2);
  }

  #get(offset: number): number {
    return this.#views.u32[(this.cpu + offset) >>> 2]!;
  }

  #set(offset: number, value: number): void {
    this.#views.u32[(this.cpu + offset) >>> 2] = value;
  }
}
