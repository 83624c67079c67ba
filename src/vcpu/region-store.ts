/** The translated regions of a vCPU: their slots in its table, the blocks that lead to them, and their end. */
import type { Views } from '../base/views.ts';
import type { InstalledRegion, RegionDetail } from '../control/regions.ts';
import { REGION_CACHE_ENTRIES, REGION_CACHE_OFFSET } from '../layout/map.ts';
import { BLOCK, BLOCK_DEAD, blockHash, REGION_CACHE } from '../layout/vcpu.ts';
import type { CoreExports } from './link.ts';

export interface StoreLimits {
  /** Of the table; slot 0 stays empty, as 0 means that a block has no region. */
  readonly slots: number;
  readonly modules: number;
  /** Of WebAssembly; the machine code that V8 makes of it is three to five times as long. */
  readonly bytes: number;
}

/** A module costs 50 KiB beside its code (measured: 16,000 of them 451 MB), and tabs are killed for less than a gigabyte. */
const LIMITS = { modules: 2048, bytes: 48 << 20 };

export interface NewRegion {
  readonly func: WebAssembly.ExportValue;
  /** Blocks (host addresses) that enter the region, by the number of the entry; 0: there is none at that entry. */
  readonly entries: readonly number[];
  /** For whoever looks at the machine. */
  readonly detail: RegionDetail;
}

interface Region {
  readonly slot: number;
  readonly detail: RegionDetail;
  readonly entries: readonly number[];
}

interface Module {
  readonly regions: readonly Region[];
  readonly bytes: number;
}

export class RegionStore {
  readonly #views: Views;
  readonly #table: Pick<WebAssembly.Table, 'set'>;
  readonly #core: Pick<CoreExports, 'dropLinks'>;
  readonly #cpu: number;
  readonly #limits: StoreLimits;
  /** Oldest first. */
  #modules: Module[] = [];
  #free: number[] = [];
  #nextSlot = 1;
  #bytes = 0;
  #evicted = 0;

  constructor(
    views: Views,
    table: Pick<WebAssembly.Table, 'set'>,
    core: Pick<CoreExports, 'dropLinks'>,
    cpu: number,
    slots: number,
    limits: Omit<StoreLimits, 'slots'> = LIMITS,
  ) {
    this.#views = views;
    this.#table = table;
    this.#core = core;
    this.#cpu = cpu;
    this.#limits = { slots, ...limits };
  }

  get modules(): number {
    return this.#modules.length;
  }

  get regions(): number {
    return this.#modules.reduce((sum, { regions }) => sum + regions.length, 0);
  }

  list(): InstalledRegion[] {
    return this.#modules.flatMap(({ regions }) => regions.map(({ slot, detail }) => ({ ...detail, slot })));
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Modules that went although blocks led to them. */
  get evicted(): number {
    return this.#evicted;
  }

  /** The regions of one new module. No region may be running. */
  install(regions: readonly NewRegion[], bytes: number): void {
    this.#makeRoom(regions.length, bytes);
    const installed = regions.map(({ func, entries, detail }): Region => {
      const slot = this.#free.pop() ?? this.#nextSlot++;
      this.#table.set(slot, func);
      entries.forEach((block, entry) => {
        if (block !== 0) this.lead(block, (slot << 8) | entry);
      });
      return { slot, entries, detail };
    });
    this.#modules.push({ regions: installed, bytes });
    this.#bytes += bytes;
    this.#core.dropLinks(this.#cpu);
  }

  /** Every block is gone, so nothing leads to any region. */
  clear(): void {
    for (const module of this.#modules) this.#release(module);
    this.#modules = [];
    this.#free = [];
    this.#nextSlot = 1;
    this.#forgetRoutes();
  }

  /** Makes `block`, and the route to its address, lead to `region` (as BLOCK.region), or to none if that is 0. */
  lead(block: number, region: number): void {
    const { u32 } = this.#views;
    const address = u32[(block + BLOCK.at.address) >>> 2]!;
    u32[(block + BLOCK.at.region) >>> 2] = region;
    const index = blockHash(address) & (REGION_CACHE_ENTRIES - 1);
    const route = this.#cpu + REGION_CACHE_OFFSET + index * REGION_CACHE.size;
    u32[(route + REGION_CACHE.at.address) >>> 2] = address;
    u32[(route + REGION_CACHE.at.mode) >>> 2] = u32[(block + BLOCK.at.mode) >>> 2]!;
    u32[(route + REGION_CACHE.at.region) >>> 2] = region;
  }

  #isFull(regions: number, bytes: number): boolean {
    const { slots, modules, bytes: maxBytes } = this.#limits;
    const taken = this.#nextSlot - this.#free.length;
    return taken + regions > slots || this.#modules.length >= modules || this.#bytes + bytes > maxBytes;
  }

  /** First what nothing leads to any more, because its code changed or a later region replaced it; then the oldest. */
  #makeRoom(regions: number, bytes: number): void {
    if (!this.#isFull(regions, bytes)) return;
    this.#modules = this.#modules.filter((module) => {
      const used = module.regions.some((region) => this.#leadingTo(region).length > 0);
      if (!used) this.#release(module);
      return used;
    });
    // An eighth at once, so that the search above is rare.
    const enough = Math.max(1, Math.ceil(this.#modules.length / 8));
    for (
      let gone = 0;
      this.#modules.length > 0 && (this.#isFull(regions, bytes) || gone % enough !== 0);
      gone++
    ) {
      this.#evict(this.#modules.shift()!);
    }
    this.#forgetRoutes();
  }

  #evict(module: Module): void {
    const { u32 } = this.#views;
    for (const region of module.regions) {
      for (const block of this.#leadingTo(region)) {
        u32[(block + BLOCK.at.region) >>> 2] = 0;
        // What still runs is translated again.
        u32[(block + BLOCK.at.heat) >>> 2] = 0;
      }
    }
    this.#release(module);
    this.#evicted++;
  }

  #leadingTo({ slot, entries }: Region): number[] {
    const { u32 } = this.#views;
    return entries.filter(
      (block) =>
        block !== 0 &&
        u32[(block + BLOCK.at.mode) >>> 2] !== BLOCK_DEAD &&
        u32[(block + BLOCK.at.region) >>> 2]! >>> 8 === slot,
    );
  }

  /** Nothing may lead to it. */
  #release({ regions, bytes }: Module): void {
    for (const { slot } of regions) {
      this.#table.set(slot, null);
      this.#free.push(slot);
    }
    this.#bytes -= bytes;
  }

  #forgetRoutes(): void {
    const start = this.#cpu + REGION_CACHE_OFFSET;
    this.#views.u8.fill(0, start, start + REGION_CACHE_ENTRIES * REGION_CACHE.size);
    this.#core.dropLinks(this.#cpu);
  }
}
