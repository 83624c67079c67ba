/**
 * Generates interpreter.wasm: `run(cpu)` and `runBlock(cpu, block)` over decoded blocks (docs/core.md).
 *
 * One function holds the loop with the hot handlers inline behind a `br_table`; every other handler is
 * a function of its own, (cpu, rec) -> STATUS_*, called through a table. Measured in
 * ../shared/MEASUREMENTS.md: a loop function that holds thousands of handlers takes 457 ms to optimise.
 */
import { emitCondition, FLAGS_KINDS } from '../emit/conditions.ts';
import { emitBlockChain, emitHash, emitRegionCacheEntry, emitTlbOffset } from '../emit/tables.ts';
import { Builder } from '../ir/builder.ts';
import type { Statement } from '../ir/ir.ts';
import { formName, FORMS, HANDLER_COUNT, HANDLER_END, HANDLER_UNDEFINED, type Form } from '../isa/forms.ts';
import { PAIRED_HANDLER_COUNT, PAIRS, tableFingerprint } from '../isa/pairs.ts';
import { describeInstruction } from '../isa/semantics/index.ts';
import {
  CORE_FUNCTIONS,
  signatureOf,
  type CoreFunction,
  type CoreName,
  type CoreType,
} from '../layout/core-abi.ts';
import {
  EXIT_BUDGET,
  EXIT_DECODE,
  EXIT_FETCH_MMIO,
  EXIT_HOT,
  STATUS_BRANCH,
  STATUS_EXIT,
  STATUS_FAULT,
  STATUS_FAULT_AT_RIP,
  STATUS_NEXT,
  STATUS_REPEAT,
} from '../layout/exits.ts';
import { PAGE_SIZE, RAM_BASE } from '../layout/map.ts';
import {
  BLOCK,
  HANDLER_LOOKUP,
  LINK_GUESS,
  MODE_FLAT,
  RECORD,
  RECORD_CHECKED,
  REG_PAGE_RIP,
  REGION_CACHE,
  RETURNS,
  SEG_CS,
  TLB_ENTRY,
  VCPU,
} from '../layout/vcpu.ts';
import { Code, type Label } from '../wasmgen/code.ts';
import { ModuleBuilder, type Signature } from '../wasmgen/module.ts';
import { I32, I64, type ValueType } from '../wasmgen/opcodes.ts';
import { isHot } from './hot.ts';
import { LocalPool } from '../emit/lowering.ts';
import { branchTarget, HandlerLowering, type Functions } from './handler-lowering.ts';
import { RecordSite } from './site.ts';

/** Internal to this module: the direct branch of the record is taken. */
const STATUS_FOLLOW = 6;

const MAX_PAGES = 65536;

const REGISTERS_ONLY: ReadonlySet<string> = new Set<Statement['kind']>([
  'let',
  'assign',
  'readRegister',
  'writeRegister',
  'flags',
  'flagBits',
  'condition',
  'nextRip',
]);

const EVEN_CONDITIONS = [0, 2, 4, 6, 8, 10, 12, 14];

const WASM_TYPES: Record<CoreType, ValueType> = { i32: I32, i64: I64 };

