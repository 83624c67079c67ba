/**
 * `-jit verify` (docs/jit.md): each region runs once as translated, is taken back, and runs once more in the interpreter; the
 * interpreter's run stands. The first disagreement ends the machine with a report.
 */
import type { CpuFeature } from '../../base/cpu-features.ts';
import type { Views } from '../../base/views.ts';
import { compileRegions } from '../../jit/compile.ts';
import type { FormRegion, PageRequest } from '../../jit/translate.ts';
import { Decoder } from '../../isa/decoder.ts';
import {
  EXIT_SHUTDOWN,
  STATUS_BRANCH,
  STATUS_EXIT,
  STATUS_FAULT_AT_RIP,
  STATUS_REPEAT,
} from '../../layout/exits.ts';
import {
  JOURNAL_BASE,
  JOURNAL_BYTES,
  PAGE_SIZE,
  RAM_BASE,
  REGION_CACHE_ENTRIES,
  REGION_CACHE_OFFSET,
  VCPU_BASE,
  VCPU_STRIDE,
} from '../../layout/map.ts';
import {
  BUDGET_USED_UP,
  JOURNAL_CLOSED,
  JOURNAL_OFF,
  JOURNAL_OPEN,
  blockHash,
  REG_PAGE_RIP,
  REGION_CACHE,
  SEG_CS,
  VCPU,
} from '../../layout/vcpu.ts';
import { Code } from '../../wasmgen/code.ts';
import { ModuleBuilder, type Signature } from '../../wasmgen/module.ts';
import { I32 } from '../../wasmgen/opcodes.ts';
import type { HostCalls, Linked } from '../link.ts';
import type { VerifyFigures } from '../../control/figures.ts';
import type { RegionListener } from '../translator.ts';
import { CpuBlock, CpuState, isSame, stateDifferences, type StateDifference } from './cpu-state.ts';
import { AnotherRequest, HostRecord } from './host-record.ts';
import { entriesOf, isSameJournal, memoryDifferences, type Part } from './journal.ts';
import { reportText } from './report.ts';

/** What ends the machine; its message is the report. */
export class Disagreement extends Error {}

/** How the run loop interprets, for the second run. */
export interface Replayer {
  /** Until the budget is used up or an instruction ends the stay: EXIT_*. */
  run(): number;
  /** One instruction, or the delivery of its exception. */
  step(): { readonly kind: string } | undefined;
}

type RegionFunction = (cpu: number, region: number) => number;

interface Region {
  readonly func: RegionFunction;
  readonly request: PageRequest;
  readonly entries: readonly number[];
}

/** A region at one of its entries. */
interface Entered {
  readonly region: Region;
  /** As `BLOCK.region`. */
  readonly number: number;
  readonly offset: number;
}

export interface Disagreements {
  readonly state: readonly StateDifference[];
  readonly memory: ReturnType<typeof memoryDifferences>;
  readonly other: readonly string[];
}

/** A region's run. */
interface Run {
  /** Instructions. */
  readonly retired: number;
  /** What string instructions took out of the budget beside. */
  readonly charged: number;
  /** The EXIT_* that ends the stay: HLT, triple fault, or code that the interpreter has to execute. */
  readonly exit: number | undefined;
  /** It ended in an instruction that did not retire: it faulted, or is a string instruction that goes on. */
  readonly isUnfinished: boolean;
}

/** What two runs came to; both are taken back. */
interface Outcome extends Run {
  readonly differences: Disagreements | undefined;
}

/** Instructions of one run: a loop's turns are among them. */
const LONGEST_RUN = 4096;
/** How often a run is repeated that a write by another thread (DMA) may have disturbed. */
const REPETITIONS = 3;
/** Runs that are tried in search of a shorter one that disagrees. */
const TRIES = 200;
/** No region is installed there, so nothing leads back into a region that runs under this number. */
const NO_SLOT = 0xffff;

