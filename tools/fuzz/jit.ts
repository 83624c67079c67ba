/**
 * `npm run fuzz:jit -- [options]`: random programs on the interpreter and with the translator. A difference is printed with the seed
 * and the smallest program that still shows it.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { compare, minimize } from '../../src/vcpu/testing/differential.ts';
import type { Executors, Guest } from '../../src/vcpu/testing/differential.ts';
import { legacyGuest, legacyShape } from '../../src/vcpu/testing/legacy-guest.ts';
import { LegacyGenerator } from '../../src/vcpu/testing/legacy-program.ts';
import { assemble, Generator } from '../../src/vcpu/testing/random-program.ts';
import type { RandomProgram } from '../../src/vcpu/testing/random-program.ts';
import { root } from '../runner/stale.ts';
import { ensureWasm } from '../runner/wasm.ts';
import { disassemble } from './disassemble.ts';

const HELP = `npm run fuzz:jit -- [options]
  --legacy       programs of real, virtual-8086 and protected mode (else 64-bit ones)
  --verify       compare each run of a region as well
  --count N      so many programs (default 1000)
  --seconds N    for so long at most (default 600)
  --seed N       only the program of this seed
  --whole        print a program that differs as it is, not the smallest that still does
`;

const { values } = parseArgs({
  options: {
    legacy: { type: 'boolean', default: false },
    verify: { type: 'boolean', default: false },
    seed: { type: 'string' },
    count: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '600' },
    whole: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  process.stdout.write(HELP);
  process.exit();
}
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

interface Case {
  readonly program: RandomProgram;
  readonly guest?: Guest;
  readonly bits: 16 | 32 | 64;
}

function caseOf(seed: number): Case {
  if (!values.legacy) return { program: new Generator(seed).program(), bits: 64 };
  const shape = legacyShape(seed);
  return {
    program: new LegacyGenerator(shape, seed).program(),
    guest: legacyGuest(shape),
    bits: shape.bits,
  };
}

function differencesOf({ program, guest }: Case): readonly string[] {
  try {
    const { differences, expected, actual } = compare(
      executors,
      program,
      guest,
      values.verify ? 'verify' : 'on',
    );
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
  const tested = caseOf(seed);
  const differences = differencesOf(tested);
  if (differences.length === 0) continue;
  failures++;
  console.log(`\n### --seed ${seed}\n${differences.join('\n')}`);
  if (!values.whole && values.seed === undefined) continue;
  const fails = (program: RandomProgram): boolean => differencesOf({ ...tested, program }).length > 0;
  const smallest = values.whole ? tested.program : minimize(tested.program, fails);
  console.log(`\nAs small as it gets:\n${differencesOf({ ...tested, program: smallest }).join('\n')}`);
  for (const { address, bytes } of assemble(smallest)) {
    console.log(await disassemble(bytes, address, tested.bits));
  }
}
console.log(
  `${(instructions / 1e6).toFixed(1)} M instructions, ${((translated / instructions) * 100).toFixed(0)} % translated; ` +
    `${faults} faults; ${givenUp} programs given up`,
);
console.log(`${done} programs from seed ${first}: ${failures} differ`);
process.exitCode = failures > 0 ? 1 : 0;
