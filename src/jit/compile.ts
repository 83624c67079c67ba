/** Regions to a WebAssembly module: one function each, (cpu, slot << 8 | entry) -> STATUS_*. */
import { LocalPool } from '../emit/lowering.ts';
import { emitJumpLink } from '../emit/tables.ts';
import { isLinkable } from '../isa/decoder.ts';
import { CORE_FUNCTIONS, signatureOf, type CoreName } from '../layout/core-abi.ts';
import { EXIT_CUT, STATUS_BRANCH, STATUS_EXIT, STATUS_FAULT_AT_RIP } from '../layout/exits.ts';
import { LINK, REG_PAGE_RIP, SEG_CS, VCPU } from '../layout/vcpu.ts';
import { Code, type Label } from '../wasmgen/code.ts';
import { ModuleBuilder, type Signature } from '../wasmgen/module.ts';
import { I32, I64 } from '../wasmgen/opcodes.ts';
import type { Window } from './plan.ts';
import { RegionLowering, VALUE_TYPES, type RegionFrame } from './region-lowering.ts';
import { tracesOf, type Loop } from './plan.ts';
import type { Region } from './region.ts';
import { Scopes } from './scopes.ts';

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

function compileRegion({ plan, mode }: Region, linkage: Linkage): Code {
  const code = new Code([I32, I32]);
  const kept = new Map(plan.traces.flatMap(({ loops }) => [...(loops[0]?.kept ?? [])]));
  const frame: RegionFrame = {
    cpu: CPU,
    entry: ENTRY,
    next: code.local(I32),
    budget: code.local(I32),
    status: code.local(I32),
    rip: code.local(I64),
    link: code.local(I32),
    links: code.local(I32),
    journaled: linkage.journaled,
    homes: new Map(Array.from(kept, ([key, { type }]) => [key, code.local(VALUE_TYPES[type])])),
  };
  const guard = isLinkable(mode) ? undefined : openGuard(code);
  code.get(CPU).get(ENTRY).memory('i32.store', VCPU.at.region);
  code.get(CPU).memory('i32.load', VCPU.at.budget).set(frame.budget);
  code.get(ENTRY).i32Const(0xff).op('i32.and').set(frame.next);
  if (!guard) code.get(CPU).memory('i32.load', VCPU.at.links).set(frame.links);
  const exit = code.block();
  const header = plan.comesBack ? code.loop() : undefined;
  const follow = code.block();
  const dispatch = code.block();
  const scopes = new Scopes(code, plan, frame.next, header);
  /** By number of the entry: in front of its trace or loop, where that is entered and the window checked. */
  const pads: Label[] = [];
  const padsOf = (item: number | Loop): readonly number[] => {
    const entries = tracesOf(item).map((trace) => plan.traces[trace]!.entry);
    return typeof item === 'number' && !guard ? [] : entries.filter((entry) => entry >= 0);
  };
  for (const item of plan.items.toReversed()) {
    scopes.open(item);
    for (const entry of padsOf(item).toReversed()) pads[entry] = code.block();
  }
  const targets = plan.entries.map((offset, entry) => pads[entry] ?? scopes.front(plan.heads.get(offset)!));
  code.get(frame.next).brTable(targets.slice(0, -1), targets.at(-1)!);
  const lowering = new RegionLowering(
    code,
    new LocalPool(code),
    linkage.core,
    linkage.condition,
    frame,
    { exit, dispatch, follow, way: (from, to) => scopes.way(from, to) },
    plan,
    mode,
  );
  for (const item of plan.items) {
    const front = scopes.front(item);
    const entries = padsOf(item);
    entries.forEach((entry, i) => {
      code.end();
      if (guard) checkWindow(code, guard, plan.windows[entry]!);
      if (typeof item !== 'number') lowering.enterLoop(item);
      if (i < entries.length - 1) code.br(front);
    });
    scopes.emit(item, (trace) => lowering.emitTrace(trace, plan.traces[trace]!));
  }
  code.end(); // dispatch
  emitDispatch(code, frame, mode, linkage, guard ? undefined : header);
  if (header) code.end().unreachable();

  code.end(); // exit
  code.get(CPU);
  code.get(frame.budget).get(CPU).memory('i32.load', VCPU.at.refund).op('i32.add');
  code.memory('i32.store', VCPU.at.budget);
  code.get(frame.status).i32Const(STATUS_FAULT_AT_RIP).get(frame.status).select();
  if (!guard) return code;
  code.return().end(); // cut: nothing has run since rip and budget were stored
  code.get(CPU).i32Const(EXIT_CUT).memory('i32.store', VCPU.at.exitReason);
  return code.i32Const(STATUS_EXIT);
}

