/** Regions to a WebAssembly module: one function each, (cpu, slot << 8 | entry) -> STATUS_*. */
import { LocalPool } from '../emit/lowering.ts';
import { CORE_FUNCTIONS, signatureOf, type CoreName } from '../layout/core-abi.ts';
import { STATUS_BRANCH, STATUS_FAULT_AT_RIP } from '../layout/exits.ts';
import { RAM_BASE, REGION_CACHE_ENTRIES, REGION_CACHE_OFFSET, TLB_ENTRIES } from '../layout/map.ts';
import { REG_PAGE_RIP, REGION_CACHE, TLB_ENTRY, VCPU } from '../layout/vcpu.ts';
import { Code, type Label } from '../wasmgen/code.ts';
import { ModuleBuilder, type Signature } from '../wasmgen/module.ts';
import { I32, I64 } from '../wasmgen/opcodes.ts';
import { RegionLowering, type RegionFrame } from './region-lowering.ts';
import type { Region } from './region.ts';

const MAX_PAGES = 65536;
const CPU = 0;
const ENTRY = 1;
const REGION_SIGNATURE: Signature = { params: [I32, I32], results: [I32] };

/**
 * The regions' functions are exported as `r0`, `r1`, ... in the given order. `journaled`: they tell the core of each store
 * before they make it.
 */
export function compileRegions(regions: readonly Region[], journaled = false): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder();
  module.importMemory('env', 'memory', 1, MAX_PAGES);
  const regionType = module.type(REGION_SIGNATURE);
  const regionTable = module.importTable('env', 'regions', 1);
  const imported = new Map<string, number>();
  const core = (name: CoreName): number => {
    let index = imported.get(name);
    if (index === undefined) {
      const { params, results } = signatureOf(CORE_FUNCTIONS[name]);
      const types = { i32: I32, i64: I64 } as const;
      const signature = {
        params: params.map((type) => types[type]),
        results: results.map((type) => types[type]),
      };
      imported.set(name, (index = module.importFunction('core', name, signature)));
    }
    return index;
  };
  const condition = (even: number): number => {
    const name = `condition${even}`;
    let index = imported.get(name);
    if (index === undefined) {
      index = module.importFunction('interpreter', name, { params: [I32], results: [I32] });
      imported.set(name, index);
    }
    return index;
  };
  const linkage = { core, condition, regionType, regionTable, journaled };
  const bodies = regions.map((region) => compileRegion(region, linkage));
  bodies.forEach((code, i) => {
    const func = module.declare(REGION_SIGNATURE);
    module.define(func, code);
    module.exportFunction(`r${i}`, func);
    const { page, blocks } = regions[i]!;
    module.nameFunction(func, `page ${page.toString(16)} (${blocks.length} blocks)`);
  });
  return module.build();
}

/** What a region's code refers to in its module. */
interface Linkage {
  readonly core: (name: CoreName) => number;
  readonly condition: (even: number) => number;
  readonly regionType: number;
  readonly regionTable: number;
  readonly journaled: boolean;
}

function compileRegion({ plan, mode, page }: Region, linkage: Linkage): Code {
  const code = new Code([I32, I32]);
  const kept = [...new Set(plan.traces.flatMap(({ loop }) => loop?.kept ?? []))];
  const frame: RegionFrame = {
    cpu: CPU,
    next: code.local(I32),
    budget: code.local(I32),
    status: code.local(I32),
    rip: code.local(I64),
    journaled: linkage.journaled,
    homes: new Map(kept.map((register) => [register, code.local(I64)])),
  };
  code.get(CPU).memory('i32.load', VCPU.at.budget).set(frame.budget);
  code.get(ENTRY).i32Const(0xff).op('i32.and').set(frame.next);
  const exit = code.block();
  const header = plan.returns.length > 0 || plan.comesBack ? code.loop() : undefined;
  const dispatch = code.block();
  const traces: Label[] = [];
  /** By number of the entry: in front of the trace, where its loop is entered. */
  const entries: Label[] = [];
  for (const { entry, loop } of plan.traces.toReversed()) {
    const trace = code.block();
    traces.unshift(trace);
    if (entry >= 0) entries[entry] = loop ? code.block() : trace;
  }
  const targets = [...entries, ...plan.returns.map((index) => traces[index]!)];
  code.get(frame.next).brTable(targets.slice(0, -1), targets.at(-1)!);
  const lowering = new RegionLowering(
    code,
    new LocalPool(code),
    linkage.core,
    linkage.condition,
    frame,
    { exit, dispatch, header, traces },
    plan,
    mode,
  );
  plan.traces.forEach((trace, i) => {
    if (trace.entry >= 0 && trace.loop) {
      code.end();
      lowering.enterLoop(trace.loop);
    }
    code.end();
    lowering.emitTrace(i, trace);
  });
  code.end(); // dispatch
  emitDispatch(code, frame, mode, linkage, header && plan.comesBack ? { header, page } : undefined);
  if (header) code.end().unreachable();

  code.end(); // exit
  code.get(CPU);
  code.get(frame.budget).get(CPU).memory('i32.load', VCPU.at.refund).op('i32.add');
  code.memory('i32.store', VCPU.at.budget);
  return code.get(frame.status).i32Const(STATUS_FAULT_AT_RIP).get(frame.status).select();
}

