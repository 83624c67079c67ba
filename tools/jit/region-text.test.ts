import { expect, it } from 'vitest';
import { printStatements } from '../../src/ir/print.ts';
import { CORPUS } from './corpus.ts';
import { figuresOf, figuresText, regionText, stagesOf } from './region-text.ts';
import { staticRegion } from './static-region.ts';

// mov eax, ecx; ret
const CODE = staticRegion(Uint8Array.of(0x89, 0xc8, 0xc3), 0x10, 64);

it('a region is shown by trace, each instruction with what every pass makes of it', () => {
  const code = new Map([
    [0x10, 'mov eax,ecx'],
    [0x12, 'ret'],
  ]);
  expect(regionText(CODE, { code, ir: 'all', wasm: false }).slice(0, 16)).toEqual([
    '',
    'trace 0, entry 0',
    '  block 10',
    '    10  mov eax,ecx',
    '        described',
    '          t0:i64 = rcx.4',
    '          rax.4 = t0',
    '        low bits and flags',
    '          t1:i64 = rcx.8',
    '          t0:i64 = i64.and(t1, 0xffffffffn)',
    '          rax.4 = t1',
    '        unused values',
    '          t1:i64 = rcx.8',
    '          rax.4 = t1',
    '    12  ret',
    '        described',
  ]);
});

it('the last stage is what is emitted', () => {
  const { bits, offset, code, instructions } = CORPUS[0]!;
  const region = staticRegion(Uint8Array.from(Buffer.from(code, 'hex')), offset, bits);
  const stages = stagesOf(region);
  const emitted = region.plan.traces.flatMap(({ blocks }) =>
    blocks.flatMap((block) =>
      block.instructions.map((instruction, i) => [instruction.offset, printStatements(block.bodies[i]!)]),
    ),
  );
  expect(emitted.length).toBe(instructions);
  expect(emitted).toEqual(emitted.map(([at]) => [at, stages.get(Number(at))?.at(-1)?.lines]));
});

it('the function ends the text', () => {
  const text = regionText(CODE, { ir: 'none', wasm: true });
  expect(text[1]).toBe('trace 0, entry 0');
  expect(text).toContainEqual(
    expect.stringMatching(/^\(func \(param i32 i32\) \(result i32\) \(local .*i64/),
  );
  expect(text.at(-1)).toBe('  end');
});

it('figures are per guest instruction', () => {
  expect(figuresText({ instructions: 4, operations: 100, bytes: 250 })).toBe(
    '4 instructions, 100 wasm operations (25.0 each), 250 bytes (62.5 each)',
  );
  expect(figuresOf(CODE).instructions).toBe(2);
});
