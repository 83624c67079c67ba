/** Register accesses as Linux's virtio_pci makes them. Sections refer to virtio 1.2. */
import { describe, expect, it } from 'vitest';
import { legacyRing } from './ring-layout.ts';
import { RingExchange } from './ring-exchange.ts';
import { LegacyGuest, ModernGuest, PciGuest, virtioBoard } from './test-board.ts';
import type { BoardOptions } from './test-board.ts';
import { testRam } from './test-driver.ts';
import { EchoDevice } from './test-echo.ts';

const RING = 0x10000;
const RING1 = 0x20000;
const TEXT = 0x100000;
const REPLY = 0x101000;

const EVENT_IDX = 1 << 29;

function modern(options: BoardOptions = {}) {
  const device = new EchoDevice();
  const board = virtioBoard(device, options);
  const guest = new ModernGuest(board);
  const say = (text: string) => board.ram.set(new TextEncoder().encode(text), TEXT);
  const reply = (bytes: number) => new TextDecoder().decode(board.ram.slice(REPLY, REPLY + bytes));
  return { ...board, device, guest, say, reply };
}

function legacy(options: BoardOptions = {}) {
  const device = new EchoDevice();
  const board = virtioBoard(device, options);
  return { ...board, device, guest: new LegacyGuest(board) };
}

describe('the function (4.1.2)', () => {
  it.each([
    ['transitional', {}, 0x1005, 0, 4, 3],
    ['modern only', { disableLegacy: true }, 0x1044, 1, 0x1100, 2],
    ['legacy only', { disableModern: true, modern: false }, 0x1005, 0, 4, 2],
  ])('has the identity of a %s device', (_, options, id, revision, subsystem, bars) => {
    const { bus, transport } = virtioBoard(new EchoDevice(), options);
    const guest = new PciGuest(bus);
    expect(guest.readConfig(0, 4)).toBe(((id << 16) | 0x1af4) >>> 0);
    expect(guest.readConfig(8, 1)).toBe(revision);
    expect(guest.readConfig(0x2c, 4)).toBe(((subsystem << 16) | 0x1af4) >>> 0);
    expect(transport.function.bars).toHaveLength(bars);
  });

  it('says where its structures are (4.1.4)', () => {
    const { guest } = modern();
    const caps = guest.capabilities();
    expect(caps.map(({ id }) => id)).toEqual([0x11, 9, 9, 9, 9, 9]);
    expect(caps.slice(1).map(({ at }) => guest.readConfig(at + 3, 1))).toEqual([1, 3, 4, 2, 5]);
    expect(caps.slice(1).map(({ at }) => guest.readConfig(at + 2, 1))).toEqual([16, 16, 16, 20, 20]);
    expect(guest.readConfig(caps[4]!.at + 16, 4)).toBe(4);
  });
});

