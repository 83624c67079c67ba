/**
 * `npx tsx wasm/testing/x87-compare.ts FILE`: whether the core (build/core.wasm) does what the CPU did in a file of
 * tools/record-x87/record.c, by both ways into it. For millions of cases; wasm/x87.test.ts replays the repository's.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { readRecording, RECORD_BYTES } from './x87-recording.ts';
import { mismatches, openBench, readCore } from './x87-replay.ts';

const RECORDS_AT_ONCE = 20_000;
const SHOWN = 5;

const [path] = process.argv.slice(2);
if (path === undefined) throw new Error('which file?');
const bench = openBench(readCore());
const file = openSync(path, 'r');
const buffer = new Uint8Array(RECORDS_AT_ONCE * RECORD_BYTES);
let cases = 0;
let wrong = 0;
for (;;) {
  const length = readSync(file, buffer);
  if (length === 0) break;
  const records = readRecording(buffer.subarray(0, length - (length % RECORD_BYTES)));
  cases += records.length;
  for (const executor of ['any code', 'this code'] as const) {
    const found = mismatches(bench, records, executor);
    for (const text of found.slice(0, Math.max(0, SHOWN - wrong))) console.log(text);
    wrong += found.length;
  }
}
closeSync(file);
console.log(`${cases} cases, ${wrong} differ`);
process.exit(wrong > 0 ? 1 : 0);
