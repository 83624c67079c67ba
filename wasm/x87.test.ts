/**
 * Every x87 instruction against what a real CPU did (tools/record-x87): registers, tags, status, control
 * word, memory and flags, bit for bit. The transcendental instructions may be off by one unit in the
 * last place, and differ in PE and C1.
 */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { readCompressedRecording, type Recorded } from './testing/x87-recording.ts';
import { byInstruction, mismatches, openBench, readCore } from './testing/x87-replay.ts';

const read = (name: string): Recorded[] =>
  readCompressedRecording(readFileSync(new URL(`../tools/record-x87/${name}`, import.meta.url)));
/** All kinds of numbers and control words; then mostly normal numbers with the control word that programs start with. */
const recorded = [...read('x87.bin.gz'), ...read('x87-ordinary.bin.gz')];
const instructions = byInstruction(recorded);
const bench = openBench(readCore());

it('has a recording of 143 opcodes', () => {
  expect(instructions.size).toBe(143);
});

it.each([...instructions])('%s does what the CPU did', (_name, records) => {
  expect(mismatches(bench, records, 'any code')).toEqual([]);
});

it.each([...instructions])('%s in translated code does what the CPU did', (_name, records) => {
  expect(mismatches(bench, records, 'this code')).toEqual([]);
});