describe('the modern interface (4.1.4.3)', () => {
  it('tells the queues apart and their sizes', () => {
    const { guest } = modern();
    expect(guest.read(18, 2)).toBe(2);
    const sizes = [0, 1, 2].map((queue) => {
      guest.write(22, queue, 2);
      return [guest.read(24, 2), guest.read(30, 2)];
    });
    expect(sizes).toEqual([
      [16, 0],
      [8, 1],
      [0, 0],
    ]);
  });

  it('offers the features of device, ring and transport, and no legacy ones', () => {
    const { guest } = modern();
    expect(guest.offered()).toEqual([(1 << 0) | (1 << 5) | (1 << 28) | (1 << 29), 1]);
    guest.write(0, 2, 4);
    expect(guest.read(4, 4)).toBe(0);
  });

  it('offers no EVENT_IDX where indices come with kicks', () => {
    const exchange = (queue: number) => new RingExchange(testRam(0x1000).views, 0, queue);
    expect(modern({ exchange }).guest.offered()[0] & EVENT_IDX).toBe(0);
  });

  it('offers no EVENT_IDX with event_idx=off', () => {
    expect(modern({ eventIdx: false }).guest.offered()[0] & EVENT_IDX).toBe(0);
  });

  it.each([
    ['what was offered', 1 << 5, 1, 11],
    ['nothing but VERSION_1', 0, 1, 11],
    ['no VERSION_1', 1 << 5, 0, 3],
    ['a bit that was not offered', 1 << 6, 1, 3],
    ['a high bit that was not offered', 0, 3, 3],
    ['a bit that is only legacy drivers’', 1 << 27, 1, 3],
  ])('answers FEATURES_OK to a driver that accepts %s', (_, low, high, status) => {
    const { guest } = modern();
    guest.negotiate(low, high);
    expect(guest.status).toBe(status);
  });

  it('does not start without FEATURES_OK, nor change features after it', () => {
    const { guest, device } = modern();
    guest.negotiate(1 << 6);
    guest.status = 7;
    expect([guest.status, device.events]).toEqual([3, []]);
    guest.negotiate(1 << 5);
    guest.accept(0, 0);
    guest.write(8, 0, 4);
    expect(guest.read(12, 4)).toBe(1 << 5);
  });

  it('serves a queue: kick, used element, interrupt', () => {
    const { guest, device, say, reply, line } = modern();
    guest.negotiate(0);
    const driver = guest.setQueue(0, { start: RING, size: 4 });
    guest.ready();
    say('hello');
    const head = driver.add([{ gpa: TEXT, bytes: 5 }], [{ gpa: REPLY, bytes: 16 }]);
    guest.kick(0);
    expect(driver.takeUsed()).toEqual([{ id: head, len: 5 }]);
    expect(reply(5)).toBe('HELLO');
    expect(line.asserted).toBe(true);
    expect([guest.readIsr(), line.asserted, guest.readIsr()]).toEqual([1, false, 0]);
    expect(device.events).toEqual(['start', 'serve 0', 'serve 0']);
  });

  it('looks at queues that were filled before DRIVER_OK', () => {
    const { guest, say } = modern();
    guest.negotiate(0);
    const driver = guest.setQueue(0, { start: RING, size: 4 });
    say('early');
    driver.add([{ gpa: TEXT, bytes: 5 }], [{ gpa: REPLY, bytes: 16 }]);
    guest.kick(0);
    expect(driver.takeUsed()).toEqual([]);
    guest.ready();
    expect(driver.takeUsed()).toHaveLength(1);
  });

  it('takes a queue that is enabled after DRIVER_OK', () => {
    const { guest, device } = modern();
    guest.negotiate(0);
    guest.ready();
    guest.setQueue(1, { start: RING1, size: 8 });
    expect(device.events).toEqual(['start', 'serve 1']);
  });

  it('lets an enabled queue not be moved', () => {
    const { guest } = modern();
    guest.negotiate(0);
    guest.setQueue(0, { start: RING, size: 4 });
    guest.write(24, 8, 2);
    guest.write(32, 0, 4);
    expect([guest.read(24, 2), guest.read(32, 4), guest.read(28, 2)]).toEqual([4, RING, 1]);
  });

  it('reads 64-bit addresses back in halves', () => {
    const { guest } = modern();
    guest.write(22, 1, 2);
    guest.write(40, 0x89abcdef, 4);
    guest.write(44, 0x12, 4);
    expect([guest.read(40, 4), guest.read(44, 4)]).toEqual([0x89abcdef, 0x12]);
  });

  it('asks for a reset when a ring is not in RAM, and tells a driver that is there', () => {
    const { guest, line, problems } = modern();
    guest.negotiate(0);
    guest.write(22, 0, 2);
    guest.write(36, 1, 4);
    guest.write(28, 1, 2);
    guest.ready();
    expect(guest.status).toBe(0x4f);
    expect([line.asserted, guest.readIsr()]).toEqual([true, 2]);
    expect(problems).toEqual(['echo: queue 0: the descriptor table is misaligned or not in RAM']);
  });

  it('asks for a reset when the driver breaks a ring, and works after that reset', () => {
    const { guest, say, problems } = modern();
    guest.negotiate(0);
    const broken = guest.setQueue(0, { start: RING, size: 4 });
    guest.ready();
    broken.setAvailIdx(77);
    guest.kick(0);
    expect(guest.status).toBe(0x4f);
    expect(problems).toHaveLength(1);
    guest.status = 0;
    expect(guest.status).toBe(0);
    guest.negotiate(0);
    const driver = guest.setQueue(0, { start: RING1, size: 4 });
    guest.ready();
    say('again');
    driver.add([{ gpa: TEXT, bytes: 5 }], [{ gpa: REPLY, bytes: 16 }]);
    guest.kick(0);
    expect(driver.takeUsed()).toHaveLength(1);
  });

  it('ignores kicks of queues that do not exist or are not enabled', () => {
    const { guest, device } = modern();
    guest.negotiate(0);
    guest.ready();
    guest.kick(1);
    guest.kick(500);
    expect(device.events).toEqual(['start']);
  });
});

