import { expect, test } from 'vitest';
import { FakeHost } from '../machine/fake-host.ts';
import { HLT, pvhKernel } from '../machine/pvh-kernel.ts';
import { createMachine } from './create-machine.ts';
import type { MachineOptions } from './create-machine.ts';

function machineOn(host: FakeHost, options: Partial<MachineOptions> = {}) {
  return createMachine({ kernel: pvhKernel([HLT]), memoryBytes: 16 << 20, host, ...options });
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

test('a profile is of the time that was asked for, and only of a machine that runs', async () => {
  const machine = machineOn(new FakeHost());
  expect(await machine.profile(1)).toBeUndefined();
  await machine.start();
  const profile = await machine.profile(60);
  expect(profile?.samples).toBeGreaterThan(0);
  expect(profile).toMatchObject({ halted: 0, gone: 0, regions: [] });
  await machine.stop();
});
