/** Decides what is translated and installs it, on the vCPU's own thread. */
import type { CpuFeature } from '../base/cpu-features.ts';
import type { Views } from '../base/views.ts';
import { Decoder } from '../isa/decoder.ts';
import { compileRegions } from '../jit/compile.ts';
import { formRegion, MAX_REGION_BLOCKS, type Region } from '../jit/region.ts';
import {
  PAGE_HASH_ENTRIES,
  PAGE_HASH_OFFSET,
  PAGE_SIZE,
  RAM_BASE,
  REGION_CACHE_ENTRIES,
  REGION_CACHE_OFFSET,
} from '../layout/map.ts';
import {
  BLOCK,
  MODE_CODE16,
  MODE_CODE_MASK,
  MODE_DEBUG,
  MODE_FLAT,
  REGION_CACHE,
  VCPU,
} from '../layout/vcpu.ts';
import { REGION_SLOTS, type Linked } from './link.ts';

/** Entries of a block in the interpreter before it is translated. */
export const JIT_THRESHOLD = 1024;
export const JIT_OFF = 0xffffffff;
/** Blocks of the same page with at least this share of the threshold come along. */
const WARM = JIT_THRESHOLD / 16;
/** Regions that are compiled as one module: a module of ten costs a third per function of one alone. */
const BATCH = 8;
/** Budget expiries (60 us) that an incomplete batch waits. */
const MAX_WAIT = 32;
/** A page whose code keeps growing hot is translated as a whole this often; then only what is new. */
const WHOLE_PAGE_ROUNDS = 3;

export interface TranslatorFigures {
  readonly regions: number;
  readonly modules: number;
  readonly bytes: number;
  readonly instructions: number;
  readonly translateMs: number;
  readonly compileMs: number;
}

export class Translator {
  readonly #views: Views;
  readonly #linked: Linked;
  readonly #cpu: number;
  readonly #hostNow: () => number;
  readonly #decoder: Decoder;
  readonly #queue = new Map<number, number>();
  readonly #rounds = new Map<number, number>();
  /** Budget expiries since the queue got its first entry. */
  #waited = 0;
  #nextSlot = 1;
  #regions = 0;
  #modules = 0;
  #bytes = 0;
  #instructions = 0;
  #translateMs = 0;
  #compileMs = 0;

  constructor(
    views: Views,
    linked: Linked,
    cpu: number,
    hostNow: () => number,
    features: ReadonlySet<CpuFeature>,
  ) {
    this.#decoder = new Decoder(features);
    this.#views = views;
    this.#linked = linked;
    this.#cpu = cpu;
    this.#hostNow = hostNow;
  }

  get figures(): TranslatorFigures {
    return {
      regions: this.#regions,
      modules: this.#modules,
      bytes: this.#bytes,
      instructions: this.#instructions,
      translateMs: this.#translateMs,
      compileMs: this.#compileMs,
    };
  }

  /** All blocks are forgotten: so is what was translated from them. */
  forget(): void {
    this.#queue.clear();
    this.#rounds.clear();
    for (let slot = 1; slot < this.#nextSlot; slot++) this.#linked.regions.set(slot, null);
    this.#nextSlot = 1;
    this.#forgetRoutes();
  }

  #forgetRoutes(): void {
    const start = this.#cpu + REGION_CACHE_OFFSET;
    this.#views.u8.fill(0, start, start + REGION_CACHE_ENTRIES * REGION_CACHE.size);
  }

