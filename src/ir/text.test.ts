import { describe, expect, it } from 'vitest';
import { VCPU } from '../layout/vcpu.ts';
import { RecordSite } from '../interp/site.ts';
import { FORMS } from '../isa/forms.ts';
import { describeInstruction } from '../isa/semantics/index.ts';
import { Builder } from './builder.ts';
import { parseStatements } from './parse.ts';
import { printStatements } from './print.ts';

describe('statements as text', () => {
  it('read back are what the description of an instruction gave, for all instructions', () => {
    const described = FORMS.map((form) => {
      const builder = new Builder();
      describeInstruction(builder, new RecordSite(form));
      return builder.finish();
    });
    const readBack = described.map((list) => parseStatements(printStatements(list).join('\n')));
    expect(readBack).toEqual(described);
  });

  it('name registers, parts of them, and fields of the vCPU', () => {
    expect(
      parseStatements(`
        t0:i64 = rax+1.1
        r9.4 = t0
        xmm2+8.8 = t0
        t1:i32 = i32.load state.flagKind
      `),
    ).toMatchObject([
      { kind: 'readRegister', register: { file: 'general', where: 1 }, bytes: 1, signed: false },
      { kind: 'writeRegister', register: { file: 'general', where: 72 }, bytes: 4 },
      { kind: 'writeRegister', register: { file: 'xmm', where: 40 }, bytes: 8 },
      { kind: 'readState', op: 'i32.load', offset: VCPU.at.flagKind },
    ]);
  });

  it('has constants with their type and sign', () => {
    expect(parseStatements('t0:i64 = i64.add(-1n, 0x10n)\nfinish -2')).toMatchObject([
      { value: { args: [{ type: 'i64', value: 2n ** 64n - 1n }, { value: 16n }] } },
      { status: { type: 'i32', value: 2n ** 32n - 2n } },
    ]);
  });

  it('nests the arms of an if', () => {
    const text = [
      'if likely t0:i32',
      '  if i32.eqz(t0)',
      '    fence',
      '  leave',
      'else',
      '  branch',
      'checkBranch',
    ];
    expect(printStatements(parseStatements(text.join('\n')))).toEqual(['if likely t0', ...text.slice(1)]);
    expect(parseStatements(text.join('\n'))).toMatchObject([
      { likely: true, yes: [{ kind: 'if', yes: [{ kind: 'fence' }], no: [] }, { kind: 'leave' }], no: [{}] },
      { kind: 'checkBranch' },
    ]);
  });

  it('that is no statement is refused with its line', () => {
    expect(() => parseStatements('rax.8 = t1')).toThrow('t1 has no type: rax.8 = t1');
    expect(() => parseStatements('rax.8 = 1n 2n')).toThrow('not understood:  2n in rax.8 = 1n 2n');
    expect(() => parseStatements('fence\n  fence')).toThrow('stray: fence');
  });
});
