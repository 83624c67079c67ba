/**
 * Our core against the real CPU on fresh cases: `tsx tools/vectors/fuzz.ts [rounds] [seed] [filter] [long or legacy]`. Each
 * round executes every planned case with other inputs, on the CPU and on the interpreter, and lists what differs.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { generateInterpreter } from '../../src/interp/generate.ts';
import { KNOWN_DIFFERENCES } from '../../src/interp/vectors-known.ts';
import { CaseState } from '../../src/interp/vectors-state.ts';
import { createReplay } from './machine.ts';
import { buildRecorder } from './native.ts';
import { plans, recordPlans } from './plans.ts';

const CORE = fileURLToPath(new URL('../../build/core.wasm', import.meta.url));
/** Plans executed together: bounds the memory. */
const CHUNK = 100;
const SHOWN = 200;

const [rounds = '1', seed = String(Date.now() >>> 0), filterText = '.*', platform = 'long'] =
  process.argv.slice(2);
const filter = new RegExp(filterText);
buildRecorder();
const kind = platform === 'legacy' ? 'legacy' : 'long';
const replay = createReplay(new Uint8Array(readFileSync(CORE)), generateInterpreter(), kind);
const state = new CaseState();
const list = plans().filter(({ id, mnemonic }) => filter.test(id) && mnemonic !== 'undefined');
let cases = 0;
const known = new Map<string, number>();
let unknown = 0;
for (let round = 0; round < Number(rounds); round++) {
  for (let at = 0; at < list.length; at += CHUNK) {
    for (const group of recordPlans(list.slice(at, at + CHUNK), state, `${seed}.${round}`)) {
      cases += group.cases.length;
      for (const difference of replay.replay({ ...group, checksum: 0 })) {
        const entry = KNOWN_DIFFERENCES.find(
          (k) => k.group.test(difference.group) && k.text.test(difference.text),
        );
        if (entry) known.set(entry.reason, (known.get(entry.reason) ?? 0) + 1);
        else if (unknown++ < SHOWN) console.log(difference.text);
      }
    }
  }
  console.log(`seed ${seed}, round ${round}: ${cases} cases so far, ${unknown} differ`);
}
for (const [reason, count] of known) console.log(`known, ${count} times: ${reason}`);
process.exitCode = unknown ? 1 : 0;
