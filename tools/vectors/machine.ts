/** A vCPU without devices for the replay of vectors. */
import { DEFAULT_FEATURES } from '../../src/base/cpu-features.ts';
import { viewsOf } from '../../src/base/views.ts';
import type { Views } from '../../src/base/views.ts';
import { REPLAY_RAM_BYTES } from '../../src/interp/vectors-platform.ts';
import type { PlatformKind } from '../../src/interp/vectors-platform.ts';
import { Replay, type Difference } from '../../src/interp/vectors-replay.ts';
import type { CaseOutcome, Group } from '../../src/interp/vectors-file.ts';
import { PROFILES, type CaseState } from '../../src/interp/vectors-state.ts';
import type { Stream } from './stream-generator.ts';
import { Decoder, MAX_LENGTH } from '../../src/isa/decoder.ts';
import { compileRegions } from '../../src/jit/compile.ts';
import { planRegion } from '../../src/jit/plan.ts';
import { formRegion, type Region } from '../../src/jit/region.ts';
import type { FormRegion } from '../../src/jit/translate.ts';
import {
  EXIT_CUT,
  STATUS_BRANCH,
  STATUS_EXIT,
  STATUS_FAULT_AT_RIP,
  STATUS_REPEAT,
} from '../../src/layout/exits.ts';
import { PAGE_SIZE, RAM_BASE } from '../../src/layout/map.ts';
import { MODE_CODE32, MODE_CODE64, MODE_FLAT, REG_PAGE_RIP, SEG_CS, VCPU } from '../../src/layout/vcpu.ts';
import { link, type HostCalls, type Linked } from '../../src/vcpu/link.ts';
import { Vcpu, type RunEnd } from '../../src/vcpu/vcpu.ts';
import { Disagreement, Verifier } from '../../src/vcpu/verify/verifier.ts';

/** No device answers. */
const HOST: HostCalls = {
  mmioRead: () => undefined,
  mmioWrite: () => undefined,
  portRead: () => 0,
  portWrite: () => 0,
  cpuid: () => undefined,
  readMsr: () => 1,
  writeMsr: () => 1,
  tsc: () => 0,
  random: () => undefined,
  taskPriority: () => 0,
  setTaskPriority: () => undefined,
};

interface BareVcpu {
  readonly memory: WebAssembly.Memory;
  readonly views: Views;
  readonly vcpu: Vcpu<Ended>;
  readonly coreModule: WebAssembly.Module;
  readonly interpreterModule: WebAssembly.Module;
  /** Runs until an exception handler halts; else a text. */
  readonly runToHalt: () => string | undefined;
}

/** A machine whose exception handlers halt: that, or going on for ever, ends a run. */
type Ended = 'halted' | 'stuck';
/** Stays in the interpreter after which a run counts as stuck. */
const MAX_STAYS = 100;

function bareVcpu(core: Uint8Array<ArrayBuffer>, interpreter: Uint8Array<ArrayBuffer>): BareVcpu {
  const bytes = RAM_BASE + REPLAY_RAM_BYTES;
  const memory = new WebAssembly.Memory({ initial: bytes / 65536, maximum: 65536, shared: true });
  const views = viewsOf(memory.buffer);
  const coreModule = new WebAssembly.Module(core);
  const interpreterModule = new WebAssembly.Module(interpreter);
  let stays = 0;
  const vcpu: Vcpu<Ended> = new Vcpu<Ended>({
    views,
    memory,
    index: 0,
    vcpuCount: 1,
    coreModule,
    interpreterModule,
    host: HOST,
    environment: {
      pendingVector: () => -1,
      takeMail: () => {},
      acknowledge: () => -1,
      now: () => {
        if (++stays > MAX_STAYS) vcpu.leave('stuck');
        return 0;
      },
      nextDeadline: () => {
        if (views.u32[(vcpu.cpu + VCPU.at.halted) >>> 2] === 0) return Infinity;
        vcpu.leave('halted');
        return 0;
      },
      expire: () => undefined,
    },
    jit: false,
    hostNow: () => 0,
  });
  vcpu.reset(REPLAY_RAM_BYTES);
  const runToHalt = (): string | undefined => {
    stays = 0;
    const end = vcpu.run();
    return end.kind === 'asked' && end.what === 'halted' ? undefined : endOf(end);
  };
  return { memory, views, vcpu, coreModule, interpreterModule, runToHalt };
}

