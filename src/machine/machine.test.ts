import { expect, onTestFinished, test, vi } from 'vitest';
import { DRIVE_DEFAULTS } from '../config/device-options.ts';
import { BLK_DEFAULTS, NET_DEFAULTS } from '../config/devices.ts';
import { DEFAULT_CONFIG } from '../config/vm-config.ts';
import type { VmConfig } from '../config/vm-config.ts';
import { viewsOf } from '../base/views.ts';
import { CALL_FREE, CALL_TAKEN, exitCallAddress } from '../layout/calls.ts';
import type { MachineEvent } from '../control/events.ts';
import { fileFromBytes } from './boot-file.ts';
import type { BootFile } from './boot-file.ts';
import { FakeHost } from './fake-host.ts';
import { Machine } from './machine.ts';
import { HLT, PVH_ENTRY, pvhKernel } from './pvh-kernel.ts';

const MIB = 1024 * 1024;

function machineWith(
  host: FakeHost,
  config: Partial<VmConfig> = {},
  kernel = fileFromBytes('tiny', pvhKernel([HLT])),
) {
  const events: MachineEvent[] = [];
  const machine = new Machine({
    config: { ...DEFAULT_CONFIG, memoryBytes: 16 * MIB, ...config },
    kernel,
    host,
  });
  machine.subscribe((event) => events.push(event));
  return { machine, events };
}

function states(events: readonly MachineEvent[]): string[] {
  const all = events.flatMap((event) => (event.kind === 'status' ? [event.status.state] : [event.kind]));
  return all.filter((state, index) => state !== all[index - 1]);
}

test('a start loads, resets the CPU to the boot protocol and runs', async () => {
  const host = new FakeHost();
  const { machine, events } = machineWith(host);
  await machine.execute({ kind: 'start' });
  expect(states(events)).toEqual(['loading', 'running']);
  expect(host.resets.map((entry) => entry.rip)).toEqual([PVH_ENTRY]);
  await machine.execute({ kind: 'stop' });
});

test('a pause stops the thread, a resume runs it again', async () => {
  const host = new FakeHost();
  const { machine, events } = machineWith(host);
  await machine.execute({ kind: 'start' });
  await machine.execute({ kind: 'pause' });
  expect(machine.status).toEqual({ state: 'paused' });
  expect(machine.figures?.exits).toEqual({ hlt: 4 });
  await machine.execute({ kind: 'resume' });
  expect(states(events)).toEqual(['loading', 'running', 'paused', 'running']);
  await machine.execute({ kind: 'stop' });
});

test('a reset loads the guest anew and keeps the thread', async () => {
  const host = new FakeHost();
  const { machine, events } = machineWith(host);
  await machine.execute({ kind: 'start' });
  await machine.execute({ kind: 'reset' });
  expect(states(events)).toEqual(['loading', 'running', 'reset']);
  expect([host.resets.length, host.started]).toEqual([2, 1]);
  await machine.execute({ kind: 'stop' });
});

test('a reset and a pause right after it are both carried out', async () => {
  const host = new FakeHost();
  const { machine, events } = machineWith(host);
  await machine.execute({ kind: 'start' });
  await Promise.all([machine.execute({ kind: 'reset' }), machine.execute({ kind: 'pause' })]);
  expect(states(events)).toEqual(['loading', 'running', 'reset', 'paused']);
  await machine.execute({ kind: 'stop' });
});

test('a reset of a paused machine runs it', async () => {
  const host = new FakeHost();
  const { machine } = machineWith(host);
  await machine.execute({ kind: 'start' });
  await machine.execute({ kind: 'pause' });
  await machine.execute({ kind: 'reset' });
  expect([machine.status.state, host.resets.length]).toEqual(['running', 2]);
  await machine.execute({ kind: 'stop' });
});

test('power off ends the thread and the machine can start again', async () => {
  const host = new FakeHost();
  const { machine } = machineWith(host);
  await machine.execute({ kind: 'start' });
  await machine.execute({ kind: 'powerOff' });
  expect(machine.status).toEqual({ state: 'shutdown', reason: { kind: 'unplugged' } });
  expect(host.terminated).toBe(1);
  await machine.execute({ kind: 'start' });
  expect([machine.status.state, host.started]).toEqual(['running', 2]);
  await machine.execute({ kind: 'stop' });
});

