import { describe, expect, it } from 'vitest';
import type { Temp } from './ir.ts';
import { parseStatements } from './parse.ts';
import { printStatements } from './print.ts';
import { simplify } from './simplify.ts';

/** Temporaries of the passes count from t100. */
function simplified(text: string): string {
  let next = 100;
  const list = simplify(parseStatements(text), (): Temp => ({ kind: 'temp', type: 'i64', id: next++ }));
  return `\n${printStatements(list, '      ').join('\n')}\n    `;
}

describe('low bits', () => {
  it('of a register are taken from all of it, which may stand in a local already', () => {
    expect(
      simplified(`
      t0:i64 = rcx.4
      t1:i64 = rdx.2 signed
      i64.store state.rip = i64.add(t0, t1)
    `),
    ).toBe(`
      t100:i64 = rcx.8
      t0:i64 = i64.and(t100, 0xffffffffn)
      t101:i64 = rdx.8
      t1:i64 = i64.extend16_s(t101)
      i64.store state.rip = i64.add(t0, t1)
    `);
  });

  it('of AH, of a whole register and of a vector stay reads of their own', () => {
    const text = `
      t0:i64 = rax+1.1
      t1:i64 = rax.8
      t2:i64 = xmm1.8
      i64.store state.rip = i64.add(i64.add(t0, t1), t2)
    `;
    expect(simplified(text)).toBe(text);
  });

  it('that are written need no extension of what they are computed from', () => {
    expect(
      simplified(`
      t0:i64 = rcx.4
      t1:i64 = rdx.4
      t2:i64 = i64.add(t0, t1)
      t3:i64 = i64.extend32_s(t2)
      rcx.4 = t3
    `),
    ).toBe(`
      t100:i64 = rcx.8
      t101:i64 = rdx.8
      rcx.4 = i64.add(t100, t101)
    `);
  });

  it.each(['i64.add', 'i64.sub', 'i64.mul', 'i64.and', 'i64.or', 'i64.xor'])('go through %s', (op) => {
    expect(
      simplified(`
      t0:i64 = load.8 i64.load [3: 0n]
      rax.2 = ${op}(i64.extend16_s(t0), i64.and(t0, 0xffffn))
    `),
    ).toBe(`
      t0:i64 = load.8 i64.load [3: 0n]
      rax.2 = ${op}(t0, t0)
    `);
  });

  it('go through a shift to the left by a known count, not through one to the right or by an unknown one', () => {
    expect(
      simplified(`
      t0:i64 = load.8 i64.load [3: 0n]
      rax.4 = i64.shl(i64.and(t0, 0xffffffffn), 3n)
      rcx.4 = i64.shr_u(i64.and(t0, 0xffffffffn), 3n)
      rdx.4 = i64.shl(t0, i64.and(t0, 0xffffffffn))
    `),
    ).toBe(`
      t0:i64 = load.8 i64.load [3: 0n]
      rax.4 = i64.shl(t0, 3n)
      rcx.4 = i64.shr_u(i64.and(t0, 0xffffffffn), 3n)
      rdx.4 = i64.shl(t0, i64.and(t0, 0xffffffffn))
    `);
  });

  it('keep a mask or an extension that changes them', () => {
    const text = `
      t0:i64 = load.8 i64.load [3: 0n]
      rax.4 = i64.and(t0, 0xffffn)
      rcx.4 = i64.extend16_s(t0)
      rdx.4 = i64.and(t0, 0xffffff7fn)
    `;
    expect(simplified(text)).toBe(text);
  });

  it('of a store are enough, too', () => {
    expect(
      simplified(`
      t0:i64 = load.8 i64.load [3: 0n]
      store.1 i64.store8 [3: 8n] = i64.and(t0, 0xffn)
    `),
    ).toBe(`
      t0:i64 = load.8 i64.load [3: 0n]
      store.1 i64.store8 [3: 8n] = t0
    `);
  });

  it('are not all of what a 64-bit write or store wants', () => {
    const text = `
      t0:i64 = load.8 i64.load [3: 0n]
      rax.8 = i64.and(t0, 0xffffffffn)
      store.8 i64.store [3: 8n] = i64.and(t0, 0xffffffffn)
    `;
    expect(simplified(text)).toBe(text);
  });

  it('of a float and of a vector register are left as they are', () => {
    const text = `
      t0:f32 = load.4 f32.load [3: 0n]
      t1:i64 = load.8 i64.load [3: 0n]
      store.4 f32.store [3: 8n] = f32.neg(t0)
      xmm0.4 = i64.and(t1, 0xffffffffn)
    `;
    expect(simplified(text)).toBe(text);
  });

  it('are not computed a second time where that takes more than six operators', () => {
    const text = `
      t0:i64 = load.8 i64.load [3: 0n]
      t1:i64 = i64.mul(t0, i64.mul(t0, i64.mul(t0, i64.mul(t0, i64.mul(t0, i64.mul(t0, t0))))))
      t2:i64 = i64.mul(t1, t0)
      rax.8 = t1
      rcx.4 = t2
    `;
    expect(simplified(text)).toBe(text);
  });
});

