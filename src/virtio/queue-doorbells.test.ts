import { describe, expect, it } from 'vitest';
import { IOEVENTFD_TABLE } from '../layout/ioeventfd.ts';
import { THREAD_IO0 } from '../layout/machine.ts';
import { DoorbellListener } from '../sync/doorbell.ts';
import { IoeventfdTable } from './ioeventfd.ts';
import { decideIoeventfd, QueueDoorbells } from './queue-doorbells.ts';
import { LegacyGuest, ModernGuest, virtioBoard } from './test-board.ts';
import type { BoardOptions } from './test-board.ts';
import { EchoDevice } from './test-echo.ts';

const RING = 0x10000;
const RING1 = 0x20000;
const TEXT = 0x100000;

/** The echo device on "another thread": the test calls `listener.dispatch()` when that thread would run. */
function board(options: { slots?: number; reserved?: number; enabled?: boolean } = {}) {
  const device = new EchoDevice();
  const boardOptions: BoardOptions = {
    withIoeventfds: true,
    onDriver: (isReady) => doorbells.driver(isReady),
  };
  const parts = virtioBoard(device, boardOptions);
  const table = new IoeventfdTable(parts.views);
  table.create(options.slots, options.reserved);
  const listener = new DoorbellListener(parts.views, THREAD_IO0);
  const doorbells = new QueueDoorbells({
    views: parts.views,
    table,
    state: parts.transport.state,
    queues: 2,
    listener,
    notifyMatch: (queue) => parts.transport.notifyMatch(queue),
    kick: (queue) => parts.host.kick(queue),
    enabled: options.enabled ?? true,
  });
  const states = () => doorbells.report().map(({ state }) => state);
  return { ...parts, device, table, listener, doorbells, states };
}

function modern(options: Parameters<typeof board>[0] = {}) {
  const parts = board(options);
  const guest = new ModernGuest(parts);
  guest.negotiate(0);
  const driver = guest.setQueue(0, { start: RING, size: 8 });
  guest.setQueue(1, { start: RING1, size: 8 });
  const kick = () => {
    driver.add([], [{ gpa: TEXT, bytes: 1 }]);
    guest.kick(0);
    return driver.takeUsed().length;
  };
  return { ...parts, guest, driver, kick };
}

