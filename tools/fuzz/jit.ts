/**
 * `npm run fuzz:jit -- [--seed N] [--count N] [--seconds N] [--keep]`: random programs on the interpreter and with the translator.
 * A difference is printed with the seed and the smallest program that still shows it.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { compare, minimize } from '../../src/vcpu/testing/differential.ts';
import type { Executors } from '../../src/vcpu/testing/differential.ts';
import { assemble, Generator } from '../../src/vcpu/testing/random-program.ts';
import type { RandomProgram } from '../../src/vcpu/testing/random-program.ts';
import { root } from '../runner/stale.ts';
import { ensureWasm } from '../runner/wasm.ts';
import { disassemble } from './disassemble.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    count: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '600' },
    whole: { type: 'boolean', default: false },
  },
});
await ensureWasm(false);
const executors: Executors = {
  core: readFileSync(`${root}build/core.wasm`),
  interpreter: readFileSync(`${root}build/interpreter.wasm`),
};

let failures = 0;
let givenUp = 0;
let instructions = 0;
let translated = 0;
let faults = 0;

function differencesOf(program: RandomProgram): readonly string[] {
  try {
    const { differences, expected, actual } = compare(executors, program);
    if (!expected.ended) givenUp++;
    instructions += Number(expected.instructions);
    translated += Number(actual.translatedInstructions);
    faults += Number(expected.faults);
    return differences;
  } catch (error) {
    return [`thrown: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`];
  }
}

const first = Number(values.seed ?? Date.now() % 1_000_000_000);
const count = values.seed === undefined ? Number(values.count) : 1;
const end = performance.now() + Number(values.seconds) * 1000;
let done = 0;
for (let seed = first; seed < first + count && performance.now() < end; seed++, done++) {
  const program = new Generator(seed).program();
  const differences = differencesOf(program);
  if (differences.length === 0) continue;
  failures++;
  console.log(`\n### --seed ${seed}\n${differences.join('\n')}`);
  if (!values.whole && values.seed === undefined) continue;
  const smallest = values.whole ? program : minimize(program, (tried) => differencesOf(tried).length > 0);
  console.log(`\nAs small as it gets:\n${differencesOf(smallest).join('\n')}`);
  for (const { address, bytes } of assemble(smallest)) console.log(await disassemble(bytes, address, 64));
}
console.log(
  `${(instructions / 1e6).toFixed(1)} M instructions, ${((translated / instructions) * 100).toFixed(0)} % translated; ` +
    `${faults} faults; ${givenUp} programs given up`,
);
console.log(`${done} programs from seed ${first}: ${failures} differ`);
process.exitCode = failures > 0 ? 1 : 0;