export function generateInterpreter(): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder();
  module.importMemory('env', 'memory', 1, MAX_PAGES);
  const imported = new Map<CoreName, number>();
  const regionTable = module.importTable('env', 'regions', 1);
  for (const [name, abi] of Object.entries<CoreFunction>(CORE_FUNCTIONS)) {
    const { params, results } = signatureOf(abi);
    const signature = {
      params: params.map((type) => WASM_TYPES[type]),
      results: results.map((type) => WASM_TYPES[type]),
    };
    imported.set(name as CoreName, module.importFunction('core', name, signature));
  }
  const conditions = new Map<number, number>();
  const functions: Functions = {
    core: (name) => imported.get(name)!,
    condition: (even) => conditions.get(even)!,
  };
  for (const even of EVEN_CONDITIONS) {
    const func = module.declare({ params: [I32], results: [I32] });
    conditions.set(even, func);
    module.exportFunction(`condition${even}`, func);
  }
  defineConditions(module, functions);

  const handlerType: Signature = { params: [I32, I32], results: [I32] };
  const handlerTable = module.table(HANDLER_COUNT);
  const main = module.declare({ params: [I32, I32], results: [I32] });
  for (const form of FORMS) {
    if (isHot(form)) continue;
    const func = module.declare(handlerType);
    module.define(func, coldHandler(form, functions));
    module.element(form.id, func);
  }
  const undefinedHandler = module.declare(handlerType);
  module.define(undefinedHandler, raiseUndefined());
  module.element(HANDLER_UNDEFINED, undefinedHandler);
  module.define(main, mainLoop(functions, { type: module.type(handlerType), handlerTable, regionTable }));
  const run = module.declare({ params: [I32], results: [I32] });
  module.define(run, new Code([I32]).get(0).i32Const(0).call(main));
  module.exportFunction('run', run);
  module.exportFunction('runBlock', main);
  const fingerprint = module.declare({ params: [], results: [I32] });
  module.define(fingerprint, new Code([]).i32Const(tableFingerprint()));
  module.exportFunction('tableFingerprint', fingerprint);
  return module.build();
}

function describe(form: Form): Builder {
  const builder = new Builder();
  describeInstruction(builder, new RecordSite(form));
  return builder;
}

/** An encoding without a form: the decoder says which vector (#UD, or #GP if it is too long). */
function raiseUndefined(): Code {
  const code = new Code([I32, I32]);
  code.get(0).get(0).memory('i64.load', VCPU.at.countUndefined).i64Const(1n).op('i64.add');
  code.memory('i64.store', VCPU.at.countUndefined);
  code.get(0).get(1).memory('i32.load', RECORD.at.imm).i32Const(1).op('i32.add');
  code.memory('i32.store', VCPU.at.exception);
  code.get(0).i32Const(0).memory('i32.store', VCPU.at.exceptionError);
  return code.i32Const(STATUS_FAULT);
}

/** Whether the block that runs may be another one or none afterwards: any access to memory can go to a device. */
function mayChangeCode({ kind }: Statement): boolean {
  return !REGISTERS_ONLY.has(kind);
}

function coldHandler(form: Form, functions: Functions): Code {
  const code = new Code([I32, I32]);
  const status = (value: number) => (): void => void code.i32Const(value).return();
  const lowering = new HandlerLowering(
    code,
    0,
    1,
    functions,
    {
      fault: status(STATUS_FAULT),
      status: (_code, local) => void code.get(local).return(),
      branch: status(STATUS_BRANCH),
      follow: () => {
        code.if();
        code.i32Const(STATUS_FOLLOW).return().end();
      },
    },
    new LocalPool(code),
  );
  lowering.statements(describe(form).finish());
  return code.i32Const(STATUS_NEXT);
}

/** The condition codes, from the lazy flags of the vCPU block: one case a FLAGS_* kind. */
function defineConditions(module: ModuleBuilder, functions: Functions): void {
  const cpu = 0;
  for (const even of EVEN_CONDITIONS) {
    const code = new Code([I32]);
    const field = (offset: number) => () => void code.get(cpu).memory('i64.load', offset);
    const { flagResult, flagA, flagB } = VCPU.at;
    const values = { result: field(flagResult), a: field(flagA), b: field(flagB) };
    const labels = Array.from({ length: FLAGS_KINDS }, () => code.block());
    code.get(cpu).memory('i32.load', VCPU.at.flagKind).brTable(labels.toReversed(), labels[0]!);
    for (let kind = 0; kind < FLAGS_KINDS; kind++) {
      code.end();
      emitCondition(code, even, kind, values);
      code.return();
    }
    code.unreachable();
    module.define(functions.condition(even), code);
  }
}

/** Handlers, (cpu, rec), and regions, (cpu, entry), have the same type. */
interface Tables {
  readonly type: number;
  readonly handlerTable: number;
  readonly regionTable: number;
}

