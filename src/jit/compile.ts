/** Regions to a WebAssembly module: one function each, (cpu, entry) -> STATUS_*. */
import { LocalPool } from '../emit/lowering.ts';
import { Builder } from '../ir/builder.ts';
import type { Statement } from '../ir/ir.ts';
import { describeInstruction } from '../isa/semantics/index.ts';
import { CORE_FUNCTIONS, signatureOf, type CoreName } from '../layout/core-abi.ts';
import { STATUS_FAULT_AT_RIP } from '../layout/exits.ts';
import { REG_PAGE_RIP, VCPU } from '../layout/vcpu.ts';
import { Code } from '../wasmgen/code.ts';
import { ModuleBuilder } from '../wasmgen/module.ts';
import { I32, I64 } from '../wasmgen/opcodes.ts';
import {
  frameLocals,
  loadFlags,
  loadRegisters,
  RegionLowering,
  spillFlags,
  spillRegisters,
  type RegionFrame,
} from './region-lowering.ts';
import type { Region } from './region.ts';
import { InstructionSite } from './site.ts';

const MAX_PAGES = 65536;
const CPU = 0;
const ENTRY = 1;

/** The regions' functions are exported as `r0`, `r1`, ... in the given order. */
export function compileRegions(regions: readonly Region[]): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder();
  module.importMemory('env', 'memory', 1, MAX_PAGES);
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
  const bodies = regions.map((region) => compileRegion(region, core, condition));
  bodies.forEach((code, i) => {
    const func = module.declare({ params: [I32, I32], results: [I32] });
    module.define(func, code);
    module.exportFunction(`r${i}`, func);
  });
  return module.build();
}

function compileRegion(
  region: Region,
  core: (name: CoreName) => number,
  condition: (even: number) => number,
): Code {
  const builder = new Builder();
  const statements = region.blocks.map((block) =>
    block.instructions.map((instruction): readonly Statement[] => {
      describeInstruction(builder, new InstructionSite(instruction, region.mode));
      return builder.take();
    }),
  );
  const code = new Code([I32, I32]);
  const touched = new Set<number>();
  const written = new Set<number>();
  for (const block of statements) for (const list of block) collectRegisters(list, touched, written);
  const registers = new Map<number, number>();
  for (const index of touched) registers.set(index, code.local(I64));
  const frame: RegionFrame = { ...frameLocals(code), cpu: CPU, next: ENTRY, registers, written };

  loadRegisters(code, frame);
  loadFlags(code, frame);
  code
    .get(CPU)
    .memory('i64.load', VCPU.at.regs + REG_PAGE_RIP * 8)
    .set(frame.pageRip);
  code.get(CPU).memory('i32.load', VCPU.at.tlb).set(frame.tlb);
  code.get(CPU).memory('i32.load', VCPU.at.budget).set(frame.budget);
  code.get(CPU).memory('i32.load', VCPU.at.countInvalidations).set(frame.epoch);

  const exitSpilled = code.block();
  const exit = code.block();
  const fault = code.block();
  const header = code.loop();
  const blocks = region.blocks.map(() => code.block()).toReversed();
  code.get(ENTRY).brTable(blocks, blocks[0]!);
  const numbers = new Map(region.blocks.map(({ offset }, i) => [offset, i]));
  const lowering = new RegionLowering(
    code,
    new LocalPool(code),
    core,
    condition,
    frame,
    { exit, exitSpilled, fault, header, blocks },
    numbers,
    region.mode,
  );
  region.blocks.forEach((block, i) => {
    code.end();
    lowering.emitBlock(i, block, statements[i]!);
  });
  code.end().unreachable();

  code.end(); // fault
  code.get(frame.budget).get(frame.refund).op('i32.add').set(frame.budget);
  code.get(CPU).get(frame.pageRip).get(frame.faultOffset).op('i64.extend_i32_u').op('i64.add');
  code.get(CPU).memory('i64.load', VCPU.at.ripMask).op('i64.and').memory('i64.store', VCPU.at.rip);
  code.i32Const(STATUS_FAULT_AT_RIP).set(frame.status);

  code.end(); // exit
  spillRegisters(code, frame);
  spillFlags(code, frame);

  code.end(); // exitSpilled
  code.get(CPU).get(frame.budget).memory('i32.store', VCPU.at.budget);
  return code.get(frame.status);
}

/** General registers that statements read or write. */
function collectRegisters(list: readonly Statement[], touched: Set<number>, written: Set<number>): void {
  for (const statement of list) {
    if (statement.kind === 'if') {
      collectRegisters(statement.yes, touched, written);
      collectRegisters(statement.no, touched, written);
    } else if (statement.kind === 'readRegister' || statement.kind === 'writeRegister') {
      const { file, where } = statement.register;
      if (file !== 'general' || typeof where !== 'number' || where >> 3 === REG_PAGE_RIP) continue;
      touched.add(where >> 3);
      if (statement.kind === 'writeRegister') written.add(where >> 3);
    }
  }
}
