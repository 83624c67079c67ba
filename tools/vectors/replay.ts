/**
 * Replays committed cases on the interpreter and lists every difference:
 * `tsx tools/vectors/replay.ts [filter] [differences per group]`. The interpreter is generated from the present
 * sources; the core is build/core.wasm.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { viewsOf } from '../../src/base/views.ts';
import { generateInterpreter } from '../../src/interp/generate.ts';
import { decodeFile } from '../../src/interp/vectors-file.ts';
import { Replay, REPLAY_RAM_BYTES } from '../../src/interp/vectors-replay.ts';
import { CaseState } from '../../src/interp/vectors-state.ts';
import { RAM_BASE } from '../../src/layout/map.ts';
import { VCPU } from '../../src/layout/vcpu.ts';
import { Vcpu } from '../../src/vcpu/vcpu.ts';

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

function createReplay(): Replay {
  const bytes = RAM_BASE + REPLAY_RAM_BYTES;
  const memory = new WebAssembly.Memory({ initial: bytes / 65536, maximum: 65536, shared: true });
  const views = viewsOf(memory.buffer);
  const vcpu = new Vcpu<never>({
    views,
    memory,
    index: 0,
    vcpuCount: 1,
    coreModule: new WebAssembly.Module(readFileSync(CORE)),
    interpreterModule: new WebAssembly.Module(interpreter()),
    host: {
      mmioRead: () => undefined,
      mmioWrite: () => undefined,
      portRead: () => 0,
      portWrite: () => 0,
      cpuid: () => undefined,
      readMsr: () => 1,
      writeMsr: () => 1,
      tsc: () => 0,
      taskPriority: () => 0,
      setTaskPriority: () => undefined,
    },
    environment: {
      pendingVector: () => -1,
      acknowledge: () => -1,
      now: () => 0,
      nextDeadline: () => Infinity,
      expire: () => undefined,
    },
    hostNow: () => 0,
  });
  vcpu.reset(REPLAY_RAM_BYTES);
  const step = (): string | undefined => {
    try {
      const end = vcpu.step();
      return end && (end.kind === 'unsupported' ? end.message : end.kind);
    } catch (error) {
      // A function of the core that is not there yet.
      if (!(error instanceof WebAssembly.RuntimeError)) throw error;
      return views.u32[(vcpu.cpu + VCPU.at.exception) >>> 2] ? undefined : `the core trapped: ${error.message}`;
    }
  };
  return new Replay({ memory: memory.buffer, cpu: vcpu.cpu, core: vcpu.core, step });
}

const [filterText = '.*', limitText = '2'] = process.argv.slice(2);
const filter = new RegExp(filterText);
const limit = Number(limitText);
const replay = createReplay();
let cases = 0;
let failed = 0;
let groups = 0;
let failedGroups = 0;
for (const file of readdirSync(FOLDER).filter((name) => name.endsWith('.bin.gz'))) {
  for (const group of decodeFile(gunzipSync(readFileSync(FOLDER + file)), new CaseState())) {
    if (!filter.test(group.id)) continue;
    groups++;
    cases += group.cases.length;
    const differences = replay.replay(group);
    if (differences.length === 0) continue;
    failedGroups++;
    failed += differences.length;
    console.log(`### ${group.id}: ${differences.length} of ${group.cases.length}`);
    for (const d of differences.slice(0, limit)) console.log(d.text);
  }
}
console.log(`${cases} cases of ${groups} groups replayed, ${failed} differ in ${failedGroups} groups`);
process.exitCode = failed ? 1 : 0;
