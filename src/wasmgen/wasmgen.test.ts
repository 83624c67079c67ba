import { describe, expect, it } from 'vitest';
import { Code } from './code.ts';
import { ModuleBuilder } from './module.ts';
import { I32, I64 } from './opcodes.ts';

describe('a generated module', () => {
  it('runs a loop with labels, locals and a branch hint', () => {
    const module = new ModuleBuilder();
    const sum = module.declare({ params: [I32], results: [I64] });
    const code = new Code([I32]);
    const total = code.local(I64);
    const done = code.block();
    const again = code.loop();
    code.get(0).op('i32.eqz').brIf(done, false);
    code.get(total).get(0).op('i64.extend_i32_u').op('i64.add').set(total);
    code.get(0).i32Const(1).op('i32.sub').set(0);
    code.br(again).end().end().get(total);
    module.define(sum, code);
    module.exportFunction('sum', sum);
    const instance = new WebAssembly.Instance(new WebAssembly.Module(module.build()));
    const run = instance.exports['sum'] as (n: number) => bigint;
    expect(run(100_000)).toBe(5_000_050_000n);
  });

  it.each([
    [0n, 0n],
    [-1n, -1n],
    [63n, 63n],
    [64n, 64n],
    [-0x8000000000000000n, -0x8000000000000000n],
    [0xffffffffffffffffn, -1n],
    [0x123456789abcdef0n, 0x123456789abcdef0n],
  ])('encodes the 64-bit constant %s', (value, expected) => {
    const module = new ModuleBuilder();
    const func = module.declare({ params: [], results: [I64] });
    module.define(func, new Code([]).i64Const(value));
    module.exportFunction('f', func);
    const instance = new WebAssembly.Instance(new WebAssembly.Module(module.build()));
    expect((instance.exports['f'] as () => bigint)()).toBe(expected);
  });
});
