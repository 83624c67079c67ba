/** Recorded streams of instructions (test/streams), by the interpreter's blocks and by translated code. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { CaseState } from '../../src/interp/vectors-state.ts';
import { JitStreamMachine, StreamMachine } from './machine.ts';
import { decodeStreams, digest, encodeStreams, outcomeLines, streamState } from './streams.ts';

function read(path: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url))));
}

const core = read('build/core.wasm');
const interpreter = read('build/interpreter.wasm');
const state = new CaseState();
const files = ['64', '32'] as const;
/** Translated together. */
const MODULE = 50;

/** The streams that end otherwise than on the recorded CPU, the first ones in full. */
function failures(machine: StreamMachine, file: string): string {
  const recorded = decodeStreams(gunzipSync(read(`test/streams/${file}.bin.gz`)));
  const wrong: string[] = [];
  for (let from = 0; from < recorded.length; from += MODULE) {
    const part = recorded.slice(from, from + MODULE);
    machine.prepare(part.map(({ stream }) => stream));
    for (const { stream, digest: expected } of part) {
      streamState(state, stream);
      const outcome = machine.execute(stream, state);
      if (digest(stream, outcome) === expected) continue;
      const code = Buffer.from(stream.code).toString('hex');
      wrong.push([`seed ${stream.seed}: ${code}, ours:`, ...outcomeLines(stream, outcome)].join('\n  '));
    }
  }
  return wrong.slice(0, 3).join('\n') + (wrong.length > 3 ? `\n... ${wrong.length} in all` : '');
}

describe('streams of instructions recorded on the real CPU', () => {
  it.each(files)('all of %s bit end as recorded, interpreted', { timeout: 300_000 }, (file) => {
    expect(failures(new StreamMachine(core, interpreter), file)).toBe('');
  });

  it.each(files)('all of %s bit end as recorded, translated', { timeout: 300_000 }, (file) => {
    const machine = new JitStreamMachine(core, interpreter);
    expect(failures(machine, file)).toBe('');
    console.log(`streams: ${machine.translated} entries into regions, ${machine.interpreted} steps`);
    expect(machine.translated).toBeGreaterThan(machine.interpreted);
  });

  it('are read back as they were written', () => {
    const bytes = gunzipSync(read('test/streams/64.bin.gz'));
    expect(Buffer.from(encodeStreams(decodeStreams(bytes))).equals(bytes)).toBe(true);
  });
});