/**
 * What a region needs to know that may be entered with any code segment: how its page lies in it. Inside the region nobody looks at
 * the limit again.
 */
interface Guard {
  /** (E/R)IP of the page's start, negative if the segment starts inside the page. */
  readonly start: number;
  /** Bytes from there to the end of the segment, and to the end of its first 64 KiB. */
  readonly room: number;
  readonly room64K: number;
  readonly cut: Label;
}

function openGuard(code: Code): Guard {
  const guard = {
    start: code.local(I64),
    room: code.local(I64),
    room64K: code.local(I64),
    cut: code.block(),
  };
  const { start, room, room64K } = guard;
  code
    .get(CPU)
    .memory('i64.load', VCPU.at.regs + REG_PAGE_RIP * 8)
    .set(start);
  code
    .get(CPU)
    .memory('i64.load32_u', VCPU.at.segLimit + SEG_CS * 4)
    .i64Const(1n)
    .op('i64.add');
  code.get(start).op('i64.sub').tee(room);
  code.i64Const(0x10000n).get(start).op('i64.sub').tee(room64K);
  code.get(room).get(room64K).op('i64.lt_s').select().set(room64K);
  return guard;
}

function checkWindow(code: Code, { start, room, room64K, cut }: Guard, window: Window): void {
  code.get(start).i64Const(BigInt(-window.from)).op('i64.lt_s');
  code
    .get(window.below64K ? room64K : room)
    .i64Const(BigInt(window.to))
    .op('i64.lt_s');
  code.op('i32.or').brIf(cut, false);
}

/**
 * Goes on at `rip` without the interpreter's loop if a link, or else the core, knows its translation; returns STATUS_BRANCH otherwise, and
 * when the budget is used up. `own`: the loop around the region's code.
 */
function emitDispatch(
  code: Code,
  frame: RegionFrame,
  mode: number,
  linkage: Linkage,
  own: Label | undefined,
): void {
  const { cpu, entry, rip, budget, link } = frame;
  const found = code.local(I32);
  const hasLinks = isLinkable(mode);
  if (hasLinks) {
    code.get(rip);
    emitJumpLink(code, cpu);
    code.set(link);
  }
  code.end(); // follow
  const leave = (): void => {
    code.get(cpu).get(budget).memory('i32.store', VCPU.at.budget);
    code.get(cpu).get(rip).memory('i64.store', VCPU.at.rip);
  };
  const miss = code.block();
  code.get(budget).i32Const(0).op('i32.le_s').brIf(miss, false);
  const known = code.block();
  if (hasLinks) {
    const unknown = code.block();
    code.get(link).memory('i64.load', LINK.at.rip).get(rip).op('i64.ne').brIf(unknown, false);
    code.get(link).memory('i32.load', LINK.at.links);
    code.get(cpu).memory('i32.load', VCPU.at.links).op('i32.ne').brIf(unknown, false);
    code.get(cpu).get(rip).i64Const(-4096n).op('i64.and');
    code.memory('i64.store', VCPU.at.regs + REG_PAGE_RIP * 8);
    code.get(link).memory('i32.load', LINK.at.region).set(found).br(known);
    code.end(); // unknown
  }
  code.get(cpu).get(rip);
  if (hasLinks) code.get(link);
  else code.i32Const(0);
  code.call(linkage.core('findRegion')).tee(found).op('i32.eqz').brIf(miss, false);
  code.end(); // known
  if (own) {
    code.get(found).get(entry).op('i32.xor').i32Const(0x100).op('i32.lt_u').if();
    code.get(found).i32Const(0xff).op('i32.and').set(frame.next).br(own);
    code.end();
  }
  leave();
  code.get(cpu).get(found).get(found).i32Const(8).op('i32.shr_u');
  code.returnCallIndirect(linkage.regionType, linkage.regionTable);
  code.end(); // miss
  leave();
  code.i32Const(STATUS_BRANCH).return();
}