describe('ioeventfd', () => {
  it('lets the guest run on: a kick is served when the other thread looks', () => {
    const { guest, driver, kick, listener, transport, states } = modern();
    const before = states();
    guest.ready();
    expect([before, states()]).toEqual([
      ['deassigned', 'deassigned'],
      ['assigned', 'assigned'],
    ]);
    expect([kick(), transport.state.get('synchronousKicks')]).toEqual([0, 0]);
    listener.dispatch();
    expect(driver.takeUsed()).toHaveLength(1);
  });

  it('off: a kick is served before the guest goes on', () => {
    const { guest, kick, transport, states } = modern({ enabled: false });
    guest.ready();
    expect([states()[0], kick(), transport.state.get('synchronousKicks')]).toEqual(['deassigned', 1, 1]);
  });

  it('goes with the reset, and comes back with the next driver', () => {
    const { guest, states, table } = modern();
    guest.ready();
    guest.status = 0;
    expect([states()[0], table.slots.used]).toEqual(['deassigned', 0]);
    guest.negotiate(0);
    guest.setQueue(0, { start: RING, size: 8 });
    guest.ready();
    expect(states()).toEqual(['assigned', 'deassigned']);
  });

  it('can be flipped while the guest runs, and drains first', () => {
    const { guest, driver, kick, doorbells, listener } = modern();
    guest.ready();
    kick();
    doorbells.switchTo(false);
    expect(driver.takeUsed()).toHaveLength(1);
    expect([kick(), listener.isRinging]).toEqual([1, false]);
    doorbells.switchTo(true);
    expect([kick(), listener.isRinging]).toEqual([0, true]);
  });

  it('is served synchronously where the table is full, and says so', () => {
    const { guest, kick, doorbells } = modern({ slots: 1 });
    guest.ready();
    expect(doorbells.report().map(({ state, lacksSlot }) => [state, lacksSlot])).toEqual([
      ['assigned', false],
      ['deassigned', true],
    ]);
    expect(kick()).toBe(0);
  });

  it('takes a slot that becomes free', () => {
    const { guest, table, doorbells, states } = modern({ slots: 2 });
    table.assign(100, { space: 'port', address: 0x1000, bytes: 1 });
    guest.ready();
    const before = states();
    table.withdraw(100);
    doorbells.slotFree();
    expect([before, states()]).toEqual([
      ['assigned', 'deassigned'],
      ['assigned', 'assigned'],
    ]);
  });

  it('follows a BAR that moves', () => {
    const { guest, bus, driver, listener } = modern();
    guest.ready();
    guest.writeConfig(0x20, 0xd0000000, 4);
    driver.add([], [{ gpa: TEXT, bytes: 1 }]);
    bus.writeMmio(0xd0003000, 0, 2);
    expect([driver.takeUsed().length, bus.matched]).toEqual([0, 1]);
    listener.dispatch();
    expect(driver.takeUsed()).toHaveLength(1);
  });

  it('rings nothing while the BAR does not decode', () => {
    const { guest, bus, kick } = modern();
    guest.ready();
    guest.writeConfig(4, 0, 2);
    expect([kick(), bus.matched]).toEqual([0, 0]);
    guest.writeConfig(4, 6, 2);
    kick();
    expect(bus.matched).toBe(1);
  });

  it('keeps its hands off while vhost has the queue', () => {
    const { guest, driver, kick, doorbells, listener, views, states } = modern();
    guest.ready();
    kick();
    expect(doorbells.take(0)).toBe(true);
    expect([states()[0], driver.takeUsed().length]).toEqual(['offlimits', 1]);
    const vhost = new DoorbellListener(views, THREAD_IO0 + 1);
    let rung = 0;
    vhost.listen(0, () => rung++);
    expect([kick(), listener.dispatch(), vhost.dispatch(), rung]).toEqual([0, 0, 1, 1]);
    doorbells.switchTo(false);
    expect(states()[0]).toBe('offlimits');
    vhost.forget(0);
    doorbells.release(0);
    expect([states()[0], driver.takeUsed().length, kick()]).toEqual(['deassigned', 1, 1]);
  });

  it('comes back from vhost to assigned', () => {
    const { guest, kick, doorbells, listener, states } = modern();
    guest.ready();
    doorbells.take(0);
    doorbells.release(0);
    kick();
    expect([states()[0], listener.isRinging]).toEqual(['assigned', true]);
  });

  it('lets vhost have the last slot', () => {
    const { guest, doorbells, states } = modern({ slots: 2, reserved: 1 });
    guest.ready();
    expect([states(), doorbells.take(1), states()]).toEqual([
      ['assigned', 'deassigned'],
      true,
      ['assigned', 'offlimits'],
    ]);
  });

  it('serves a legacy driver’s queues, which share a port', () => {
    const parts = board();
    const guest = new LegacyGuest(parts);
    guest.negotiate(0);
    const driver = guest.setQueue(0, RING);
    guest.setQueue(1, RING1);
    driver.add([], [{ gpa: TEXT, bytes: 1 }]);
    guest.kick(0);
    const early = driver.takeUsed().length;
    guest.ready();
    driver.add([], [{ gpa: TEXT, bytes: 1 }]);
    guest.kick(0);
    expect([early, driver.takeUsed().length, parts.bus.matched]).toEqual([1, 0, 1]);
    parts.listener.dispatch();
    expect([driver.takeUsed().length, parts.device.events.at(-1)]).toEqual([1, 'serve 0']);
  });
});

describe('ioeventfd=auto', () => {
  it.each([
    ['on', true, 1, true],
    ['off', true, 8, false],
    ['auto', true, 2, true],
    ['auto', true, 1, false],
    ['on', false, 8, false],
  ] as const)('%s, iothread %s, %d cores: %s', (setting, hasIothread, cores, enabled) => {
    const decision = decideIoeventfd(setting, { hasIothread, cores, isDisk: true });
    expect(decision.enabled).toBe(enabled);
    expect(decision.reason).toMatch(/\.$/);
  });

  it('says of disks that they were measured, and of others that they were not', () => {
    const reasonOf = (isDisk: boolean) =>
      decideIoeventfd('auto', { hasIothread: true, cores: 2, isDisk }).reason;
    expect(reasonOf(true)).toContain('measured, disks are faster');
    expect(reasonOf(false)).toContain('Only disks were measured');
  });
});

it('keeps the header of the table before its slots', () => {
  expect(IOEVENTFD_TABLE.size).toBeLessThanOrEqual(0x400);
});