/** Each instruction by its handler in the interpreter. */
export function createReplay(
  core: Uint8Array<ArrayBuffer>,
  interpreter: Uint8Array<ArrayBuffer>,
  kind: PlatformKind,
): Replay {
  const { memory, views, vcpu } = bareVcpu(core, interpreter);
  const step = (): string | undefined => {
    try {
      return endOf(vcpu.step());
    } catch (error) {
      // A function of the core that is not there yet.
      if (!(error instanceof WebAssembly.RuntimeError)) throw error;
      return views.u32[(vcpu.cpu + VCPU.at.exception) >>> 2]
        ? undefined
        : `the core trapped: ${error.message}`;
    }
  };
  return new Replay({ memory: memory.buffer, cpu: vcpu.cpu, core: vcpu.core, step }, kind);
}

type RegionFunction = (cpu: number, entry: number) => number;

/** Cases that share a module: many are cheaper together, all of them are too much. */
const BATCH = 400;

/** A region of one instruction, or undefined where translated code leaves it to the interpreter. */
function regionOf(
  decoder: Decoder,
  bytes: Uint8Array,
  page: number,
  offset: number,
  mode: number,
): Region | undefined {
  const [block] = formRegion(decoder, bytes, page, mode, [offset]).blocks;
  const instruction = block?.instructions[0];
  if (!instruction) return undefined;
  const end = offset + instruction.length;
  const blocks = [{ offset, instructions: [instruction], end }];
  return { mode, page: 0, blocks, plan: planRegion(blocks, mode, new Set()) };
}

function keyOf(bytes: Uint8Array, at: number, length: number, offset: number, mode: number): string {
  return `${mode} ${offset} ${String.fromCharCode(...bytes.subarray(at, at + length))}`;
}

/** What a verifier needs of a region's slot. */
const SLOT = 1;

/** Each instruction translated, as a region of its own; with `verify` also compared with the interpreter. */
export class JitReplay {
  readonly #bare: BareVcpu;
  readonly #replay: Replay;
  readonly #decoder = new Decoder();
  readonly #imports: WebAssembly.Imports;
  #functions = new Map<string, RegionFunction>();
  /** Instructions that ran translated, and those that the interpreter had to execute. */
  translated = 0;
  interpreted = 0;

  readonly #verifier: Verifier | undefined;
  /** Leads to the verifier, in the place of a region. */
  #way: RegionFunction | undefined;