/** run(cpu, block): `block` = 0 looks rip up. */
function mainLoop(functions: Functions, tables: Tables): Code {
  const code = new Code([I32, I32]);
  const cpu = 0;
  const block = 1;
  const rec = code.local(I32);
  /**
   * Where the link to the block that is looked up belongs (a record's `imm`), or 0. Always 0 while a block runs.
   * A link with LINK_GUESS only says which block it was last time.
   */
  const slot = code.local(I32);
  const guess = code.local(I32);
  const status = code.local(I32);
  const n = code.local(I32);
  const host = code.local(I32);
  const hash = code.local(I32);
  /** Translated code for what is to run next, or 0. */
  const region = code.local(I32);
  const entry = code.local(I32);
  const rip = code.local(I64);
  const linear = code.local(I64);
  const pool = new LocalPool(code);

  const loadRip = (): Code => code.get(cpu).memory('i64.load', VCPU.at.rip);
  const pageRip = VCPU.at.regs + REG_PAGE_RIP * 8;
  const exit = (reason: number): Code => code.i32Const(reason).return();

  /** Gives back what the block's instructions from `rec` (plus `done`) on were charged. */
  const refund = (done: number): void => {
    code.get(cpu);
    code.get(cpu).memory('i32.load', VCPU.at.budget);
    code.get(block).memory('i32.load16_u', BLOCK.at.count).op('i32.add');
    code.get(rec).get(block).op('i32.sub').i32Const(BLOCK.size).op('i32.sub');
    code.i32Const(Math.log2(RECORD.size)).op('i32.shr_u').op('i32.sub');
    if (done) code.i32Const(done).op('i32.sub');
    code.memory('i32.store', VCPU.at.budget);
  };
  /** rip = address of the instruction in `rec`. */
  const storeOwnRip = (): void => {
    code.get(cpu);
    code.get(cpu).memory('i64.load', pageRip);
    code.get(rec).memory('i32.load16_u', RECORD.at.place).i32Const(0xfff).op('i32.and');
    code.op('i64.extend_i32_u').op('i64.add');
    code.get(cpu).memory('i64.load', VCPU.at.ripMask).op('i64.and');
    code.memory('i64.store', VCPU.at.rip);
  };

  /** rip = address of `block`. */
  const storeBlockRip = (): void => {
    code.get(cpu).get(cpu).memory('i64.load', pageRip);
    code.get(block).memory('i32.load', BLOCK.at.address).i32Const(0xfff).op('i32.and').op('i64.extend_i32_u');
    code
      .op('i64.add')
      .get(cpu)
      .memory('i64.load', VCPU.at.ripMask)
      .op('i64.and')
      .memory('i64.store', VCPU.at.rip);
  };

  const outer = code.loop();
  // Falls out of `lookup` when there is a block to enter.
  const haveBlock = code.block();
  code.get(block).brIf(haveBlock);
  {
    // --- look rip up
    code.get(cpu).memory('i32.load', VCPU.at.budget).i32Const(0).op('i32.le_s').if(false);
    exit(EXIT_BUDGET);
    code.end();
    loadRip().tee(rip);
    code
      .get(cpu)
      .memory('i64.load', VCPU.at.segEffective + SEG_CS * 8)
      .op('i64.add');
    code.get(cpu).memory('i64.load', VCPU.at.linearMask).op('i64.and').tee(linear);
    emitTlbOffset(code);
    code.get(cpu).memory('i32.load', VCPU.at.tlb).op('i32.add').tee(entry);
    code.memory('i64.load', TLB_ENTRY.at.executeTag);
    code.get(linear).i64Const(-4096n).op('i64.and').op('i64.eq').if(true);
    code
      .get(linear)
      .op('i32.wrap_i64')
      .get(entry)
      .memory('i32.load', TLB_ENTRY.at.addend)
      .op('i32.add')
      .set(host);
    code.else();
    code.get(cpu).get(linear).call(functions.core('fetchSlow')).tee(host);
    code.i32Const(1).op('i32.le_u').if(false);
    code.get(host).if();
    exit(EXIT_FETCH_MMIO);
    code.end();
    code.i32Const(0).set(slot);
    code.get(cpu).call(functions.core('deliverException')).i32Const(STATUS_EXIT).op('i32.eq').if(false);
    code.get(cpu).memory('i32.load', VCPU.at.exitReason).return();
    code.end();
    code.br(outer);
    code.end().end();
    // pageRip = rip - offset in page
    code
      .get(cpu)
      .get(rip)
      .get(linear)
      .i64Const(0xfffn)
      .op('i64.and')
      .op('i64.sub')
      .memory('i64.store', pageRip);
    code.get(host).i32Const(RAM_BASE).op('i32.sub').set(n);
    const unknown = code.block();
    code.get(slot).op('i32.eqz').brIf(unknown);
    code.get(slot).memory('i32.load', 0).i32Const(~LINK_GUESS).op('i32.and').tee(block);
    code.op('i32.eqz').brIf(unknown);
    code.get(block).memory('i32.load', BLOCK.at.address).get(n).op('i32.ne').brIf(unknown, false);
    code.get(block).memory('i32.load', BLOCK.at.mode).get(cpu).memory('i32.load', VCPU.at.mode).op('i32.ne');
    code.brIf(unknown, false);
    code.i32Const(0).set(slot).br(haveBlock);
    code.end(); // unknown
    code.get(n);
    emitHash(code, n);
    code.tee(hash);
    emitRegionCacheEntry(code, cpu);
    code.tee(entry).memory('i32.load', REGION_CACHE.at.region).tee(region);
    code.if();
    code.get(entry).memory('i32.load', REGION_CACHE.at.address).get(n).op('i32.eq');
    code
      .get(entry)
      .memory('i32.load', REGION_CACHE.at.mode)
      .get(cpu)
      .memory('i32.load', VCPU.at.mode)
      .op('i32.eq');
    code.op('i32.and').brIf(haveBlock);
    code.i32Const(0).set(region);
    code.end();
    code.get(hash);
    emitBlockChain(code, cpu);
    code.set(block);
    const beyond = code.block();
    const found = code.block();
    const chain = code.loop();
    code.get(block).op('i32.eqz').brIf(beyond, false);
    code.get(block).memory('i32.load', BLOCK.at.address).get(n).op('i32.eq');
    code.get(block).memory('i32.load', BLOCK.at.mode).get(cpu).memory('i32.load', VCPU.at.mode).op('i32.eq');
    code.op('i32.and').brIf(found, true);
    code.get(block).memory('i32.load', BLOCK.at.hashNext).set(block);
    code.br(chain).end();
    code.end(); // found
    // Outside the flat case the block may end behind the limit of CS: such code is decoded anew each time.
    code.get(cpu).memory('i32.load', VCPU.at.mode).i32Const(MODE_FLAT).op('i32.and').op('i32.eqz').if(false);
    code.get(rip).get(block).memory('i64.load16_u', BLOCK.at.bytes).op('i64.add');
    code
      .get(cpu)
      .memory('i64.load32_u', VCPU.at.segLimit + SEG_CS * 4)
      .i64Const(1n)
      .op('i64.add');
    code.op('i64.gt_u').brIf(beyond);
    code.i32Const(0).set(slot);
    code.end();
    // What goes on in the next page is compared each time, so nothing may be linked to it.
    code
      .get(block)
      .memory('i32.load', BLOCK.at.address)
      .i32Const(PAGE_SIZE - 1)
      .op('i32.and');
    code.get(block).memory('i32.load16_u', BLOCK.at.bytes).op('i32.add');
    code.i32Const(PAGE_SIZE).op('i32.gt_u').if(false);
    code.i32Const(0).set(slot);
    code.get(cpu).get(block).call(functions.core('holdsTail')).op('i32.eqz').brIf(beyond, false);
    code.end();
    code.get(slot).if();
    code.get(slot).get(block).get(guess).op('i32.or').memory('i32.store', 0);
    code.i32Const(0).set(slot);
    code.end();
    code.get(block).memory('i32.load', BLOCK.at.region).tee(region).if();
    code.get(entry).get(n).memory('i32.store', REGION_CACHE.at.address);
    code.get(entry).get(cpu).memory('i32.load', VCPU.at.mode).memory('i32.store', REGION_CACHE.at.mode);
    code.get(entry).get(region).memory('i32.store', REGION_CACHE.at.region);
    code.end();
    code.br(haveBlock);
    code.end(); // missing, or beyond the limit
    code.get(cpu).get(rip).call(functions.core('checkCodeOffset')).op('i32.eqz').if(false);
    code.i32Const(0).set(slot).i32Const(0).set(block);
    code
      .get(cpu)
      .call(functions.core('deliverException'))
      .i32Const(STATUS_EXIT)
      .op('i32.ne')
      .brIf(outer, true);
    code.get(cpu).memory('i32.load', VCPU.at.exitReason).return();
    code.end();
    code.get(cpu).get(host).memory('i32.store', VCPU.at.exitArg0);
    exit(EXIT_DECODE);
  }
  code.end(); // haveBlock

  // --- enter the block, by its translation if there is one
  code.get(region).op('i32.eqz').if();
  code.get(block).memory('i32.load', BLOCK.at.region).set(region);
  code.end();
  code.get(region).if();
  code.get(cpu).get(cpu).memory('i64.load', VCPU.at.countRegionEntries).i64Const(1n).op('i64.add');
  code.memory('i64.store', VCPU.at.countRegionEntries);
  const ran = (): Code =>
    code
      .get(cpu)
      .memory('i32.load', VCPU.at.budgetStart)
      .get(cpu)
      .memory('i32.load', VCPU.at.budget)
      .op('i32.sub');
  ran().set(host);
  code.get(cpu).get(region).get(region).i32Const(8).op('i32.shr_u');
  code.callIndirect(tables.type, tables.regionTable).set(status);
  code.i32Const(0).set(region);
  code.get(cpu).i32Const(0).memory('i32.store', VCPU.at.region);
  code.get(cpu).get(cpu).memory('i64.load', VCPU.at.countRegionInstructions);
  ran()
    .get(host)
    .op('i32.sub')
    .i32Const(2)
    .op('i32.shl')
    .i32Const(2)
    .op('i32.shr_s')
    .op('i64.extend_i32_s')
    .op('i64.add')
    .memory('i64.store', VCPU.at.countRegionInstructions);
  code.i32Const(0).set(block).i32Const(0).set(slot);
  code.get(status).i32Const(STATUS_BRANCH).op('i32.eq').brIf(outer, true);
  code.get(status).i32Const(STATUS_FAULT_AT_RIP).op('i32.eq').if();
  code.get(cpu).call(functions.core('deliverException')).i32Const(STATUS_EXIT).op('i32.ne').brIf(outer, true);
  code.end();
  code.get(status).i32Const(STATUS_REPEAT).op('i32.eq').brIf(outer);
  code.get(cpu).memory('i32.load', VCPU.at.exitReason).return();
  code.end();
  code.get(cpu).memory('i32.load', VCPU.at.budget);
  code
    .get(block)
    .memory('i32.load16_u', BLOCK.at.count)
    .op('i32.sub')
    .tee(n)
    .i32Const(0)
    .op('i32.lt_s')
    .if(false);
  storeBlockRip();
  exit(EXIT_BUDGET);
  code.end();
  code
    .get(block)
    .get(block)
    .memory('i32.load', BLOCK.at.heat)
    .i32Const(1)
    .op('i32.add')
    .tee(status)
    .memory('i32.store', BLOCK.at.heat);
  code.get(status).get(cpu).memory('i32.load', VCPU.at.heatMask).op('i32.and').op('i32.eqz').if(false);
  storeBlockRip();
  code.get(cpu).get(block).memory('i32.store', VCPU.at.exitArg0);
  exit(EXIT_HOT);
  code.end();
  code.get(cpu).get(n).memory('i32.store', VCPU.at.budget);
  code.get(block).i32Const(BLOCK.size).op('i32.add').set(rec);

  const next = code.loop();
  const follow = code.block();
  const branch = code.block();
  const byStatus = code.block();
  const fault = code.block();
  const relookup = code.block();
  const cold = code.block();
  const hot = FORMS.filter(isHot);
  const labels = new Map<number, Label>();
  for (const { handler } of PAIRS.toReversed()) labels.set(handler, code.block());
  for (const form of hot.toReversed()) labels.set(form.id, code.block());
  code.get(rec).memory('i32.load16_u', RECORD.at.handler);
  code.brTable(
    Array.from({ length: PAIRED_HANDLER_COUNT }, (_, id) => {
      if (id === HANDLER_LOOKUP) return relookup;
      if (id === HANDLER_END) return follow;
      return labels.get(id) ?? cold;
    }),
    cold,
  );
  /** A call: the end record behind it is never executed, and keeps the link to where the call returns. */
  const pushReturn = (): void => {
    code.get(cpu).get(cpu).memory('i32.load', VCPU.at.returnsTop).i32Const(4).op('i32.add');
    code
      .i32Const(RETURNS * 4 - 4)
      .op('i32.and')
      .tee(n)
      .memory('i32.store', VCPU.at.returnsTop);
    code.get(cpu).get(n).op('i32.add').get(rec).memory('i32.store', VCPU.at.returns);
  };
  const popReturn = (): void => {
    code.get(cpu).get(cpu).memory('i32.load', VCPU.at.returnsTop).tee(n).op('i32.add');
    code.memory('i32.load', VCPU.at.returns).tee(slot).if();
    code
      .get(slot)
      .i32Const(RECORD.size + RECORD.at.imm)
      .op('i32.add')
      .set(slot);
    code.end();
    code.i32Const(LINK_GUESS).set(guess);
    code
      .get(cpu)
      .get(n)
      .i32Const(4)
      .op('i32.sub')
      .i32Const(RETURNS * 4 - 4)
      .op('i32.and');
    code.memory('i32.store', VCPU.at.returnsTop);
  };
  const guessFromRecord = (): void => {
    code.get(rec).i32Const(RECORD.at.imm).op('i32.add').set(slot);
    code.i32Const(LINK_GUESS).set(guess);
  };
  /** Executes the instruction in `rec`, and leaves what comes next to whoever emits behind it. */
  const execute = (form: Form, statements: readonly Statement[]): void => {
    const { semantics } = form.row;
    const lowering = new HandlerLowering(
      code,
      cpu,
      rec,
      functions,
      {
        fault: () => void code.br(fault),
        status: (_code, local) => void code.get(local).set(status).br(byStatus),
        branch: () => {
          if (semantics === 'ret') popReturn();
          if (semantics === 'callTo') pushReturn();
          if (semantics === 'callTo' || semantics === 'jmpTo') guessFromRecord();
          code.br(branch);
        },
        follow: () => {
          if (semantics === 'call') pushReturn();
          // Not taken: the end record behind this one has the way on.
          code.set(n);
          code.get(rec).get(rec).i32Const(RECORD.size).op('i32.add').get(n).select().set(rec);
          code.br(follow);
        },
      },
      pool,
    );
    lowering.statements(statements);
  };
  const advance = (): Code => code.get(rec).i32Const(RECORD.size).op('i32.add').set(rec);
  for (const form of hot) {
    code.end();
    execute(form, describe(form).finish());
    advance().br(next);
  }
  for (const { first, second } of PAIRS) {
    code.end();
    if (!isHot(first) || !isHot(second)) throw new Error(`only hot forms make pairs, not ${formName(first)}`);
    const statements = describe(first).finish();
    execute(first, statements);
    advance();
    if (statements.some(mayChangeCode)) {
      // HANDLER_LOOKUP: the block died under us.
      code.get(rec).memory('i32.load16_u', RECORD.at.handler).op('i32.eqz').brIf(next, false);
    }
    execute(second, describe(second).finish());
    advance().br(next);
  }
  code.end(); // cold
  code.get(cpu).get(rec).get(rec).memory('i32.load16_u', RECORD.at.handler);
  code.callIndirect(tables.type, tables.handlerTable).tee(status).op('i32.eqz').if(true);
  code.get(rec).i32Const(RECORD.size).op('i32.add').set(rec).br(next);
  code.end();
  code.br(byStatus);

  code.end(); // relookup: the block died under us
  refund(0);
  storeOwnRip();
  code.i32Const(0).set(block).i32Const(0).set(slot).br(outer);

  code.end(); // fault
  code.i32Const(STATUS_FAULT).set(status);

  code.end(); // byStatus
  code.get(status).i32Const(STATUS_FOLLOW).op('i32.eq').brIf(follow);
  code.get(status).i32Const(STATUS_BRANCH).op('i32.eq').brIf(branch);
  code.get(status).i32Const(STATUS_FAULT).op('i32.eq').if();
  storeOwnRip();
  code.end();
  code
    .get(status)
    .i32Const(STATUS_FAULT)
    .op('i32.eq')
    .get(status)
    .i32Const(STATUS_FAULT_AT_RIP)
    .op('i32.eq')
    .op('i32.or')
    .if();
  refund(0);
  code.get(cpu).call(functions.core('deliverException')).i32Const(STATUS_EXIT).op('i32.eq').if(false);
  code.get(cpu).memory('i32.load', VCPU.at.exitReason).return();
  code.end();
  code.i32Const(0).set(block).i32Const(0).set(slot).br(outer);
  code.end();
  code.get(status).i32Const(STATUS_REPEAT).op('i32.eq').if();
  refund(0);
  storeOwnRip();
  code.i32Const(0).set(block).i32Const(0).set(slot).br(outer);
  code.end();
  // STATUS_EXIT
  refund(1);
  code.get(cpu).memory('i32.load', VCPU.at.exitReason).return();

  code.end(); // branch
  refund(1);
  code.i32Const(0).set(block).br(outer);

  code.end(); // follow: the direct branch, or the end, in `rec`
  code.get(rec).memory('i32.load', RECORD.at.imm).tee(block).i32Const(LINK_GUESS).op('i32.and').op('i32.eqz');
  code.if(true);
  code.get(block).brIf(outer, true);
  code.end();
  code.i32Const(0).set(block);
  // Outside the flat case a target must lie inside the code segment: else it is the branch that faults.
  code.get(rec).memory('i32.load8_u', RECORD.at.flags).i32Const(RECORD_CHECKED).op('i32.and').if(false);
  code.get(cpu);
  branchTarget(code, cpu, rec);
  code.call(functions.core('checkCodeOffset')).op('i32.eqz').if(false);
  storeOwnRip();
  // A branch is the last instruction of its block, and `block` is gone.
  code.get(cpu).get(cpu).memory('i32.load', VCPU.at.budget).i32Const(1).op('i32.add');
  code.memory('i32.store', VCPU.at.budget);
  code.get(cpu).call(functions.core('deliverException')).i32Const(STATUS_EXIT).op('i32.eq').if(false);
  code.get(cpu).memory('i32.load', VCPU.at.exitReason).return();
  code.end();
  code.i32Const(0).set(block).i32Const(0).set(slot).br(outer);
  code.end().end();
  code.get(cpu);
  code.get(cpu).memory('i64.load', pageRip).get(rec).memory('i64.load32_s', RECORD.at.disp).op('i64.add');
  code.get(cpu).memory('i64.load', VCPU.at.ripMask).op('i64.and').set(rip);
  // A branch with a 16-bit operand wraps its target.
  code.get(rip).get(rip).i64Const(0xffffn).op('i64.and');
  code.get(rec).memory('i32.load8_u', RECORD.at.reg).i32Const(16).op('i32.ne').select();
  code.memory('i64.store', VCPU.at.rip);
  code.get(rec).i32Const(RECORD.at.imm).op('i32.add').set(slot);
  code.get(rec).memory('i32.load8_u', RECORD.at.rm).i32Const(LINK_GUESS).op('i32.xor').set(guess);
  code.br(outer);
  code.end(); // next
  code.end(); // outer
  code.unreachable();
  return code;
}