describe('reset (2.4)', () => {
  it('clears everything that the driver has set', () => {
    const { guest, msis } = modern();
    guest.negotiate(1 << 5);
    guest.setMsixControl(0x8000);
    guest.write(16, 0, 2);
    guest.setQueue(0, { start: RING, size: 4 }, 1);
    guest.ready();
    guest.status = 0;
    guest.write(22, 0, 2);
    expect([
      guest.status,
      guest.read(16, 2),
      guest.read(24, 2),
      guest.read(26, 2),
      guest.read(28, 2),
    ]).toEqual([0, 0xffff, 16, 0xffff, 0]);
    expect([guest.read(32, 4), guest.read(12, 4), msis]).toEqual([0, 0, []]);
  });

  it('shows status 0 only when the device has let go of guest memory', () => {
    const { guest, device } = modern();
    guest.negotiate(0);
    guest.setQueue(0, { start: RING, size: 4 });
    guest.ready();
    device.holdsStop = true;
    guest.status = 0;
    expect(guest.status).toBe(15);
    guest.status = 1;
    guest.write(22, 1, 2);
    guest.kick(0);
    expect([guest.status, guest.read(22, 2)]).toEqual([15, 0]);
    device.releaseStop();
    expect(guest.status).toBe(0);
    expect(device.events).toEqual(['start', 'serve 0', 'stop']);
  });

  it('lowers the line', () => {
    const { guest, line, device } = modern();
    guest.negotiate(0);
    guest.ready();
    device.host!.updateConfig(() => {});
    const before = line.asserted;
    guest.status = 0;
    expect([before, line.asserted, guest.readIsr()]).toEqual([true, false, 0]);
  });
});

describe('device configuration (2.5)', () => {
  it('reads at any width, and as zero behind its end', () => {
    const { guest } = modern();
    expect([guest.readDevice(0, 4), guest.readDevice(1, 1), guest.readDevice(8, 4)]).toEqual([
      0x04030201, 2, 0x0a09,
    ]);
  });

  it('lets the driver write what is writable and tells the device', () => {
    const { guest, device } = modern();
    guest.writeDevice(0, 0xffff, 2);
    guest.writeDevice(4, 0xbeef, 2);
    expect([guest.readDevice(0, 2), guest.readDevice(4, 2), device.events]).toEqual([
      0x0201,
      0xbeef,
      ['config beef'],
    ]);
  });

  it('changes its generation and interrupts when the device changes it', () => {
    const { guest, device } = modern();
    guest.negotiate(0);
    guest.ready();
    const before = guest.read(21, 1);
    device.host!.updateConfig((config) => config.setUint8(0, 0x55));
    expect([guest.readDevice(0, 1), guest.read(21, 1), guest.readIsr()]).toEqual([0x55, before + 1, 2]);
  });
});

