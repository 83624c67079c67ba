/**
 * Replays committed cases on the interpreter, or with `--verify` by translated code that is compared with it, and lists every difference:
 * `tsx tools/vectors/replay.ts [filter] [differences per group] [long or legacy] [--verify]`. The interpreter is generated from the present
 * sources; the core is build/core.wasm.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { generateInterpreter } from '../../src/interp/generate.ts';
import { decodeFile } from '../../src/interp/vectors-file.ts';
import { CaseState } from '../../src/interp/vectors-state.ts';
import { createReplay, JitReplay } from './machine.ts';

const FOLDER = fileURLToPath(new URL('../../test/vectors/', import.meta.url));
const INTERPRETER = fileURLToPath(new URL('../../build/interpreter.wasm', import.meta.url));
const CORE = fileURLToPath(new URL('../../build/core.wasm', import.meta.url));

/** Generated from the sources; while a description is missing, the one that was built last. */
function interpreter(): Uint8Array<ArrayBuffer> {
  try {
    return generateInterpreter();
  } catch (error) {
    console.log(`build/interpreter.wasm is used: ${String(error)}`);
    return new Uint8Array(readFileSync(INTERPRETER));
  }
}

const isVerified = process.argv.includes('--verify');
const [filterText = '.*', limitText = '2', platform = 'long'] = process.argv
  .slice(2)
  .filter((argument) => argument !== '--verify');
const filter = new RegExp(filterText);
const limit = Number(limitText);
const core = new Uint8Array(readFileSync(CORE));
const kind = platform === 'legacy' ? 'legacy' : 'long';
const verifying = isVerified ? new JitReplay(core, interpreter(), kind, true) : undefined;
const plain = createReplay(core, interpreter(), kind);
let cases = 0;
let failed = 0;
let groups = 0;
let failedGroups = 0;
for (const file of readdirSync(FOLDER).filter((name) => name.endsWith('.bin.gz'))) {
  for (const group of decodeFile(gunzipSync(readFileSync(FOLDER + file)), new CaseState())) {
    if (!filter.test(group.id)) continue;
    groups++;
    cases += group.cases.length;
    const differences = verifying?.replay([group], group.cases.length) ?? plain.replay(group);
    if (differences.length === 0) continue;
    failedGroups++;
    failed += differences.length;
    console.log(`### ${group.id}: ${differences.length} of ${group.cases.length}`);
    for (const d of differences.slice(0, limit)) console.log(d.text);
  }
}
console.log(`${cases} cases of ${groups} groups replayed, ${failed} differ in ${failedGroups} groups`);
process.exitCode = failed ? 1 : 0;
