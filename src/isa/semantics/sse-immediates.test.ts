/**
 * The interpreter reads an immediate from its record, translated code knows it: several descriptions then
 * choose other operators (a shuffle with constant lanes instead of a swizzle). Both must give the same.
 */
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { LocalPool } from '../../emit/lowering.ts';
import { HandlerLowering } from '../../interp/handler-lowering.ts';
import { RecordSite } from '../../interp/site.ts';
import { Builder } from '../../ir/builder.ts';
import type { Value } from '../../ir/ir.ts';
import { CORE_FUNCTIONS, HOST_IMPORTS, type CoreName } from '../../layout/core-abi.ts';
import { vcpuAddress } from '../../layout/map.ts';
import { FLAGS_EXPLICIT, RECORD, VCPU } from '../../layout/vcpu.ts';
import { Code } from '../../wasmgen/code.ts';
import { ModuleBuilder } from '../../wasmgen/module.ts';
import { I32, I64, type ValueType } from '../../wasmgen/opcodes.ts';
import { formName, FORMS, type Form } from '../forms.ts';
import { describeInstruction } from './index.ts';
import { SSE } from './sse.ts';

const CPU = vcpuAddress(0);
const RECORD_ADDRESS = 0x1000;
/** Bytes of the vCPU block that may change. */
const STATE_BYTES = VCPU.size;

const IMMEDIATES = [
  0, 1, 2, 3, 4, 5, 7, 8, 9, 0x0f, 0x10, 0x11, 0x1b, 0x1f, 0x20, 0x21, 0x2c, 0x33, 0x3f, 0x40, 0x44, 0x5a,
  0x72, 0x7f, 0x80, 0x9c, 0xa5, 0xb1, 0xc6, 0xe4, 0xf0, 0xff,
];

const forms = FORMS.filter(
  ({ row, memory }) => !memory && row.semantics in SSE && row.operands.some(({ letter }) => letter === 'I'),
).map((form): [name: string, form: Form] => [formName(form), form]);

class KnownImmediate extends RecordSite {
  readonly #value: number;

  constructor(form: Form, value: number) {
    super(form);
    this.#value = value;
  }

  override immediate(s: Builder): Value {
    return s.i64(this.#value);
  }
}

type Handler = (cpu: number, record: number) => number;

let exports: Record<string, Handler>;
let bytes: Uint8Array;
let view: DataView;

function handler(site: RecordSite, core: (name: CoreName) => number): Code {
  const code = new Code([I32, I32]);
  const leave = (): void => void code.i32Const(1).return();
  const lowering = new HandlerLowering(
    code,
    0,
    1,
    { core, condition: () => 0 },
    { fault: leave, status: leave, branch: leave, follow: leave },
    new LocalPool(code),
  );
  const builder = new Builder();
  describeInstruction(builder, site);
  lowering.statements(builder.finish());
  return code.i32Const(0);
}

beforeAll(() => {
  const memory = new WebAssembly.Memory({ initial: 64, maximum: 65536, shared: true });
  bytes = new Uint8Array(memory.buffer);
  view = new DataView(memory.buffer);
  const module = new ModuleBuilder();
  module.importMemory('env', 'memory', 1, 65536);
  const used: CoreName[] = ['sseCompute', 'compareStrings', 'checkFpu', 'segmentLinear', 'readSlow'];
  const functions = new Map(
    used.map((name) => {
      const { params, result } = CORE_FUNCTIONS[name];
      const types = params.map((type): ValueType => (type === 'i32' ? I32 : I64));
      const results: ValueType[] = [result === 'host' || result === 'status' ? I32 : I64];
      return [name, module.importFunction('core', name, { params: [I32, ...types], results })];
    }),
  );
  const core = (name: CoreName): number => functions.get(name)!;
  for (const [name, form] of forms) {
    const define = (key: string, site: RecordSite): void => {
      const func = module.declare({ params: [I32, I32], results: [I32] });
      module.define(func, handler(site, core));
      module.exportFunction(key, func);
    };
    define(name, new RecordSite(form));
    for (const value of IMMEDIATES) define(`${name} = ${value}`, new KnownImmediate(form, value));
  }
  const host = Object.fromEntries(HOST_IMPORTS.map((name) => [name, () => 0]));
  const coreModule = new WebAssembly.Module(
    readFileSync(new URL('../../../build/core.wasm', import.meta.url)),
  );
  const coreInstance = new WebAssembly.Instance(coreModule, { env: { memory }, host });
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.build()), {
    env: { memory },
    core: coreInstance.exports,
  });
  exports = instance.exports as Record<string, Handler>;
});

let seed = 1;
function random(): number {
  seed = (Math.imul(seed, 0x915f77f5) + 0x12345) | 0;
  return (seed ^ (seed >>> 15)) & 0xff;
}

function prepare(immediate: number): Uint8Array {
  bytes.fill(0, CPU, CPU + STATE_BYTES);
  for (let i = 0; i < 64; i++) {
    bytes[CPU + VCPU.at.xmm + i] = random();
    bytes[CPU + VCPU.at.fpu + i] = random();
    bytes[CPU + VCPU.at.regs + i] = random();
  }
  view.setUint32(CPU + VCPU.at.mxcsr, 0x1f80, true);
  view.setUint32(CPU + VCPU.at.flagKind, FLAGS_EXPLICIT, true);
  bytes.fill(0, RECORD_ADDRESS, RECORD_ADDRESS + RECORD.size);
  view.setUint8(RECORD_ADDRESS + RECORD.at.reg, 16);
  view.setUint8(RECORD_ADDRESS + RECORD.at.rm, 32);
  // The decoder sign-extends bytes.
  view.setInt32(RECORD_ADDRESS + RECORD.at.imm, (immediate << 24) >> 24, true);
  return bytes.slice(CPU, CPU + STATE_BYTES);
}

/** Immediates with which the two handlers leave different states behind. */
function disagreements(name: string): number[] {
  return IMMEDIATES.filter((immediate) => {
    const start = prepare(immediate);
    exports[name]!(CPU, RECORD_ADDRESS);
    const read = bytes.slice(CPU, CPU + STATE_BYTES);
    bytes.set(start, CPU);
    exports[`${name} = ${immediate}`]!(CPU, RECORD_ADDRESS);
    const known = bytes.slice(CPU, CPU + STATE_BYTES);
    return !read.every((byte, i) => byte === known[i]);
  });
}

describe('an immediate that is known when code is emitted', () => {
  it.each(forms)('changes nothing in %s', (name) => {
    expect(disagreements(name)).toEqual([]);
  });
});