/**
 * Goes on at `rip` without the interpreter's loop if the TLB has its page and the region cache its
 * translation; returns STATUS_BRANCH otherwise, and when the budget is used up.
 */
function emitDispatch(
  code: Code,
  frame: RegionFrame,
  mode: number,
  linkage: Linkage,
  own: { readonly header: Label; readonly page: number } | undefined,
): void {
  const { rip, budget } = frame;
  const entry = code.local(I32);
  const physical = code.local(I32);
  const found = code.local(I32);
  code.get(CPU).get(budget).memory('i32.store', VCPU.at.budget);
  code.get(CPU).get(rip).memory('i64.store', VCPU.at.rip);
  const miss = code.block();
  code.get(budget).i32Const(0).op('i32.le_s').brIf(miss, false);
  if (own) {
    // In its own page the region knows the physical address and may surely execute.
    code.get(rip).i64Const(-4096n).op('i64.and').get(CPU);
    code
      .memory('i64.load', VCPU.at.regs + REG_PAGE_RIP * 8)
      .op('i64.eq')
      .if();
    code.get(rip).op('i32.wrap_i64').i32Const(0xfff).op('i32.and').tee(physical);
    code.i32Const((own.page >>> 12) & 0xfff).op('i32.xor');
    code.i32Const(Math.log2(REGION_CACHE.size)).op('i32.shl').get(CPU).op('i32.add').set(entry);
    // Another region of the same page is found as any other.
    const elsewhere = code.block();
    code
      .get(entry)
      .memory('i32.load', REGION_CACHE_OFFSET + REGION_CACHE.at.region)
      .tee(found);
    code.get(ENTRY).op('i32.xor').i32Const(0x100).op('i32.ge_u').brIf(elsewhere, false);
    code.get(entry).memory('i32.load', REGION_CACHE_OFFSET + REGION_CACHE.at.address);
    code.get(physical).i32Const(own.page).op('i32.or').op('i32.ne').brIf(elsewhere, false);
    code.get(found).i32Const(0xff).op('i32.and').set(frame.next).br(own.header);
    code.end().end();
  }
  // Code segments are flat here: rip is the linear address.
  code
    .get(rip)
    .op('i32.wrap_i64')
    .i32Const(12 - Math.log2(TLB_ENTRY.size))
    .op('i32.shr_u');
  code
    .i32Const((TLB_ENTRIES - 1) * TLB_ENTRY.size)
    .op('i32.and')
    .get(CPU)
    .memory('i32.load', VCPU.at.tlb)
    .op('i32.add')
    .tee(entry);
  code.memory('i64.load', TLB_ENTRY.at.executeTag);
  code.get(rip).i64Const(-4096n).op('i64.and').op('i64.ne').brIf(miss, false);
  code.get(rip).op('i32.wrap_i64').get(entry).memory('i32.load', TLB_ENTRY.at.addend).op('i32.add');
  code.i32Const(RAM_BASE).op('i32.sub').tee(physical);
  code.get(physical).i32Const(12).op('i32.shr_u').op('i32.xor');
  code
    .i32Const(REGION_CACHE_ENTRIES - 1)
    .op('i32.and')
    .i32Const(Math.log2(REGION_CACHE.size))
    .op('i32.shl');
  code.get(CPU).op('i32.add').i32Const(REGION_CACHE_OFFSET).op('i32.add').tee(entry);
  code.memory('i32.load', REGION_CACHE.at.region).tee(found).op('i32.eqz').brIf(miss, false);
  code.get(entry).memory('i32.load', REGION_CACHE.at.address).get(physical).op('i32.ne').brIf(miss, false);
  code.get(entry).memory('i32.load', REGION_CACHE.at.mode).i32Const(mode).op('i32.ne').brIf(miss, false);
  code.get(CPU).get(rip).get(rip).i64Const(0xfffn).op('i64.and').op('i64.sub');
  code.memory('i64.store', VCPU.at.regs + REG_PAGE_RIP * 8);
  code.get(CPU).get(found).get(found).i32Const(8).op('i32.shr_u');
  code.returnCallIndirect(linkage.regionType, linkage.regionTable);
  code.end();
  code.i32Const(STATUS_BRANCH).return();
}