describe('flags', () => {
  it('take along what only they want', () => {
    expect(
      simplified(`
      t0:i64 = rcx.4 signed
      t1:i64 = i64.sub(t0, 5n)
      t2:i64 = i64.extend32_s(t1)
      flags 3 result=t2 a=t0 b=5n
    `),
    ).toBe(`
      t100:i64 = rcx.8
      flags 3 result=i64.extend32_s(i64.sub(i64.extend32_s(t100), 5n)) a=i64.extend32_s(t100) b=5n
    `);
  });

  it('of a mask take their bits along', () => {
    expect(
      simplified(`
      t0:i64 = rcx.8
      t1:i64 = i64.and(t0, 1n)
      flagBits 1n = t1
    `),
    ).toBe(`
      t0:i64 = rcx.8
      flagBits 1n = i64.and(t0, 1n)
    `);
  });

  it('keep a value that costs more than six operators where it was computed', () => {
    const text = `
      t0:i64 = rcx.8
      t1:i64 = i64.mul(t0, i64.mul(t0, i64.mul(t0, i64.mul(t0, i64.mul(t0, i64.mul(t0, i64.mul(t0, t0)))))))
      flags 5 result=t1
    `;
    expect(simplified(text)).toBe(text);
  });

  it('do not read a variable later than they were set', () => {
    const text = `
      t0:i64 := 1n
      t1:i64 = i64.add(t0, 2n)
      flags 5 result=t1
      t0:i64 := 3n
      rax.8 = t0
    `;
    expect(simplified(text)).toBe(text);
  });

  it('do not move a field of the record', () => {
    const text = `
      t0:i64 = record.immediate:i64
      flags 5 result=t0
    `;
    expect(simplified(text)).toBe(text);
  });

  it('in an arm know what was computed before it; behind it nobody knows what was computed inside', () => {
    expect(
      simplified(`
      t0:i64 = rcx.8
      t1:i64 = i64.add(t0, 1n)
      if i64.eqz(t0)
        t2:i64 = i64.add(t1, 2n)
        flags 5 result=t2
        rax.8 = t2
      flags 5 result=t2
    `),
    ).toBe(`
      t0:i64 = rcx.8
      t1:i64 = i64.add(t0, 1n)
      if i64.eqz(t0)
        t2:i64 = i64.add(t1, 2n)
        flags 5 result=i64.add(i64.add(t0, 1n), 2n)
        rax.8 = t2
      flags 5 result=t2
    `);
  });
});

describe('values that nobody wants', () => {
  it('go with what only they wanted', () => {
    expect(
      simplified(`
      t0:i64 = rcx.8
      t1:i64 = i64.add(t0, 1n)
      t2:i64 = i64.add(t1, 1n)
      fence
    `),
    ).toBe(`
      fence
    `);
  });

  it('stay where making them can fault or has an effect', () => {
    const text = `
      t0:i64 = linear.4 [3: 0n]
      t1:i64 = load.4 i64.load32_u [3: t0]
      t2:i64 = call rdtsc()
    `;
    expect(simplified(text)).toBe(text);
  });

  it('are wanted by the condition and by both arms of an if', () => {
    const text = `
      t0:i32 = i32.eqz(1)
      t1:i64 = rcx.8
      t2:i64 = rdx.8
      if t0
        rax.8 = t1
      else
        rax.8 = t2
    `;
    expect(simplified(text)).toBe(text);
  });

  // Each temporary has one reader.
  it.each([
    'rax.8 = t0',
    'i64.store state.rip = t0',
    't5:i64 := t0',
    't5:i64 = i64.load state.segBase[i32.wrap_i64(t0)]',
    't5:i64 = linear.4 [i32.wrap_i64(t0): 0n]',
    't5:i64 = linear.4 [3: t0]',
    't5:i64 = load.8 i64.load [i32.wrap_i64(t0): 0n]',
    't5:i64 = load.8 i64.load [3: t0]',
    'store.8 i64.store [i32.wrap_i64(t0): 0n] = 1n',
    'store.8 i64.store [3: t0] = 1n',
    'store.8 i64.store [3: 0n] = t0',
    't5:i32, t6:i64 = update.4 [i32.wrap_i64(t0): 0n]',
    't5:i32, t6:i64 = update.4 [3: t0]',
    'updated.8 [i32.wrap_i64(t0): t1] from t2 = 1n',
    'updated.8 [3: t0] from t2 = 1n',
    'updated.8 [3: t1] from t0 = 1n',
    'updated.8 [3: t1] from t2 = t0',
    'flags i32.wrap_i64(t0)',
    'flags 5 result=t0',
    'flags 5 a=t0',
    'flags 5 b=t0',
    'flagBits 1n = t0',
    'call cli(t0)',
    'raise 13 error t0',
    'checkTarget t0',
    'branchTo t0',
    'finish i32.wrap_i64(t0)',
    'branch if i64.eqz(t0)',
  ])('are wanted by %s', (reader) => {
    const text = `
      t1:i64 = load.8 i64.load [3: 0n]
      t2:i64 = load.8 i64.load [3: 8n]
      t0:i64 = i64.div_u(t1, t2)
      ${reader}
    `;
    expect(simplified(text)).toContain(reader.startsWith('flag') ? 'i64.div_u(t1, t2)' : text.trim());
  });
});