describe('MSI-X', () => {
  function withMsix() {
    const board = modern();
    const { guest } = board;
    guest.negotiate(0);
    guest.setMsixEntry(0, 0xfee00000, 0x30, 0);
    guest.setMsixEntry(1, 0xfee01000, 0x31, 0);
    guest.setMsixControl(0x8000);
    guest.write(16, 0, 2);
    const driver = guest.setQueue(0, { start: RING, size: 8 }, 1);
    guest.ready();
    const run = () => {
      driver.add([{ gpa: TEXT, bytes: 1 }], [{ gpa: REPLY, bytes: 1 }]);
      guest.kick(0);
      driver.takeUsed();
    };
    const pending = () => board.bus.readMmio(guest.bar(1) + 0x800, 4);
    return { ...board, driver, run, pending };
  }

  it('sends the vector of the queue, and of configuration changes', () => {
    const { device, msis, run, line } = withMsix();
    run();
    device.host!.updateConfig(() => {});
    expect(msis).toEqual(['fee01000=31', 'fee00000=30']);
    expect(line.asserted).toBe(false);
  });

  it('reads vectors back, and NO_VECTOR for those that do not exist (4.1.5.1.2.1)', () => {
    const { guest } = modern();
    guest.write(16, 2, 2);
    guest.write(22, 0, 2);
    guest.write(26, 3, 2);
    expect([guest.read(16, 2), guest.read(26, 2)]).toEqual([2, 0xffff]);
  });

  it('keeps a masked vector pending and fires it on unmask', () => {
    const { guest, msis, run, pending } = withMsix();
    guest.setMsixEntry(1, 0xfee01000, 0x31, 1);
    run();
    run();
    const whileMasked = [pending(), msis.length];
    guest.setMsixEntry(1, 0xfee02000, 0x41, 0);
    expect([whileMasked, pending(), msis]).toEqual([[2, 0], 0, ['fee02000=41']]);
  });

  it('does the same with the mask of the function', () => {
    const { guest, msis, run, pending } = withMsix();
    guest.setMsixControl(0xc000);
    run();
    const whileMasked = [pending(), msis.length];
    guest.setMsixControl(0x8000);
    expect([whileMasked, pending(), msis]).toEqual([[2, 0], 0, ['fee01000=31']]);
  });

  it('sends nothing for a queue without a vector', () => {
    const { guest, device, msis } = modern();
    guest.negotiate(0);
    guest.setMsixControl(0x8000);
    const driver = guest.setQueue(0, { start: RING, size: 8 });
    guest.ready();
    driver.add([{ gpa: TEXT, bytes: 1 }], [{ gpa: REPLY, bytes: 1 }]);
    guest.kick(0);
    device.host!.updateConfig(() => {});
    expect(msis).toEqual([]);
  });

  it('has a table that reads back, all masked at first, and ends', () => {
    const { guest, bus } = modern();
    const table = guest.bar(1);
    expect([0, 1, 2, 3].map((vector) => bus.readMmio(table + 16 * vector + 12, 4))).toEqual([1, 1, 1, 0]);
    guest.setMsixEntry(2, 0xfee00003, 0x1234, 0xffffffff);
    guest.setMsixEntry(3, 0xfee00000, 1, 0);
    expect([0, 8, 12, 16].map((offset) => bus.readMmio(table + 32 + offset, 4))).toEqual([
      0xfee00000, 0x1234, 1, 0,
    ]);
    expect(bus.readMmio(table + 32 + 8, 1)).toBe(0x34);
  });

  it('hands a pending INTx over to neither when it is switched on', () => {
    const { guest, device, line } = modern();
    guest.negotiate(0);
    guest.ready();
    device.host!.updateConfig(() => {});
    guest.setMsixControl(0x8000);
    const withMsixOn = line.asserted;
    guest.setMsixControl(0);
    expect([withMsixOn, line.asserted]).toEqual([false, true]);
  });
});

describe('configuration access through PCI (4.1.4.9)', () => {
  it('reads and writes BAR registers', () => {
    const { guest } = modern();
    const cap = guest.capabilities()[5]!.at;
    const aim = (offset: number, length: number) => {
      guest.writeConfig(cap + 4, 4, 1);
      guest.writeConfig(cap + 8, offset, 4);
      guest.writeConfig(cap + 12, length, 4);
    };
    aim(20, 1);
    guest.writeConfig(cap + 16, 1, 1);
    guest.writeConfig(cap + 16, 3, 1);
    const status = guest.readConfig(cap + 16, 1);
    aim(0x2000, 4);
    const config = guest.readConfig(cap + 16, 4);
    aim(0x1000, 1);
    expect([status, guest.status, config, guest.readConfig(cap + 16, 1)]).toEqual([3, 3, 0x04030201, 0]);
  });

  it.each([
    ['a BAR that is not there', 2, 0, 4],
    ['behind the end of the BAR', 4, 0x4000, 4],
    ['an odd length', 4, 0, 3],
    ['a misaligned offset', 4, 2, 4],
  ])('does nothing with %s', (_, bar, offset, length) => {
    const { guest } = modern();
    const cap = guest.capabilities()[5]!.at;
    guest.writeConfig(cap + 4, bar, 1);
    guest.writeConfig(cap + 8, offset, 4);
    guest.writeConfig(cap + 12, length, 4);
    guest.writeConfig(cap + 16, 1, 4);
    expect(guest.readConfig(cap + 16, 4)).toBe(1);
    expect(guest.read(0, 4)).toBe(0);
  });
});

