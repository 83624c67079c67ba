import { expect, test } from 'vitest';
import { FakeHost } from '../machine/fake-host.ts';
import { createMachine } from './create-machine.ts';
import type { MachineOptions } from './create-machine.ts';

/** An ELF with a PVH note that does nothing: see e2e/tiny-guest.ts for its layout. */
function tinyKernel(): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(160);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, 3, true);
  view.setUint32(20, 1, true);
  view.setUint32(24, 0x100088, true);
  view.setUint32(28, 52, true);
  view.setUint16(40, 52, true);
  view.setUint16(42, 32, true);
  view.setUint16(44, 2, true);
  const load = [1, 0, 0x100000, 0x100000, 160, 160, 7, 4];
  const note = [4, 116, 0x100074, 0x100074, 20, 20, 7, 4];
  for (const [index, word] of [...load, ...note].entries()) view.setUint32(52 + index * 4, word, true);
  for (const [index, word] of [4, 4, 18, 0x6e6558, 0x100088].entries())
    view.setUint32(116 + index * 4, word, true);
  return bytes;
}

function machineOn(host: FakeHost, options: Partial<MachineOptions> = {}) {
  return createMachine({ kernel: tinyKernel(), memoryBytes: 16 << 20, host, ...options });
}

test('a start runs, a pause pauses, a stop ends', async () => {
  const machine = machineOn(new FakeHost());
  expect((await machine.start()).ok).toBe(true);
  expect(machine.status.state).toBe('running');
  expect((await machine.pause()).ok).toBe(true);
  expect(machine.status.state).toBe('paused');
  expect((await machine.resume()).ok).toBe(true);
  expect((await machine.stop()).ok).toBe(true);
  expect(machine.status.state).toBe('shutdown');
});

test('a start that cannot succeed resolves with the problem', async () => {
  const machine = machineOn(new FakeHost(), { kernel: new Uint8Array(4096).fill(0x5a) });
  const started = await machine.start();
  expect(started).toMatchObject({ ok: false, error: { kind: 'bad-kernel' } });
  expect(machine.status).toMatchObject({ state: 'off', problem: { kind: 'bad-kernel' } });
});

test('a command that means nothing now is refused in words', async () => {
  const machine = machineOn(new FakeHost());
  expect(await machine.pause()).toEqual({
    ok: false,
    error: 'pause is not possible while the machine is off.',
  });
});

test('what the guest prints is console text, and is waited for', async () => {
  const host = new FakeHost();
  const machine = machineOn(host);
  await machine.start();
  const seen = machine.serial.waitFor('login:');
  host.print('Debian \x1b[1m12\x1b[m\r\nlo');
  host.print('gin: ');
  await seen;
  expect(machine.consoleText()).toBe('Debian 12\nlogin:');
  await machine.stop();
});

test('waiting for output can be given up', async () => {
  const machine = machineOn(new FakeHost());
  await machine.start();
  const waiting = machine.serial.waitFor('never', AbortSignal.abort(new Error('enough')));
  await expect(waiting).rejects.toThrow('enough');
  await machine.stop();
});

test('listeners get only the events of their kind, until they end that', async () => {
  const machine = machineOn(new FakeHost());
  const states: string[] = [];
  const end = machine.on('status', ({ status }) => states.push(status.state));
  await machine.start();
  end();
  await machine.stop();
  expect([...new Set(states)]).toEqual(['loading', 'running']);
});