export class Verifier {
  readonly host: HostCalls;
  /** Where the regions' functions go: their slots lead here first. */
  readonly table: Pick<WebAssembly.Table, 'set'>;
  readonly #views: Views;
  readonly #cpu: number;
  readonly #features: ReadonlySet<CpuFeature>;
  readonly #form: FormRegion;
  readonly #record: HostRecord;
  readonly #block: CpuBlock;
  readonly #start = new CpuState();
  readonly #translated = new CpuState();
  readonly #interpreted = new CpuState();
  readonly #journal: number;
  /** Not installed yet. */
  readonly #known = new Map<WebAssembly.ExportValue | null, Region>();
  readonly #slots = new Map<number, Region>();
  #translatedPart: Part = { from: 0, to: 0 };
  #interpretedPart: Part = { from: 0, to: 0 };
  #linked!: Linked;
  #replayer!: Replayer;
  #isBusy = false;
  /** A run ends where another region begins. */
  #isAlone = false;
  /** A run of several regions disagreed: instructions that are left of it, and the report if none of them is wrong alone. */
  #suspicion: { left: number; readonly report: string } | undefined;
  #runs = 0;
  #instructions = 0;
  #repeated = 0;
  #unverified = 0;

  constructor(
    views: Views,
    cpu: number,
    host: HostCalls,
    features: ReadonlySet<CpuFeature>,
    form: FormRegion,
  ) {
    this.#views = views;
    this.#cpu = cpu;
    this.#features = features;
    this.#form = form;
    this.#record = new HostRecord(views, cpu, host);
    this.#block = new CpuBlock(views, cpu);
    this.#journal = JOURNAL_BASE + ((cpu - VCPU_BASE) / VCPU_STRIDE) * JOURNAL_BYTES;
    this.host = this.#record.calls;
    const way = wayTo((_, number) => this.#enter(number));
    this.table = {
      set: (slot: number, func: WebAssembly.ExportValue | null) => {
        const region = func === null ? undefined : this.#known.get(func);
        this.#known.delete(func);
        if (region === undefined) this.#slots.delete(slot);
        else this.#slots.set(slot, region);
        this.#linked.regions.set(slot, region === undefined ? null : way);
      },
    };
  }

  attach(linked: Linked, replayer: Replayer): void {
    this.#linked = linked;
    this.#replayer = replayer;
    this.#record.attach(linked.core);
  }

  readonly onRegion: RegionListener = (func, request, entries) => {
    this.#known.set(func, { func: func as RegionFunction, request, entries });
  };

  get figures(): VerifyFigures {
    return {
      runs: this.#runs,
      instructions: this.#instructions,
      repeated: this.#repeated,
      unverified: this.#unverified,
    };
  }

  /** In the place of a region: STATUS_*. */
  #enter(number: number): number {
    // One region leads to another, whose rip, page and budget are in memory: the run ends between them.
    if (this.#isBusy) return STATUS_BRANCH;
    const region = this.#slots.get(number >>> 8)!;
    const offset = region.entries[number & 0xff]!;
    this.#set64(
      VCPU.at.rip,
      (this.#get64(VCPU.at.regs + REG_PAGE_RIP * 8) + BigInt(offset)) & this.#get64(VCPU.at.ripMask),
    );
    this.#isBusy = true;
    try {
      return this.#verify({ region, number, offset });
    } finally {
      this.#isBusy = false;
      this.#record.pass();
    }
  }

  #verify(entered: Entered): number {
    const { core } = this.#linked;
    const budget = this.#get(VCPU.at.budget) | 0;
    const budgetStart = this.#get(VCPU.at.budgetStart);
    const counted = this.#get64(VCPU.at.countInstructions);
    // A TLB may lose its entries at any time, so both runs begin without any; but the code has to be where it was.
    core.flushTlb(this.#cpu, 0);
    const host = core.fetchSlow(this.#cpu, this.#linearRip) >>> 0;
    if (host === 0) return STATUS_FAULT_AT_RIP;
    if (host !== RAM_BASE + entered.region.request.address + entered.offset) return STATUS_BRANCH;
    core.flushTlb(this.#cpu, 0);
    this.#block.save(this.#start);
    this.#isAlone = this.#suspicion !== undefined;
    let longest = Math.max(1, Math.min(budget, LONGEST_RUN));
    let outcome = this.#runBoth(entered, longest);
    if (outcome === undefined) outcome = this.#runBoth(entered, (longest = 1));
    if (outcome === undefined) {
      this.#set(VCPU.at.budget, budget);
      return this.#runUnverified(entered);
    }
    for (let i = 0; outcome.differences !== undefined && i < REPETITIONS; i++) {
      this.#repeated++;
      outcome = this.#runBoth(entered, longest) ?? outcome;
    }
    if (outcome.differences !== undefined && !this.#isAlone) {
      // Which of these regions is it? From here on each runs alone, until the one is entered that is wrong by itself.
      const report = this.#report(entered, longest, outcome.differences);
      this.#suspicion = { left: outcome.retired, report };
      this.#isAlone = true;
      outcome = this.#runBoth(entered, longest) ?? outcome;
    }
    if (outcome.differences !== undefined) {
      const report = this.#report(entered, longest, outcome.differences);
      this.#set(VCPU.at.budget, budget);
      this.#set(VCPU.at.budgetStart, budgetStart);
      this.#set64(VCPU.at.countInstructions, counted);
      throw new Disagreement(report);
    }
    this.#accept();
    if (this.#suspicion !== undefined) {
      this.#suspicion.left -= outcome.retired;
      if (this.#suspicion.left <= 0) throw new Disagreement(this.#suspicion.report);
    }
    this.#runs++;
    this.#instructions += outcome.retired;
    const { retired, charged } = outcome;
    this.#set(VCPU.at.budgetStart, budgetStart - charged);
    this.#set64(VCPU.at.countInstructions, counted);
    const left = budget - charged - retired;
    this.#set(VCPU.at.budget, left > 0 && this.#record.wantsRunLoop ? left - BUDGET_USED_UP : left);
    this.#record.pass();
    this.#record.release();
    if (outcome.exit === undefined) return STATUS_BRANCH;
    this.#set(VCPU.at.exitReason, outcome.exit);
    return STATUS_EXIT;
  }

  /** The region, then the interpreter, both taken back. Undefined: the journal was too short for it. */
  #runBoth(entered: Entered, longest: number): Outcome | undefined {
    const run = this.#translatedRun(entered, longest);
    if (run === undefined) return undefined;
    this.#record.repeat();
    const other = this.#interpretedRun(run);
    if (other === undefined) return undefined;
    const isSameWrites = isSameJournal(this.#views, this.#translatedPart, this.#interpretedPart);
    const missing = this.#record.missing;
    const texts = [
      ...other,
      ...(missing === undefined || other.length > 0 ? [] : [`The interpreter did without ${missing}.`]),
    ];
    if (isSameWrites && texts.length === 0 && isSame(this.#translated, this.#interpreted)) {
      return { ...run, differences: undefined };
    }
    const state = stateDifferences(this.#translated, this.#interpreted);
    const memory = memoryDifferences(this.#views, this.#translatedPart, this.#interpretedPart);
    const isEqual = texts.length === 0 && state.length === 0 && memory.length === 0;
    // What was decoded after a store to code is not what is there now.
    if (!isEqual) this.#forgetCode();
    return { ...run, differences: isEqual ? undefined : { state, memory, other: texts } };
  }

  #translatedRun({ region, number }: Entered, longest: number): Run | undefined {
    const { core } = this.#linked;
    const from = this.#journal;
    this.#record.record();
    this.#begin(JOURNAL_OPEN, from, from + JOURNAL_BYTES / 2);
    this.#setBudget(longest);
    let status = STATUS_BRANCH;
    let isUnfinished = false;
    let isRepeated = false;
    let isTooLong = false;
    try {
      status = region.func(this.#cpu, number);
      while (status === STATUS_BRANCH && !this.#isAlone && (this.#get(VCPU.at.budget) | 0) > 0) {
        const next = this.#nextRegion();
        if (next === 0) break;
        status = this.#slots.get(next >>> 8)!.func(this.#cpu, next);
      }
      isUnfinished = status === STATUS_FAULT_AT_RIP;
      isRepeated = status === STATUS_REPEAT;
      if (status === STATUS_FAULT_AT_RIP) status = core.deliverException(this.#cpu);
    } catch (error) {
      if (!this.#isFull(error)) throw error;
      isTooLong = true;
    }
    const exit = status === STATUS_EXIT ? this.#get(VCPU.at.exitReason) : undefined;
    const retired = this.#ran;
    const charged = longest - (this.#get(VCPU.at.budgetStart) | 0);
    // Without any work it found other bytes in the next page, and did nothing (wasm/crossing.ts).
    if (isRepeated && charged > 0) isUnfinished = true;
    this.#translatedPart = { from, to: this.#get(VCPU.at.journalNext) };
    this.#set(VCPU.at.journal, JOURNAL_OFF);
    this.#takeBack(this.#translated, this.#translatedPart);
    return isTooLong ? undefined : { retired, charged, exit, isUnfinished };
  }

  /** What is translated for rip, as BLOCK.region, if a region would find its way there; 0 if not. */
  #nextRegion(): number {
    const { core } = this.#linked;
    const { u32 } = this.#views;
    const linear = this.#linearRip;
    const address = core.translateDebug(this.#cpu, linear) >>> 0;
    const index = blockHash(address) & (REGION_CACHE_ENTRIES - 1);
    const route = (this.#cpu + REGION_CACHE_OFFSET + index * REGION_CACHE.size) >>> 2;
    const found = u32[route + (REGION_CACHE.at.region >>> 2)]!;
    if (found === 0 || u32[route + (REGION_CACHE.at.address >>> 2)] !== address) return 0;
    if (u32[route + (REGION_CACHE.at.mode >>> 2)] !== this.#get(VCPU.at.mode)) return 0;
    // Only now, as it sets accessed bits: the interpreter will fetch there, too.
    const host = core.fetchSlow(this.#cpu, linear) >>> 0;
    if (host !== RAM_BASE + address) {
      this.#set(VCPU.at.exception, 0);
      return 0;
    }
    const page = this.#get64(VCPU.at.rip) - BigInt(address & (PAGE_SIZE - 1));
    this.#set64(VCPU.at.regs + REG_PAGE_RIP * 8, BigInt.asUintN(64, page));
    return found;
  }

  /** Sentences about what cannot be compared; undefined: the journal was too short. */
  #interpretedRun(run: Run, onStep?: () => void): string[] | undefined {
    const from = this.#journal + JOURNAL_BYTES / 2;
    this.#begin(JOURNAL_CLOSED, from, from + JOURNAL_BYTES / 2);
    const texts: string[] = [];
    let isTooLong = false;
    try {
      texts.push(...this.#replay(run, onStep));
    } catch (error) {
      if (error instanceof AnotherRequest) texts.push(`The interpreter came to ${error.message}.`);
      else if (this.#isFull(error)) isTooLong = true;
      else throw error;
    }
    this.#interpretedPart = { from, to: this.#get(VCPU.at.journalNext) };
    this.#set(VCPU.at.journal, JOURNAL_OFF);
    this.#linked.core.updateMode(this.#cpu);
    this.#takeBack(this.#interpreted, this.#interpretedPart);
    return isTooLong ? undefined : texts;
  }

  #replay({ retired, isUnfinished }: Run, onStep?: () => void): string[] {
    let left = retired;
    let isStepping = onStep !== undefined;
    let end: string | undefined;
    while (left > 0 && end === undefined) {
      onStep?.();
      const budget = isStepping ? 1 : left;
      this.#setBudget(budget);
      if (isStepping) {
        if (this.#replayer.step()?.kind === 'shutdown') end = 'the triple fault';
      } else {
        const exit = this.#replayer.run();
        if (exit === EXIT_SHUTDOWN) end = 'the triple fault';
      }
      const ran = this.#ran;
      left -= ran;
      if (this.#get(VCPU.at.halted) !== 0) end ??= 'HLT';
      // What is left does not fill a block.
      if (ran === 0) {
        if (isStepping) end ??= 'an exception';
        isStepping = true;
      }
    }
    if (left !== 0) return [`The interpreter came to ${end ?? 'its end'} ${left} instructions before that.`];
    if (!isUnfinished) return [];
    onStep?.();
    this.#replayer.step();
    return this.#ran === 0
      ? []
      : ['The interpreter executed the last instruction, which did not end when translated.'];
  }

  /** Even the shortest run writes more than the journal holds. */
  #runUnverified({ region, number }: Entered): number {
    this.#unverified++;
    this.#record.record();
    const status = region.func(this.#cpu, number);
    this.#record.repeat();
    this.#record.pass();
    this.#record.release();
    return status;
  }

  #begin(journal: number, from: number, to: number): void {
    const { core } = this.#linked;
    this.#set(VCPU.at.journalNext, from);
    this.#set(VCPU.at.journalEnd, to);
    this.#set(VCPU.at.journal, journal);
    if (journal === JOURNAL_CLOSED) core.updateMode(this.#cpu);
    // The region is entered, or the interpreter looked its block up: the page's accessed bits are set already.
    core.fetchSlow(this.#cpu, this.#linearRip);
  }

  /** Keeps what a run came to, and makes it undone. */
  #takeBack(state: CpuState, part: Part): void {
    const { core } = this.#linked;
    this.#block.save(state);
    state.flags = BigInt.asUintN(64, core.materializeFlags(this.#cpu));
    core.swapBack(this.#cpu, part.from, part.to);
    core.flushTlb(this.#cpu, 0);
    this.#block.restore(this.#start);
    core.dropLinks(this.#cpu);
  }

  /** The interpreter's run, which was taken back, stands. */
  #accept(): void {
    const { from, to } = this.#interpretedPart;
    const { core } = this.#linked;
    core.swapForward(this.#cpu, from, to);
    this.#block.restore(this.#interpreted);
    core.dropLinks(this.#cpu);
  }

  #forgetCode(): void {
    for (const { host, bytes } of entriesOf(this.#views, this.#interpretedPart)) {
      this.#linked.core.invalidateCode(this.#cpu, host - RAM_BASE, bytes);
    }
  }

  // --- the report

  #report(entered: Entered, longest: number, first: Disagreements): string {
    let shortest = this.#shorten(entered, longest) ?? { run: longest, retired: 0, differences: first };
    const path = this.#pathOf(entered, shortest.run);
    const smaller = this.#reduce(entered, path);
    const reduced = smaller && this.#shorten(smaller.entered, longest);
    if (reduced !== undefined) shortest = reduced;
    const { entered: shown } = reduced === undefined || smaller === undefined ? { entered } : smaller;
    const { request } = shown.region;
    const region = this.#form(new Decoder(this.#features), request);
    return reportText({
      request,
      region,
      module: compileRegions([region]),
      linearPage: this.#get64(VCPU.at.regs + REG_PAGE_RIP * 8),
      entry: entered.offset,
      retired: shortest.retired,
      path,
      before: this.#start,
      differences: shortest.differences,
    });
  }

  /** The shortest run that disagrees. */
  #shorten(
    entered: Entered,
    longest: number,
  ): { readonly run: number; readonly retired: number; readonly differences: Disagreements } | undefined {
    for (let run = 1, tries = 0; run <= longest && tries < TRIES; tries++) {
      const outcome = this.#runBoth(entered, run);
      if (outcome === undefined) return undefined;
      const { retired, differences } = outcome;
      if (differences !== undefined) return { run, retired, differences };
      run = Math.max(run, retired) + 1;
    }
    return undefined;
  }

  /** Linear addresses of the instructions that the interpreter executes where the region runs so long. */
  #pathOf(entered: Entered, longest: number): bigint[] {
    const run = this.#translatedRun(entered, longest);
    if (run === undefined) return [];
    const path: bigint[] = [];
    this.#record.repeat();
    this.#interpretedRun(run, () => path.push(this.#get64(VCPU.at.rip)));
    this.#forgetCode();
    return path;
  }

  /** A region of nothing but the blocks that ran. */
  #reduce({ region, offset }: Entered, path: readonly bigint[]): { readonly entered: Entered } | undefined {
    const page = this.#get64(VCPU.at.regs + REG_PAGE_RIP * 8);
    const ran = new Set(path.map((rip) => Number(BigInt.asUintN(64, rip - page))));
    const leaders = region.request.leaders.filter((leader) => ran.has(leader));
    if (!leaders.includes(offset)) return undefined;
    const request = { ...region.request, leaders, wanted: [offset] };
    const formed = this.#form(new Decoder(this.#features), request);
    const entry = formed.plan.entries.indexOf(offset);
    if (entry < 0) return undefined;
    const module = new WebAssembly.Module(compileRegions([formed], true));
    const { exports } = new WebAssembly.Instance(module, this.#linked.regionImports);
    const func = exports['r0'] as unknown as RegionFunction;
    const entries = formed.plan.entries;
    return { entered: { region: { func, request, entries }, number: (NO_SLOT << 8) | entry, offset } };
  }

  /** A trap of the journal, which has no room for the next entry (wasm/journal.ts). */
  #isFull(error: unknown): boolean {
    const room = this.#get(VCPU.at.journalEnd) - this.#get(VCPU.at.journalNext);
    return error instanceof WebAssembly.RuntimeError && room < 2 * PAGE_SIZE;
  }

  // --- the vCPU's block

  get #linearRip(): bigint {
    return (
      (this.#get64(VCPU.at.rip) + this.#get64(VCPU.at.segEffective + SEG_CS * 8)) &
      this.#get64(VCPU.at.linearMask)
    );
  }

  #setBudget(budget: number): void {
    this.#set(VCPU.at.budget, budget);
    this.#set(VCPU.at.budgetStart, budget);
  }

  /** Instructions since then: BUDGET_USED_UP may be in the budget. */
  get #ran(): number {
    return ((this.#get(VCPU.at.budgetStart) - this.#get(VCPU.at.budget)) << 2) >> 2;
  }

  #get(offset: number): number {
    return this.#views.u32[(this.#cpu + offset) >>> 2]!;
  }

  #set(offset: number, value: number): void {
    this.#views.u32[(this.#cpu + offset) >>> 2] = value;
  }

  #get64(offset: number): bigint {
    return this.#views.data.getBigUint64(this.#cpu + offset, true);
  }

  #set64(offset: number, value: bigint): void {
    this.#views.data.setBigUint64(this.#cpu + offset, value, true);
  }
}

/** A function that a table of functions takes and that calls JavaScript. */
function wayTo(enter: (cpu: number, region: number) => number): WebAssembly.ExportValue {
  const module = new ModuleBuilder();
  const signature: Signature = { params: [I32, I32], results: [I32] };
  const imported = module.importFunction('verifier', 'enter', signature);
  const func = module.declare(signature);
  module.define(func, new Code([I32, I32]).get(0).get(1).call(imported));
  module.exportFunction('way', func);
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.build()), { verifier: { enter } });
  return instance.exports['way']!;
}