  constructor(
    core: Uint8Array<ArrayBuffer>,
    interpreter: Uint8Array<ArrayBuffer>,
    kind: PlatformKind,
    verify = false,
  ) {
    this.#bare = bareVcpu(core, interpreter);
    const { memory, views, vcpu, coreModule, interpreterModule } = this.#bare;
    if (verify) {
      const form: FormRegion = (decoder, { bytes, mode, leaders }) =>
        regionOf(decoder, bytes, 0, leaders[0]!, mode)!;
      this.#verifier = new Verifier(views, vcpu.cpu, HOST, DEFAULT_FEATURES, form);
    }
    const linked = link(memory, coreModule, interpreterModule, this.#verifier?.host ?? HOST);
    this.#imports = linked.regionImports;
    const regions: Linked['regions'] = {
      set: (_, way) => {
        this.#way = way as RegionFunction;
      },
    };
    this.#verifier?.attach(
      { ...linked, regions },
      { run: () => linked.interpreter.run(vcpu.cpu), step: () => vcpu.step() },
    );
    const machine = { memory: memory.buffer, cpu: vcpu.cpu, core: vcpu.core, step: () => this.#step() };
    this.#replay = new Replay(machine, kind);
  }

  /** Cases that the verifier compared. */
  get verified(): number {
    return this.#verifier?.figures.runs ?? 0;
  }

  /** All differences of the groups, at most `limit` of each. */
  replay(groups: readonly Group[], limit: number): Difference[] {
    const differences: Difference[] = [];
    let batch: Group[] = [];
    let cases = 0;
    const flush = (): void => {
      this.#compile(batch);
      for (const group of batch) differences.push(...this.#replay.replay(group, limit));
      batch = [];
      cases = 0;
    };
    for (const group of groups) {
      batch.push(group);
      cases += group.cases.length;
      if (cases >= BATCH) flush();
    }
    flush();
    return differences;
  }

  #compile(groups: readonly Group[]): void {
    const regions = new Map<string, Region>();
    const page = new Uint8Array(PAGE_SIZE + MAX_LENGTH);
    for (const { profile, cases } of groups) {
      const mode = this.#replay.modeOf(PROFILES[profile]!);
      for (const { input } of cases) {
        const offset = input.codeLinear & (PAGE_SIZE - 1);
        page.set(input.code, offset);
        const region = regionOf(this.#decoder, page, 0, offset, mode);
        if (region)
          regions.set(keyOf(page, offset, region.blocks[0]!.instructions[0]!.length, offset, mode), region);
      }
    }
    this.#functions = new Map();
    if (regions.size === 0) return;
    const module = new WebAssembly.Module(
      compileRegions([...regions.values()], this.#verifier !== undefined),
    );
    const { exports } = new WebAssembly.Instance(module, this.#imports);
    [...regions.keys()].forEach((key, i) => this.#functions.set(key, exports[`r${i}`] as RegionFunction));
  }

  #step(): string | undefined {
    const { views, vcpu } = this.#bare;
    const { cpu } = vcpu;
    const u32 = (offset: number): number => views.u32[(cpu + offset) >>> 2]!;
    const mode = u32(VCPU.at.mode);
    const rip = views.data.getBigUint64(cpu + VCPU.at.rip, true);
    const base = views.data.getBigUint64(cpu + VCPU.at.segEffective + SEG_CS * 8, true);
    const host = vcpu.core.fetchSlow(cpu, rip + base) >>> 0;
    const offset = host & (PAGE_SIZE - 1);
    const { length } =
      host > 1
        ? this.#decoder.decode(views.u8, host, host - offset + PAGE_SIZE, offset, mode)
        : { length: 0 };
    const run = length > 0 ? this.#functions.get(keyOf(views.u8, host, length, offset, mode)) : undefined;
    if (!run) {
      this.interpreted++;
      views.u32[(cpu + VCPU.at.exception) >>> 2] = 0;
      return endOf(vcpu.step());
    }
    views.u32[(cpu + VCPU.at.budget) >>> 2] = 1;
    views.u32[(cpu + VCPU.at.budgetStart) >>> 2] = 1;
    const pageRip = BigInt.asUintN(64, rip - BigInt(offset));
    views.data.setBigUint64(cpu + VCPU.at.regs + REG_PAGE_RIP * 8, pageRip, true);
    const status = this.#verifier ? this.#verified(run, host, mode) : run(cpu, 0);
    if (status === STATUS_EXIT && u32(VCPU.at.exitReason) === EXIT_CUT) {
      this.interpreted++;
      return endOf(vcpu.step());
    }
    this.translated++;
    if (typeof status === 'string') return status;
    if (status === STATUS_BRANCH || status === STATUS_REPEAT) return undefined;
    // HLT, or a triple fault, whose state is there.
    if (status === STATUS_EXIT && this.#verifier) return undefined;
    if (status !== STATUS_FAULT_AT_RIP) return `the region returned ${status}`;
    return vcpu.core.deliverException(cpu) === STATUS_EXIT ? 'shutdown' : undefined;
  }

  /** STATUS_*, or the report of a disagreement. */
  #verified(func: RegionFunction, host: number, mode: number): number | string {
    const { views, vcpu } = this.#bare;
    const start = host & -PAGE_SIZE;
    const offset = host - start;
    const request = {
      bytes: views.u8.slice(start, start + PAGE_SIZE),
      address: start - RAM_BASE,
      mode,
      leaders: [offset],
      wanted: [offset],
    };
    this.#verifier!.onRegion(func, request, [offset]);
    this.#verifier!.table.set(SLOT, func);
    try {
      return this.#way!(vcpu.cpu, SLOT << 8);
    } catch (error) {
      if (error instanceof Disagreement) return error.message;
      throw error;
    }
  }
}

function endOf(end: RunEnd<Ended> | undefined): string | undefined {
  if (end?.kind === 'asked') return end.what;
  return end && (end.kind === 'unsupported' ? end.message : end.kind);
}

/** Streams of instructions through the run loop, as a guest's code runs: in blocks of the interpreter. */
export class StreamMachine {
  protected readonly bare: BareVcpu;
  readonly #replay: Replay;

  constructor(core: Uint8Array<ArrayBuffer>, interpreter: Uint8Array<ArrayBuffer>) {
    this.bare = bareVcpu(core, interpreter);
    const { memory, vcpu } = this.bare;
    const machine = { memory: memory.buffer, cpu: vcpu.cpu, core: vcpu.core, step: () => endOf(vcpu.step()) };
    this.#replay = new Replay(machine, 'long');
  }

  /** Before `execute` of each of them. */
  prepare(_streams: readonly Stream[]): void {}

  /** `state`: as `streamState` left it. */
  execute(stream: Stream, state: CaseState): CaseOutcome {
    return this.#replay.execute(state, stream.code, stream.codeLinear, () => this.run(stream));
  }

  /** Instructions executed so far. */
  get instructions(): number {
    const { views, vcpu } = this.bare;
    return Number(views.data.getBigUint64(vcpu.cpu + VCPU.at.countInstructions, true));
  }

  protected run(_stream: Stream): string | undefined {
    return this.bare.runToHalt();
  }
}

/** More than any stream executes. */
const STREAM_BUDGET = 1_000_000;
const STREAM_TRANSFERS = 10_000;

/** The same by translated code: each stream is a region, and what is not translated is stepped. */
export class JitStreamMachine extends StreamMachine {
  readonly #decoder = new Decoder();
  readonly #imports: WebAssembly.Imports;
  readonly #functions = new Map<
    Stream,
    { readonly run: RegionFunction; readonly entries: readonly number[] }
  >();
  /** Entries into regions, and instructions that the interpreter had to execute. */
  translated = 0;
  interpreted = 0;

  constructor(core: Uint8Array<ArrayBuffer>, interpreter: Uint8Array<ArrayBuffer>) {
    super(core, interpreter);
    const { memory, coreModule, interpreterModule } = this.bare;
    this.#imports = link(memory, coreModule, interpreterModule, HOST).regionImports;
  }

  override prepare(streams: readonly Stream[]): void {
    const page = new Uint8Array(PAGE_SIZE + MAX_LENGTH);
    const regions: Region[] = [];
    const owners: Stream[] = [];
    for (const stream of streams) {
      const mode = MODE_FLAT | (PROFILES[stream.profile]!.mode === 64 ? MODE_CODE64 : MODE_CODE32);
      page.fill(0xcc);
      const offset = stream.codeLinear & (PAGE_SIZE - 1);
      page.set(stream.code.subarray(0, page.length - offset), offset);
      const leaders = stream.leaders.filter((leader) => leader < PAGE_SIZE);
      const region = formRegion(this.#decoder, page, 0, mode, leaders);
      if (region.blocks.length === 0) continue;
      regions.push(region);
      owners.push(stream);
    }
    this.#functions.clear();
    if (regions.length === 0) return;
    const module = new WebAssembly.Module(compileRegions(regions));
    const { exports } = new WebAssembly.Instance(module, this.#imports);
    owners.forEach((stream, i) => {
      this.#functions.set(stream, {
        run: exports[`r${i}`] as RegionFunction,
        entries: regions[i]!.plan.entries,
      });
    });
  }

  protected override run(stream: Stream): string | undefined {
    const { views, vcpu } = this.bare;
    const { cpu } = vcpu;
    const set = (offset: number, value: number): void => {
      views.u32[(cpu + offset) >>> 2] = value;
    };
    const compiled = this.#functions.get(stream);
    const page = BigInt(stream.codeLinear & -PAGE_SIZE);
    for (let n = 0; n < STREAM_TRANSFERS; n++) {
      if (views.u32[(cpu + VCPU.at.cpl) >>> 2] === 0) return undefined;
      const offset = views.data.getBigUint64(cpu + VCPU.at.rip, true) - page;
      const entry = offset >= 0n && offset < 4096n ? (compiled?.entries.indexOf(Number(offset)) ?? -1) : -1;
      if (!compiled || entry < 0) {
        this.interpreted++;
        set(VCPU.at.exception, 0);
        const end = endOf(vcpu.step());
        if (end !== undefined) return end;
        continue;
      }
      this.translated++;
      set(VCPU.at.budget, STREAM_BUDGET);
      set(VCPU.at.budgetStart, STREAM_BUDGET);
      views.data.setBigUint64(cpu + VCPU.at.regs + REG_PAGE_RIP * 8, page, true);
      // The region's probe of the TLB for the page of its code.
      vcpu.core.fetchSlow(cpu, page + offset);
      const status = compiled.run(cpu, entry);
      if (status === STATUS_BRANCH || status === STATUS_REPEAT) continue;
      if (status !== STATUS_FAULT_AT_RIP) return `the region returned ${status}`;
      if (vcpu.core.deliverException(cpu) === STATUS_EXIT) return 'shutdown';
    }
    return 'stuck';
  }
}
