/** Code that another thread overwrites while it runs translated: what a disk's data do when they come into a page of code. */
import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { RAM_BASE } from '../../src/layout/map.ts';
import { takeCodeWrites } from '../../src/sync/code-mail.ts';
import { run } from '../../src/vcpu/testing/bare-machine.ts';
import { eagerMachine, translatedInstructions } from '../../src/vcpu/testing/eager-machine.ts';
import type { BareMachine } from '../../src/vcpu/testing/bare-machine.ts';
import type { WriterOrder } from './writer-thread.ts';

const RAM_BYTES = 16 << 20;
const ROUNDS = 30;
const FUNCTIONS = 0x20000;
const WRITTEN = 0x60000;
const RUNNING = 0x61000;
const RDX = 2;
const RSI = 6;
const RDI = 7;
const R8 = 8;
/** Of the run loop; a guest whose writer was lost ends here. */
const MOST_TURNS = 10_000_000;

it('a guest that has seen the flag behind a write of code never runs what was there before', async () => {
  let turns = 0;
  const machine: BareMachine = eagerMachine(
    readFileSync('build/core.wasm'),
    readFileSync('build/interpreter.wasm'),
    {
      turn: () => {
        if (++turns === MOST_TURNS) machine.vcpu.leave('port');
      },
      takeMail: () =>
        takeCodeWrites(
          machine.views,
          0,
          (gpa, bytes) => machine.vcpu.core.invalidateCode(machine.vcpu.cpu, gpa, bytes),
          () => machine.vcpu.core.invalidateCode(machine.vcpu.cpu, 0, RAM_BYTES),
        ),
    },
  );
  const { views } = machine;
  // mov eax, 0; ret
  Array.from({ length: ROUNDS }, (_, n) =>
    views.u8.set([0xb8, 0, 0, 0, 0, 0xc3], RAM_BASE + FUNCTIONS + n * 0x1000),
  );
  views.u32[(RAM_BASE + RUNNING) >>> 2] = 1;
  const order: WriterOrder = {
    memory: machine.memory,
    ramBytes: RAM_BYTES,
    rounds: ROUNDS,
    functions: FUNCTIONS,
    written: WRITTEN,
    running: RUNNING,
  };
  const script = new URL('writer-thread.ts', import.meta.url).href;
  const source = `import('tsx/esm/api').then(({ register }) => { register(); return import(${JSON.stringify(script)}); });`;
  const writer = new Worker(source, { eval: true, workerData: order });
  // 1: call rsi; cmp [rdi], r8d; jne 1b; call rsi; cmp eax, r8d; jne 2f; inc r8d; add rsi, 1000h; mov [rdx], r8d; cmp r8d, 31; jne 1b; 2: out 80h
  const code = 'ffd6 443907 75f9 ffd6 4439c0 7513 41ffc0 4881c600100000 448902 4183f81f 75df e680'.replaceAll(
    ' ',
    '',
  );
  const registers = {
    [R8]: 1n,
    [RSI]: BigInt(FUNCTIONS),
    [RDI]: BigInt(WRITTEN),
    [RDX]: BigInt(RUNNING),
  };
  expect(run(machine, { code, registers })).toEqual({ kind: 'asked', what: 'port' });
  await writer.terminate();
  // The round in which an old function was run, if there was one.
  expect(machine.register(R8)).toBe(BigInt(ROUNDS + 1));
  expect(translatedInstructions(machine)).toBeGreaterThan(ROUNDS * 50_000);
});
