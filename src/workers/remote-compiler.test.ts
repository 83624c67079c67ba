import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { DEFAULT_FEATURES } from '../base/cpu-features.ts';
import { PAGE_SIZE, VCPU_BASE, VCPU_STRIDE } from '../layout/map.ts';
import { ATTENTION_COMPILED, MODE_CODE64, MODE_FLAT, VCPU } from '../layout/vcpu.ts';
import type { CompiledJob, CompileJob } from '../vcpu/compiler.ts';
import { serveCompiler } from './compile-thread.ts';
import { RemoteCompiler, type CompilerSetup } from './remote-compiler.ts';

const ATTENTION = (VCPU_BASE + VCPU.at.attention) >>> 2;

let channel: MessageChannel;
let words: Int32Array;
let compiler: RemoteCompiler;

beforeEach(() => {
  channel = new MessageChannel();
  const pages = (VCPU_BASE + VCPU_STRIDE) / 65536;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  words = new Int32Array(memory.buffer);
  serveCompiler(channel.port2);
  compiler = new RemoteCompiler(channel.port1, { memory, index: 0, features: DEFAULT_FEATURES });
});

afterEach(() => {
  compiler.close();
  channel.port2.close();
});

function job(id: number, code: string): CompileJob {
  const bytes = new Uint8Array(PAGE_SIZE);
  bytes.set(Buffer.from(code.replaceAll(' ', ''), 'hex'));
  return { id, pages: [{ address: 0, bytes, mode: MODE_CODE64 | MODE_FLAT, leaders: [0], wanted: [0] }] };
}

/** Takes turns as the vCPU's thread does: when the attention bit asks for one. */
async function untilAnswered(): Promise<readonly CompiledJob[]> {
  let done: readonly CompiledJob[] = [];
  while (done.length === 0) {
    await setTimeout(1);
    if ((Atomics.and(words, ATTENTION, ~ATTENTION_COMPILED) & ATTENTION_COMPILED) !== 0)
      await compiler.turn();
    done = compiler.take();
  }
  return done;
}

it('answers with a module whose functions are named by the pages', async () => {
  // 1: add [rbx], rax; dec ecx; jnz 1b
  compiler.submit(job(7, '480103 ffc9 75f9'));
  const [done] = await untilAnswered();
  expect(done).toMatchObject({ id: 7, pages: [{ func: 0, entries: [0], covered: [0], instructions: 3 }] });
  expect(WebAssembly.Module.exports(done!.module!)).toEqual([{ name: 'r0', kind: 'function' }]);
  expect(compiler.take()).toEqual([]);
});

it('answers without a module if nothing could be translated', async () => {
  // A REX prefix and nothing behind it but the end of the page.
  const bytes = new Uint8Array(PAGE_SIZE).fill(0x48);
  compiler.submit({
    id: 1,
    pages: [{ address: 0, bytes, mode: MODE_CODE64 | MODE_FLAT, leaders: [4095], wanted: [] }],
  });
  expect(await untilAnswered()).toMatchObject([{ id: 1, module: undefined, pages: [{ func: -1 }] }]);
});

it('asks for another turn as long as an answer is on its way', async () => {
  // A worker that answers one of two jobs by the time of the first turn, and has sent both.
  const lone = new MessageChannel();
  const memory = new WebAssembly.Memory({ initial: 32, maximum: 32, shared: true });
  const setup = new Promise<CompilerSetup>((resolve) => {
    lone.port2.addEventListener('message', ({ data }) => resolve(data as CompilerSetup), { once: true });
  });
  lone.port2.start();
  const waiting = new RemoteCompiler(lone.port1, { memory, index: 0, features: DEFAULT_FEATURES });
  const attention = new Int32Array(memory.buffer);
  const { answered } = await setup;
  waiting.submit(job(1, '90'));
  waiting.submit(job(2, '90'));
  await waiting.turn();
  expect(attention[ATTENTION]).toBe(0);
  Atomics.add(answered, 0, 2);
  lone.port2.postMessage({ id: 1 });
  await setTimeout(1);
  await waiting.turn();
  expect([waiting.take(), attention[ATTENTION]]).toEqual([[{ id: 1 }], ATTENTION_COMPILED]);
  attention[ATTENTION] = 0;
  lone.port2.postMessage({ id: 2 });
  await setTimeout(1);
  await waiting.turn();
  expect([waiting.take(), attention[ATTENTION]]).toEqual([[{ id: 2 }], 0]);
  waiting.close();
  lone.port2.close();
});