describe('the legacy interface (4.1.4.10)', () => {
  it('shows 32 feature bits, the queue sizes and the configuration', () => {
    const { guest } = legacy();
    const offered = guest.read(0, 4);
    guest.write(14, 1, 2);
    const size = guest.read(12, 2);
    guest.write(14, 2, 2);
    expect([offered, size, guest.read(12, 2)]).toEqual([0x38000021, 8, 0]);
    expect([guest.read(20, 4), guest.read(21, 1)]).toEqual([0x04030201, 2]);
  });

  it('serves a queue with ISR status', () => {
    const { guest, ram, line } = legacy();
    guest.negotiate(0);
    const driver = guest.setQueue(0, RING);
    guest.ready();
    ram.set(new TextEncoder().encode('old'), TEXT);
    const head = driver.add([{ gpa: TEXT, bytes: 3 }], [{ gpa: REPLY, bytes: 16 }]);
    guest.kick(0);
    expect(driver.takeUsed()).toEqual([{ id: head, len: 3 }]);
    expect([line.asserted, guest.readIsr(), line.asserted]).toEqual([true, 1, false]);
    expect(driver.ring).toEqual(legacyRing(RING, 16, 4096));
  });

  it('negotiates only what was offered', () => {
    const { guest, host } = legacy();
    guest.negotiate(0xffffffff);
    expect([guest.read(4, 4), host.hasFeature(5), host.hasFeature(6), host.hasFeature(32)]).toEqual([
      0x38000021,
      true,
      false,
      false,
    ]);
  });

  it('starts a device that is kicked before DRIVER_OK', () => {
    const drivers: boolean[] = [];
    const { guest, device } = legacy({ onDriver: (isReady) => drivers.push(isReady) });
    guest.negotiate(0);
    const driver = guest.setQueue(0, RING);
    driver.add([{ gpa: TEXT, bytes: 1 }], [{ gpa: REPLY, bytes: 1 }]);
    guest.kick(0);
    expect([driver.takeUsed().length, drivers]).toEqual([1, []]);
    guest.ready();
    expect([device.events, drivers]).toEqual([['start', 'serve 0', 'serve 0'], [true]]);
  });

  it('moves its configuration behind the vectors while MSI-X is enabled', () => {
    const { guest, msis } = legacy();
    guest.setMsixControl(0x8000);
    guest.setMsixEntry(1, 0xfee00000, 0x51, 0);
    guest.negotiate(0);
    guest.write(20, 0, 2);
    const driver = guest.setQueue(0, RING, 1);
    guest.ready();
    driver.add([{ gpa: TEXT, bytes: 1 }], [{ gpa: REPLY, bytes: 1 }]);
    guest.kick(0);
    expect([guest.read(20, 2), guest.read(22, 2), guest.read(24, 4), msis]).toEqual([
      0,
      1,
      0x04030201,
      ['fee00000=51'],
    ]);
  });

  it('resets when a queue in use is taken away', () => {
    const { guest, device } = legacy();
    guest.negotiate(0);
    guest.setQueue(0, RING);
    guest.ready();
    guest.write(8, 0, 4);
    expect([guest.status, guest.read(8, 4), device.events]).toEqual([0, 0, ['start', 'serve 0', 'stop']]);
  });
});

describe('the machine’s reset', () => {
  it('resets device and MSI-X', () => {
    const { guest, transport, device, bus } = modern();
    guest.negotiate(0);
    guest.setQueue(0, { start: RING, size: 4 });
    guest.setMsixEntry(1, 0xfee00000, 0x51, 0);
    guest.ready();
    transport.reset();
    expect([guest.status, device.events, bus.readMmio(guest.bar(1) + 16 + 12, 4)]).toEqual([
      0,
      ['start', 'serve 0', 'stop'],
      1,
    ]);
  });
});