test.each([
  { stop: { kind: 'power-off' }, reason: { kind: 'power-off' } },
  { stop: { kind: 'debug-exit', status: 3 }, reason: { kind: 'debug-exit', status: 3 } },
] as const)('a guest that ends by $stop.kind shuts the machine down', async ({ stop, reason }) => {
  const host = new FakeHost();
  const { machine } = machineWith(host);
  await machine.execute({ kind: 'start' });
  host.end(stop);
  await vi.waitFor(() => expect(machine.status).toEqual({ state: 'shutdown', reason }));
});

test('a guest that resets itself runs on, unless the machine is not to reboot', async () => {
  const host = new FakeHost();
  const { machine } = machineWith(host);
  await machine.execute({ kind: 'start' });
  host.end({ kind: 'reset' });
  await vi.waitFor(() => expect(host.resets.length).toBe(2));
  await machine.execute({ kind: 'stop' });

  const once = new FakeHost();
  const { machine: stubborn } = machineWith(once, { noReboot: true });
  await stubborn.execute({ kind: 'start' });
  once.end({ kind: 'reset' });
  await vi.waitFor(() =>
    expect(stubborn.status).toEqual({ state: 'shutdown', reason: { kind: 'reset-refused' } }),
  );
});

test('a triple fault without reboot gives rip and registers', async () => {
  const host = new FakeHost();
  const { machine } = machineWith(host, { noReboot: true });
  await machine.execute({ kind: 'start' });
  host.end({ kind: 'triple-fault' });
  await vi.waitFor(() => expect(machine.status.state).toBe('shutdown'));
  expect(machine.status).toMatchObject({ reason: { kind: 'triple-fault', rip: '0000000000000000' } });
  expect(machine.status).toHaveProperty('report', expect.stringContaining('RIP=0000000000000000'));
});

test('a disagreement under verify ends the machine with the report and the registers in front of it', async () => {
  const host = new FakeHost();
  const { machine } = machineWith(host, { jit: 'verify' });
  await machine.execute({ kind: 'start' });
  host.end({ kind: 'disagreement', report: 'rax  1  2' });
  await vi.waitFor(() => expect(machine.status.state).toBe('crashed'));
  expect(machine.status).toMatchObject({ problem: { kind: 'translation-wrong' } });
  expect(machine.status).toHaveProperty('report', expect.stringMatching(/^rax {2}1 {2}2\n\n[^]*RIP=/));
});

test('output arrives complete and in order, also more than the ring holds at once', async () => {
  const host = new FakeHost();
  const { machine, events } = machineWith(host);
  await machine.execute({ kind: 'start' });
  host.print('a'.repeat(60_000));
  const text = (): string =>
    events
      .map((event) => (event.kind === 'serialOutput' ? new TextDecoder().decode(event.bytes) : ''))
      .join('');
  await vi.waitFor(() => expect(text()).toHaveLength(60_000));
  host.print('b'.repeat(60_000));
  await vi.waitFor(() => expect(text()).toHaveLength(120_000));
  expect(text()).toBe('a'.repeat(60_000) + 'b'.repeat(60_000));
  await machine.execute({ kind: 'stop' });
});

test('what is printed right before the end is not lost', async () => {
  const host = new FakeHost();
  const { machine, events } = machineWith(host);
  await machine.execute({ kind: 'start' });
  host.print('last words');
  host.end({ kind: 'power-off' });
  await vi.waitFor(() => expect(machine.status.state).toBe('shutdown'));
  expect(states(events)).toEqual(['loading', 'running', 'serialOutput', 'shutdown']);
});

test('a lost thread crashes the machine with a report', async () => {
  const host = new FakeHost();
  const { machine } = machineWith(host);
  await machine.execute({ kind: 'start' });
  host.lose('out of memory');
  await vi.waitFor(() => expect(machine.status.state).toBe('crashed'));
  expect(machine.status).toHaveProperty('report', expect.stringMatching(/^out of memory\n\nvCPU 0: /));
});

/** A disk and a network card, each with its thread. */
const DEVICES: Partial<VmConfig> = {
  drives: [{ ...DRIVE_DEFAULTS, id: 'd', interface: 'none' }],
  netdevs: [{ id: 'n', hub: 0 }],
  devices: [
    { ...BLK_DEFAULTS, drive: 'd' },
    { ...NET_DEFAULTS, netdev: 'n' },
  ],
};

