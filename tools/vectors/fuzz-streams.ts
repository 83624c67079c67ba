/**
 * Random streams of instructions on the real CPU and on ours: `npm run fuzz -- [options]`.
 *
 *   --streams N       so many (default 20000)
 *   --seed S          of the run (default: the time)
 *   --width 32|64     of the code (default 64)
 *   --jit             by translated code; otherwise by the interpreter
 *   --record          writes them to test/streams, if nothing differs, for the suite
 *
 * Needs gcc, Linux on x86-64 and a CPU of the kind that the vectors were recorded on.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { generateInterpreter } from '../../src/interp/generate.ts';
import { CaseState } from '../../src/interp/vectors-state.ts';
import { JitStreamMachine, StreamMachine } from './machine.ts';
import { buildRecorder, NativeBatch } from './native.ts';
import { usable } from './plans.ts';
import { makeStream, type Stream } from './stream-generator.ts';
import { differences, digest, encodeStreams, streamState, type RecordedStream } from './streams.ts';

const CORE = fileURLToPath(new URL('../../build/core.wasm', import.meta.url));
const FOLDER = fileURLToPath(new URL('../../test/streams/', import.meta.url));
/** Executed together. */
const BATCH = 1000;
/** Translated together. */
const MODULE = 50;
const SHOWN = 20;

const { values } = parseArgs({
  options: {
    streams: { type: 'string', default: '20000' },
    seed: { type: 'string', default: String(Date.now() >>> 0) },
    width: { type: 'string', default: '64' },
    jit: { type: 'boolean', default: false },
    record: { type: 'boolean', default: false },
  },
});
const total = Number(values.streams);
const seed = Number(values.seed) | 0;
const width = values.width === '32' ? 32 : 64;

buildRecorder();
const core = new Uint8Array(readFileSync(CORE));
const machine = values.jit
  ? new JitStreamMachine(core, generateInterpreter())
  : new StreamMachine(core, generateInterpreter());
const state = new CaseState();
const recorded: RecordedStream[] = [];
const vectors = new Map<number, number>();
const spent = { generate: 0, native: 0, ours: 0 };
let differ = 0;

function timed(what: keyof typeof spent, action: () => void): void {
  const started = process.hrtime.bigint();
  action();
  spent[what] += Number(process.hrtime.bigint() - started) / 1e9;
}

function report(stream: Stream, index: number, lines: readonly string[]): void {
  differ++;
  if (differ > SHOWN) return;
  const code = Buffer.from(stream.code).toString('hex');
  console.log(
    [`stream ${index} of seed ${seed}, ${width} bit: ${code}`, ...lines.map((l) => `    ${l}`)].join('\n'),
  );
}

for (let first = 0; first < total; first += BATCH) {
  const streams: Stream[] = [];
  const batch = new NativeBatch();
  timed('generate', () => {
    for (let i = first; i < Math.min(total, first + BATCH); i++) {
      const stream = makeStream(seed, i, width, state);
      streamState(state, stream);
      batch.add(state, stream.code);
      streams.push(stream);
    }
  });
  const expected: Parameters<Parameters<NativeBatch['run']>[0]>[1][] = [];
  timed('native', () => batch.run((i, outcome) => (expected[i] = outcome), state));
  timed('ours', () => {
    for (let from = 0; from < streams.length; from += MODULE) {
      const part = streams.slice(from, from + MODULE);
      machine.prepare(part);
      part.forEach((stream, n) => {
        const native = expected[from + n]!;
        if (!usable(native)) return;
        vectors.set(native.vector, (vectors.get(native.vector) ?? 0) + 1);
        streamState(state, stream);
        try {
          const lines = differences(stream, machine.execute(stream, state), native);
          if (lines.length > 0) report(stream, first + from + n, lines);
        } catch (error) {
          report(stream, first + from + n, [String(error)]);
        }
        recorded.push({ stream, digest: digest(stream, native) });
      });
    }
  });
  if (!values.record) recorded.length = 0;
}
const rate = (seconds: number): string => `${Math.round((total / seconds) * 0.06)}k`;
console.log(
  `${total} streams, ${machine.instructions} instructions by the interpreter, ${differ} differ; a minute: ${rate(spent.generate)} made, ${rate(spent.native)} native, ${rate(spent.ours)} ours`,
);
const ends = [...vectors].toSorted((a, b) => b[1] - a[1]).map(([vector, count]) => `${vector}: ${count}`);
console.log(`ended by exception (-1: none) ${ends.join(', ')}`);
if (values.record && differ === 0) {
  mkdirSync(FOLDER, { recursive: true });
  const packed = gzipSync(encodeStreams(recorded), { level: 9 });
  writeFileSync(`${FOLDER}${width}.bin.gz`, packed);
  console.log(`test/streams/${width}.bin.gz: ${recorded.length} streams, ${packed.length} bytes`);
}
process.exitCode = differ ? 1 : 0;