  /** A block has reached the threshold. */
  hot(block: number): void {
    const { u32 } = this.#views;
    const mode = u32[(block + BLOCK.at.mode) >>> 2]!;
    if ((mode & (MODE_FLAT | MODE_DEBUG)) !== MODE_FLAT || (mode & MODE_CODE_MASK) === MODE_CODE16) return;
    const address = u32[(block + BLOCK.at.address) >>> 2]!;
    // One entry for each page and mode; low address bits are free.
    this.#queue.set((address & -PAGE_SIZE) | mode, block);
    if (this.#queue.size >= BATCH) this.flush();
  }

  /** Called now and then: translates what has waited long enough for company. */
  tick(): void {
    if (this.#queue.size > 0 && ++this.#waited >= MAX_WAIT) this.flush();
  }

  /** Translates what is waiting. */
  flush(): void {
    this.#waited = 0;
    if (this.#queue.size === 0) return;
    const started = this.#hostNow();
    const regions: Region[] = [];
    const members: number[][] = [];
    for (const key of this.#queue.keys()) {
      const page = (key & -PAGE_SIZE) >>> 0;
      const mode = key & (PAGE_SIZE - 1);
      const round = (this.#rounds.get(key) ?? 0) + 1;
      this.#rounds.set(key, round);
      const blocks = this.#blocksOf(page, mode, round > WHOLE_PAGE_ROUNDS);
      const region = formRegion(this.#decoder, this.#views.u8, RAM_BASE + page, mode, [...blocks.keys()]);
      if (region.blocks.length === 0) continue;
      regions.push(region);
      members.push(region.plan.entries.map((offset) => blocks.get(offset)!));
    }
    this.#queue.clear();
    if (regions.length === 0) return;
    if (this.#nextSlot + regions.length > REGION_SLOTS) {
      this.#linked.core.flushBlocks(this.#cpu);
      this.forget();
      return;
    }
    const bytes = compileRegions(regions);
    const compiled = this.#hostNow();
    const module = new WebAssembly.Module(bytes);
    const { exports } = new WebAssembly.Instance(module, this.#linked.regionImports);
    const { u32 } = this.#views;
    members.forEach((blocks, i) => {
      const slot = this.#nextSlot++;
      this.#linked.regions.set(slot, exports[`r${i}`]);
      blocks.forEach((block, entry) => {
        u32[(block + BLOCK.at.region) >>> 2] = (slot << 8) | entry;
      });
    });
    // Entries may point to what these regions replace.
    this.#forgetRoutes();
    this.#regions += regions.length;
    this.#modules++;
    this.#bytes += bytes.length;
    for (const { blocks } of regions)
      for (const { instructions } of blocks) this.#instructions += instructions.length;
    this.#translateMs += compiled - started;
    this.#compileMs += this.#hostNow() - compiled;
  }

  /** Live blocks of a page that are warm, by rising offset: the region's leaders. */
  #blocksOf(page: number, mode: number, onlyNew: boolean): Map<number, number> {
    const { u32 } = this.#views;
    const bucket = this.#cpu + PAGE_HASH_OFFSET + ((page >>> 12) & (PAGE_HASH_ENTRIES - 1)) * 4;
    const found: [offset: number, block: number, heat: number][] = [];
    for (let block = u32[bucket >>> 2]!; block !== 0; block = u32[(block + BLOCK.at.pageNext) >>> 2]!) {
      const address = u32[(block + BLOCK.at.address) >>> 2]!;
      if ((address & -PAGE_SIZE) >>> 0 !== page || u32[(block + BLOCK.at.mode) >>> 2] !== mode) continue;
      const heat = u32[(block + BLOCK.at.heat) >>> 2]!;
      if (heat < WARM) continue;
      if (onlyNew && u32[(block + BLOCK.at.region) >>> 2] !== 0) continue;
      found.push([address & (PAGE_SIZE - 1), block, heat]);
    }
    found.sort((a, b) => b[2] - a[2]);
    const kept = found.slice(0, MAX_REGION_BLOCKS).sort((a, b) => a[0] - b[0]);
    return new Map(kept.map(([offset, block]) => [offset, block]));
  }

  /** Sets when blocks are reported hot. */
  enable(on: boolean): void {
    this.#views.u32[(this.#cpu + VCPU.at.jitThreshold) >>> 2] = on ? JIT_THRESHOLD : JIT_OFF;
  }
}
