import { beforeEach, describe, expect, it } from 'vitest';
import { viewsOf, type Views } from '../base/views.ts';
import type { RegionDetail } from '../control/regions.ts';
import { REGION_CACHE_ENTRIES, REGION_CACHE_OFFSET, VCPU_BASE } from '../layout/map.ts';
import { BLOCK, BLOCK_DEAD, blockHash, REGION_CACHE } from '../layout/vcpu.ts';
import { RegionStore } from './region-store.ts';

const MODE = 6;
const BLOCKS = 0x280000;

let views: Views;
let table: Map<number, unknown>;
let store: RegionStore;
/** How often links were dropped. */
let drops: number;

beforeEach(() => {
  views = viewsOf(new WebAssembly.Memory({ initial: 48, maximum: 48, shared: true }).buffer);
  table = new Map();
  const functions = { set: (slot: number, func?: unknown) => void table.set(slot, func) };
  drops = 0;
  const core = { dropLinks: () => void drops++ };
  store = new RegionStore(views, functions, core, VCPU_BASE, 100, { modules: 3, bytes: 1000 });
});

/** A block at 64 * number, host address in the arena by number. */
function block(number: number): number {
  const at = BLOCKS + number * BLOCK.size;
  views.u32[(at + BLOCK.at.address) >>> 2] = number * 64;
  views.u32[(at + BLOCK.at.mode) >>> 2] = MODE;
  return at;
}

function install(name: string, bytes: number, ...numbers: number[]): void {
  store.install([{ func: name as never, entries: numbers.map(block), detail: detail(numbers[0]!) }], bytes);
}

function detail(number: number): RegionDetail {
  return {
    page: number,
    mode: MODE,
    leaders: [],
    wanted: [],
    entries: [],
    tail: Uint8Array.of(),
    instructions: 1,
    installedAt: 0,
  };
}

function regionOf(number: number): number {
  return views.u32[(BLOCKS + number * BLOCK.size + BLOCK.at.region) >>> 2]!;
}

/** What the region cache has for the block's address. */
function routeOf(number: number): number {
  const index = blockHash(number * 64) & (REGION_CACHE_ENTRIES - 1);
  return views.u32[
    (VCPU_BASE + REGION_CACHE_OFFSET + index * REGION_CACHE.size + REGION_CACHE.at.region) >>> 2
  ]!;
}

function kill(number: number): void {
  views.u32[(BLOCKS + number * BLOCK.size + BLOCK.at.mode) >>> 2] = BLOCK_DEAD;
}

describe('an installed region', () => {
  it('is led to by its blocks and their routes, each with its entry', () => {
    install('a', 10, 1, 2);
    expect(table.get(1)).toBe('a');
    expect([regionOf(1), regionOf(2)]).toEqual([0x100, 0x101]);
    expect([routeOf(1), routeOf(2)]).toEqual([0x100, 0x101]);
  });

  it('is counted', () => {
    install('a', 10, 1, 2);
    expect([store.modules, store.regions, store.bytes]).toEqual([1, 1, 10]);
  });
});

describe('links', () => {
  it('are dropped with each installation, as its regions are better', () => {
    install('a', 10, 1);
    install('b', 10, 2);
    expect(drops).toBe(2);
  });

  it('are dropped with all routes', () => {
    store.clear();
    expect(drops).toBe(1);
  });
});

describe('when a module too many comes', () => {
  it('the oldest goes: its slot is emptied, and neither block nor route lead to it', () => {
    install('a', 10, 1);
    install('b', 10, 2);
    install('c', 10, 3);
    views.u32[(BLOCKS + BLOCK.size + BLOCK.at.heat) >>> 2] = 77;
    const emptied: unknown[] = [];
    table.set = (slot, func) => (
      emptied.push([slot, func]),
      Map.prototype.set.call(table, slot, func) as never
    );
    install('d', 10, 4);
    expect(emptied).toEqual([
      [1, null],
      [1, 'd'],
    ]);
    expect([regionOf(1), regionOf(4)]).toEqual([0, 0x100]);
    expect([routeOf(1), routeOf(4)]).toEqual([0, 0x100]);
    expect(views.u32[(BLOCKS + BLOCK.size + BLOCK.at.heat) >>> 2]).toBe(0);
    expect([store.modules, store.evicted]).toEqual([3, 1]);
  });

  it('one whose code was overwritten goes first, which is no eviction', () => {
    install('a', 10, 1);
    install('b', 10, 2);
    install('c', 10, 3);
    kill(2);
    install('d', 10, 4);
    expect([regionOf(1), regionOf(4)]).toEqual([0x100, 0x200]);
    expect(store.evicted).toBe(0);
  });

  it('one whose blocks lead to a later region goes first', () => {
    install('a', 10, 1);
    install('b', 10, 2);
    install('c', 10, 2);
    install('d', 10, 4);
    expect([regionOf(1), regionOf(2), regionOf(4)]).toEqual([0x100, 0x300, 0x200]);
    expect(store.evicted).toBe(0);
  });
});

it('evicts until the bytes fit', () => {
  install('a', 400, 1);
  install('b', 400, 2);
  install('c', 700, 3);
  expect([regionOf(1), regionOf(2)]).toEqual([0, 0]);
  expect([store.modules, store.bytes, store.evicted]).toEqual([1, 700, 2]);
});

it('has no region, slot or route left after clear', () => {
  install('a', 10, 1);
  install('b', 10, 2);
  store.clear();
  expect([table.get(1), table.get(2), routeOf(1), routeOf(2)]).toEqual([null, null, 0, 0]);
  expect([store.modules, store.bytes]).toEqual([0, 0]);
});
