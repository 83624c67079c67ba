/** From hot blocks to installed regions: asks the policy, hands pages to the compiler, installs what comes back. */
import { TWO_32 } from '../base/bits.ts';
import type { Views } from '../base/views.ts';
import type { JitFigures } from '../control/figures.ts';
import type { InstalledRegion } from '../control/regions.ts';
import type { PageRequest, PageResult } from '../jit/translate.ts';
import { PAGE_HASH_ENTRIES, PAGE_HASH_OFFSET, PAGE_SIZE, RAM_BASE } from '../layout/map.ts';
import { BLOCK, BLOCK_TAIL_OFFSET, MODE_DEBUG, VCPU } from '../layout/vcpu.ts';
import type { CompiledJob, Compiler } from './compiler.ts';
import { REGION_SLOTS, type Linked } from './link.ts';
import { RegionStore, type NewRegion } from './region-store.ts';
import {
  BATCH,
  chooseLeaders,
  heatAfter,
  isWhole,
  HEAT_MASK_OFF,
  HEAT_NEVER,
  HEAT_PERIOD,
  heatMask,
  MAX_BATCH,
  MAX_WAIT,
  periodOf,
  reportsNeeded,
  restAfter,
  type Candidate,
  type Standing,
} from './tiering.ts';

/** What is known of a physical page in one mode. */
interface Page {
  /** Blocks that its translations cover, by offset. */
  readonly covered: Map<number, number>;
  readonly wanted: Set<number>;
  round: number;
  /** Of its blocks, since it was last translated. */
  reports: number;
  overwritten: number;
  /** Count of instructions before which it is not translated. */
  restUntil: number;
}

/** The blocks of a page that were asked for, by offset. */
interface Asked {
  readonly key: number;
  readonly blocks: ReadonlyMap<number, number>;
  readonly request: PageRequest;
  /** Behind the page (the request's bytes may have moved to the compiler's thread). */
  readonly tail: Uint8Array;
}

/** Told of each region before it is installed: its function, what was asked for, and the offsets of its entries by number. */
export type RegionListener = (
  func: WebAssembly.ExportValue,
  request: PageRequest,
  entries: readonly number[],
) => void;

export class Translator {
  readonly #views: Views;
  readonly #linked: Linked;
  readonly #cpu: number;
  readonly #hostNow: () => number;
  readonly #compiler: Compiler;
  readonly #onRegion: RegionListener | undefined;
  readonly #store: RegionStore;
  /** By `keyOf`. */
  readonly #pages = new Map<number, Page>();
  readonly #queue = new Set<number>();
  /** Jobs that the compiler has, by id; of a forgotten one nothing is known any more. */
  readonly #jobs = new Map<number, readonly Asked[]>();
  #nextJob = 1;
  /** Pages in these. */
  readonly #compiling = new Set<number>();
  /** Budget expiries since the queue got its first entry. */
  #waited = 0;
  #regions = 0;
  #modules = 0;
  #bytes = 0;
  #instructions = 0;
  #dropped = 0;
  #retranslated = 0;
  #merged = 0;
  #postponed = 0;
  #longestQueue = 0;
  #turns = 0;
  #translateMs = 0;
  #compileMs = 0;
  #requestMs = 0;
  #installMs = 0;

  constructor(
    views: Views,
    linked: Linked,
    cpu: number,
    hostNow: () => number,
    compiler: Compiler,
    onRegion?: RegionListener,
  ) {
    this.#views = views;
    this.#linked = linked;
    this.#cpu = cpu;
    this.#hostNow = hostNow;
    this.#compiler = compiler;
    this.#onRegion = onRegion;
    this.#store = new RegionStore(views, linked.regions, linked.core, cpu, REGION_SLOTS);
  }

  /** What is installed now. */
  get regions(): InstalledRegion[] {
    return this.#store.list();
  }