test('a lost thread of devices crashes the machine with their names, and the other threads close their disks', async () => {
  const host = new FakeHost();
  const { machine } = machineWith(host, DEVICES);
  await machine.execute({ kind: 'start' });
  host.io.get('net')!.lose('out of memory');
  await vi.waitFor(() => expect(host.io.get('disk')!.ends).toEqual(['quit', 'terminated']));
  expect(machine.status).toMatchObject({
    state: 'crashed',
    problem: {
      kind: 'worker-lost',
      message: expect.stringMatching(
        /^The thread “net” stopped working, and with it the machine’s network cards\./,
      ) as string,
    },
    report: expect.stringMatching(/^out of memory\n\nvCPU 0: /) as string,
  });
});

test('a lost processor ends the threads of the devices after they have closed their disks', async () => {
  const host = new FakeHost();
  const { machine } = machineWith(host, DEVICES);
  await machine.execute({ kind: 'start' });
  host.lose('out of memory');
  await vi.waitFor(() => expect(host.io.get('disk')!.ends).toEqual(['quit', 'terminated']));
  expect(machine.status.state).toBe('crashed');
});

/** The page's timers go off once a second; in between the threads get their turns. */
async function pass(seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    vi.advanceTimersByTime(1000);
    await new Promise((resolve) => setTimeout(resolve, 4));
  }
}

test('a thread of devices that is taken away without a word is missed', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  onTestFinished(() => void vi.useRealTimers());
  const host = new FakeHost();
  const { machine } = machineWith(host, DEVICES);
  await machine.execute({ kind: 'start' });
  await pass(70);
  const before = machine.status.state;
  host.io.get('disk')!.isGone = true;
  await pass(70);
  expect([before, machine.status]).toMatchObject([
    'running',
    { state: 'crashed', report: expect.stringMatching(/^it shows no sign of life/) as string },
  ]);
});

test('a thread that does not obey is given up', async () => {
  const host = new FakeHost();
  host.obeys = false;
  const { machine } = machineWith(host);
  await machine.execute({ kind: 'start' });
  await machine.execute({ kind: 'powerOff' });
  expect(machine.status).toHaveProperty('report', expect.stringContaining('did not stop within 3000 ms'));
  expect(host.terminated).toBe(1);
});

test('a processor that waits for a slow device is not given up, and stops when that has answered', async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const host = new FakeHost();
  host.obeys = false;
  const { machine } = machineWith(host);
  await machine.execute({ kind: 'start' });
  const { i32 } = viewsOf(host.setup!.memory.buffer);
  i32[exitCallAddress(0) >>> 2] = CALL_TAKEN;
  const paused = machine.execute({ kind: 'pause' });
  await vi.advanceTimersByTimeAsync(10_000);
  const during = machine.status.state;
  i32[exitCallAddress(0) >>> 2] = CALL_FREE;
  host.obeys = true;
  await vi.advanceTimersByTimeAsync(10);
  await paused;
  expect([during, machine.status.state]).toEqual(['running', 'paused']);
});

test('commands that mean nothing in a state are refused and change nothing', async () => {
  const host = new FakeHost();
  const { machine, events } = machineWith(host);
  expect(await machine.execute({ kind: 'pause' })).toEqual({
    ok: false,
    error: 'pause is not possible while the machine is off.',
  });
  expect(events).toEqual([]);
});

test('loading can be stopped', async () => {
  const never: BootFile = {
    name: 'slow',
    read: (_, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new Error('aborted')));
      }),
  };
  const { machine } = machineWith(new FakeHost(), {}, never);
  const started = machine.execute({ kind: 'start' });
  await machine.execute({ kind: 'powerOff' });
  await started;
  expect(machine.status).toEqual({ state: 'off' });
});

test('a kernel that is none leaves the machine off, with the reason', async () => {
  const kernel = fileFromBytes('notes.txt', new TextEncoder().encode('remember the milk'));
  const { machine } = machineWith(new FakeHost(), {}, kernel);
  await machine.execute({ kind: 'start' });
  expect(machine.status).toMatchObject({ state: 'off', problem: { kind: 'bad-kernel' } });
  expect(machine.status).toHaveProperty('problem.message', expect.stringMatching(/^notes\.txt: /));
});