  get figures(): JitFigures {
    return {
      regions: this.#regions,
      modules: this.#modules,
      bytes: this.#bytes,
      instructions: this.#instructions,
      liveRegions: this.#store.regions,
      liveModules: this.#store.modules,
      liveBytes: this.#store.bytes,
      evicted: this.#store.evicted,
      dropped: this.#dropped,
      retranslated: this.#retranslated,
      merged: this.#merged,
      postponed: this.#postponed,
      queue: this.#waiting,
      longestQueue: this.#longestQueue,
      turns: this.#turns,
      translateMs: this.#translateMs,
      compileMs: this.#compileMs,
      requestMs: this.#requestMs,
      installMs: this.#installMs,
    };
  }

  /** Sets when blocks are reported hot. */
  enable(on: boolean): void {
    this.#views.u32[(this.#cpu + VCPU.at.heatMask) >>> 2] = on ? heatMask(HEAT_PERIOD) : HEAT_MASK_OFF;
  }

  /** All blocks are forgotten: so is what was translated from them, and what is being translated. */
  forget(): void {
    this.#pages.clear();
    this.#queue.clear();
    this.#jobs.clear();
    this.#compiling.clear();
    this.#store.clear();
  }

  /** A block has been entered a number of times more. */
  hot(block: number): void {
    const { u32 } = this.#views;
    const mode = u32[(block + BLOCK.at.mode) >>> 2]!;
    // Off: the count has come round.
    if (mode & MODE_DEBUG || u32[(this.#cpu + VCPU.at.heatMask) >>> 2] === HEAT_MASK_OFF) return;
    const address = u32[(block + BLOCK.at.address) >>> 2]!;
    const key = keyOf(address, mode);
    const page = this.#page(key);
    // What is being compiled decides what is left of the page.
    const isEarly = this.#compiling.has(key) || ++page.reports < reportsNeeded(this.#waiting);
    if (isEarly || this.#instructionsRun() < page.restUntil) {
      this.#postponed++;
      return;
    }
    const offset = address & (PAGE_SIZE - 1);
    if (page.covered.get(offset) === block) page.wanted.add(offset);
    this.#queue.add(key);
    this.#longestQueue = Math.max(this.#longestQueue, this.#waiting);
    if (this.#queue.size >= BATCH) this.flush();
  }

  /** Leaves the block at a physical address to the interpreter: its translation does not suit the CS that it runs with. */
  exclude(address: number): void {
    const mode = this.#views.u32[(this.#cpu + VCPU.at.mode) >>> 2]!;
    const block = this.#blocksOf(keyOf(address, mode)).get(address & (PAGE_SIZE - 1));
    if (block === undefined) return;
    // Nothing links to code that is not flat.
    this.#store.lead(block, 0);
    // Never reported again.
    this.#views.u32[(block + BLOCK.at.heat) >>> 2] = HEAT_NEVER;
  }

  /** Called now and then: hands over what has waited long enough for company. */
  tick(): void {
    if (this.#queue.size === 0) return;
    const patience = this.#jobs.size === 0 ? this.#compiler.patience : MAX_WAIT;
    if (++this.#waited >= patience) this.flush();
  }

  /** Hands what is waiting to the compiler. */
  flush(): void {
    if (this.#jobs.size >= this.#compiler.capacity) return;
    this.#waited = 0;
    const { u32 } = this.#views;
    const started = this.#hostNow();
    const requests: PageRequest[] = [];
    const asked: Asked[] = [];
    for (const key of this.#queue) {
      if (requests.length === MAX_BATCH) break;
      // What is being compiled decides what is left of the page.
      if (this.#compiling.has(key)) continue;
      this.#queue.delete(key);
      const blocks = this.#blocksOf(key);
      const page = this.#pages.get(key)!;
      const leaders = chooseLeaders(this.#candidates(page, blocks), ++page.round, this.#period);
      page.reports = 0;
      if (leaders.length === 0) continue;
      if (isWhole(page.round)) this.#merged++;
      const request: PageRequest = {
        // Written since it was decoded, its blocks are dead, or are about to be: then the answer is dropped.
        bytes: this.#copyPage(addressOf(key), leaders, blocks),
        address: addressOf(key),
        mode: modeOf(key),
        leaders,
        wanted: leaders.filter((offset) => page.wanted.has(offset)),
      };
      // Until the answer is here (`#note`).
      for (const offset of leaders) u32[(blocks.get(offset)! + BLOCK.at.heat) >>> 2] = HEAT_NEVER;
      requests.push(request);
      asked.push({
        key,
        blocks: new Map(leaders.map((offset) => [offset, blocks.get(offset)!])),
        request,
        tail: request.bytes.slice(PAGE_SIZE),
      });
    }
    if (requests.length === 0) return;
    const id = this.#nextJob++;
    this.#jobs.set(id, asked);
    for (const { key } of asked) this.#compiling.add(key);
    this.#requestMs += this.#hostNow() - started;
    this.#compiler.submit({ id, pages: requests });
    this.install();
  }

  /** The thread is about to take a turn of its event loop, as the compiler has answered. */
  countTurn(): void {
    this.#turns++;
  }

  /** Installs what the compiler has finished. No region may be running. */
  install(): void {
    for (const job of this.#compiler.take()) {
      this.#translateMs += job.translateMs;
      this.#compileMs += job.compileMs;
      const asked = this.#jobs.get(job.id);
      if (asked === undefined) {
        this.#dropped += job.pages.length;
        continue;
      }
      const started = this.#hostNow();
      this.#jobs.delete(job.id);
      for (const { key } of asked) this.#compiling.delete(key);
      this.#installJob(job, asked);
      this.#installMs += this.#hostNow() - started;
    }
  }

  #installJob({ pages, module, bytes }: CompiledJob, asked: readonly Asked[]): void {
    const alive = asked.filter(({ key, blocks }, i) => {
      const unchanged = [...blocks.values()].every((block) => this.#isAlive(block, key));
      if (unchanged) this.#note(this.#pages.get(key)!, blocks, pages[i]!);
      else this.#drop(key, blocks);
      return unchanged && pages[i]!.func >= 0;
    });
    if (module === undefined || alive.length === 0) return;
    const { exports } = new WebAssembly.Instance(module, this.#linked.regionImports);
    const regions = alive.map((page): NewRegion => {
      const { func, entries, instructions } = pages[asked.indexOf(page)]!;
      this.#instructions += instructions;
      const { address, mode, leaders, wanted } = page.request;
      const installedAt = this.#instructionsRun();
      const translated = exports[`r${func}`]!;
      this.#onRegion?.(translated, page.request, entries);
      return {
        func: translated,
        entries: entries.map((offset) => page.blocks.get(offset) ?? 0),
        detail: { page: address, mode, leaders, wanted, tail: page.tail, entries, instructions, installedAt },
      };
    });
    this.#store.install(regions, bytes);
    this.#regions += regions.length;
    this.#modules++;
    this.#bytes += bytes;
  }

  /** A page, and behind it what the last one of these blocks has of the next page. */
  #copyPage(
    address: number,
    leaders: readonly number[],
    blocks: ReadonlyMap<number, number>,
  ): Uint8Array<ArrayBuffer> {
    const { u8, u16 } = this.#views;
    const last = leaders.at(-1)!;
    const block = blocks.get(last)!;
    const tail = Math.max(0, last + u16[(block + BLOCK.at.bytes) >>> 1]! - PAGE_SIZE);
    const bytes = new Uint8Array(PAGE_SIZE + tail);
    bytes.set(u8.subarray(RAM_BASE + address, RAM_BASE + address + PAGE_SIZE));
    bytes.set(u8.subarray(block + BLOCK_TAIL_OFFSET, block + BLOCK_TAIL_OFFSET + tail), PAGE_SIZE);
    return bytes;
  }

  /** The page has a translation of these blocks. */
  #note(page: Page, blocks: ReadonlyMap<number, number>, { covered }: PageResult): void {
    const { u32 } = this.#views;
    for (const [offset, heat] of heatAfter([...blocks.keys()], covered)) {
      u32[(blocks.get(offset)! + BLOCK.at.heat) >>> 2] = heat;
    }
    for (const offset of covered) page.covered.set(offset, blocks.get(offset)!);
  }

  /** What is left of these blocks may become hot again. */
  #drop(key: number, blocks: ReadonlyMap<number, number>): void {
    this.#dropped++;
    for (const block of blocks.values()) {
      if (this.#isAlive(block, key)) this.#views.u32[(block + BLOCK.at.heat) >>> 2] = 0;
    }
  }

  #isAlive(block: number, key: number): boolean {
    // The arena gives no memory away twice without `forget`.
    return this.#views.u32[(block + BLOCK.at.mode) >>> 2] === modeOf(key);
  }

  get #period(): number {
    return periodOf(this.#views.u32[(this.#cpu + VCPU.at.heatMask) >>> 2]!);
  }

  get #waiting(): number {
    return this.#queue.size + this.#compiling.size;
  }

  /** What is known of a page; what its translations covered is forgotten if its code has been overwritten since. */
  #page(key: number): Page {
    let page = this.#pages.get(key);
    if (page === undefined) {
      page = { covered: new Map(), wanted: new Set(), round: 0, reports: 0, overwritten: 0, restUntil: 0 };
      this.#pages.set(key, page);
    }
    // A write to code kills all blocks of its page.
    const [first] = page.covered.values();
    if (first !== undefined && !this.#isAlive(first, key)) {
      page.covered.clear();
      page.wanted.clear();
      page.round = 0;
      page.reports = 0;
      page.overwritten++;
      page.restUntil = this.#instructionsRun() + restAfter(page.overwritten, this.#period);
      this.#retranslated++;
    }
    return page;
  }

  /** Live blocks of a page by offset. */
  #blocksOf(key: number): Map<number, number> {
    const { u32 } = this.#views;
    const page = addressOf(key);
    const mode = modeOf(key);
    const bucket = this.#cpu + PAGE_HASH_OFFSET + ((page >>> 12) & (PAGE_HASH_ENTRIES - 1)) * 4;
    const found = new Map<number, number>();
    for (let block = u32[bucket >>> 2]!; block !== 0; block = u32[(block + BLOCK.at.pageNext) >>> 2]!) {
      const address = u32[(block + BLOCK.at.address) >>> 2]!;
      if ((address & -PAGE_SIZE) >>> 0 !== page || u32[(block + BLOCK.at.mode) >>> 2] !== mode) continue;
      found.set(address & (PAGE_SIZE - 1), block);
    }
    return found;
  }

  #candidates(page: Page, blocks: ReadonlyMap<number, number>): Candidate[] {
    const { u32 } = this.#views;
    return Array.from(blocks, ([offset, block]) => {
      const isEntry = u32[(block + BLOCK.at.region) >>> 2] !== 0;
      const standing: Standing = isEntry ? 'entry' : page.covered.has(offset) ? 'inside' : 'new';
      return { offset, heat: u32[(block + BLOCK.at.heat) >>> 2]!, standing };
    });
  }

  /** Instructions since power-on, up to the stay that runs now. */
  #instructionsRun(): number {
    const { u32 } = this.#views;
    const low = (this.#cpu + VCPU.at.countInstructions) >>> 2;
    return u32[low + 1]! * TWO_32 + u32[low]!;
  }
}

/** One for each page and mode: low address bits are free. */
function keyOf(address: number, mode: number): number {
  return ((address & -PAGE_SIZE) | mode) >>> 0;
}

function addressOf(key: number): number {
  return (key & -PAGE_SIZE) >>> 0;
}

function modeOf(key: number): number {
  return key & (PAGE_SIZE - 1);
}
