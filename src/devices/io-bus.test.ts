import { describe, expect, it } from 'vitest';
import { IoBus, ioRange } from './io-bus.ts';
import type { AccessBytes, IoHandler } from './io-bus.ts';

/** Remembers accesses; reads give the offset in every byte. */
function recorder() {
  const log: string[] = [];
  const handler: IoHandler = {
    read(offset, bytes: AccessBytes) {
      log.push(`r${offset}/${bytes}`);
      return (0x01010101 * (offset + 1)) >>> ((4 - bytes) * 8);
    },
    write(offset, value, bytes) {
      log.push(`w${offset}/${bytes}=${value.toString(16)}`);
    },
  };
  return { log, handler };
}

describe('ports', () => {
  it('read all ones and ignore writes where nobody is', () => {
    const bus = new IoBus();
    bus.writePort(0x300, 1, 4);
    expect([bus.readPort(0x300, 1), bus.readPort(0x300, 2), bus.readPort(0x300, 4)]).toEqual([
      0xff, 0xffff, 0xffffffff,
    ]);
    expect(bus.unclaimed.reads).toBe(7);
  });

  it('split a wide access for a byte device', () => {
    const bus = new IoBus();
    const { log, handler } = recorder();
    bus.addPorts('bytes', 0x300, 2, [1], handler);
    expect(bus.readPort(0x300, 4)).toBe(0xffff0201);
    bus.writePort(0x300, 0x44332211, 4);
    expect(log).toEqual(['r0/1', 'r1/1', 'w0/1=11', 'w1/1=22']);
  });

  it('give a device its own widths, aligned', () => {
    const bus = new IoBus();
    const { log, handler } = recorder();
    bus.addPorts('wide', 0x300, 4, [1, 2, 4], handler);
    bus.readPort(0x300, 4);
    bus.readPort(0x302, 2);
    bus.readPort(0x301, 2);
    expect(log).toEqual(['r0/4', 'r2/2', 'r1/1', 'r2/1']);
  });

  it('let devices share ports at different widths', () => {
    const bus = new IoBus();
    const wide = recorder();
    const narrow = recorder();
    bus.addPorts('address', 0xcf8, 4, [4], wide.handler);
    bus.addPorts('reset', 0xcf9, 1, [1], narrow.handler);
    bus.writePort(0xcf8, 0x80000000, 4);
    bus.writePort(0xcf9, 6, 1);
    expect([wide.log, narrow.log]).toEqual([['w0/4=80000000'], ['w0/1=6']]);
  });

  it('wrap at the end of the space', () => {
    expect(new IoBus().readPort(0xffff, 4)).toBe(0xffffffff);
  });

  it('refuse two devices at one port and width', () => {
    const bus = new IoBus();
    bus.addPorts('a', 0x300, 2, [1], recorder().handler);
    expect(() => bus.addPorts('b', 0x301, 1, [1], recorder().handler)).toThrow('b: port 301 is taken');
  });

  it('ask movable ranges for what is not fixed', () => {
    const bus = new IoBus();
    const { log, handler } = recorder();
    const range = ioRange('bar', 0xc000, 16, handler);
    bus.addMovable({
      findPort: (port) => (port >= 0xc000 && port < 0xc010 ? range : undefined),
      findMmio: () => undefined,
      ranges: { ports: [range], mmio: [] },
    });
    bus.writePort(0xc004, 7, 1);
    expect(log).toEqual(['w4/1=7']);
    expect(range.writes).toBe(1);
  });
});

describe('MMIO', () => {
  it('is found by page and byte', () => {
    const bus = new IoBus();
    const first = recorder();
    const second = recorder();
    bus.addMmio('first', 0xfec00000, 0x20, first.handler);
    bus.addMmio('second', 0xfec00020, 0x20, second.handler);
    bus.writeMmio(0xfec00010, 1, 4);
    bus.writeMmio(0xfec00020, 2, 4);
    bus.writeMmio(0xfec00040, 3, 4);
    expect([first.log, second.log]).toEqual([['w16/4=1'], ['w0/4=2']]);
    expect(bus.unclaimed.writes).toBe(1);
  });

  it('splits an access of any size and alignment into aligned pieces', () => {
    const bus = new IoBus();
    const { log, handler } = recorder();
    bus.addMmio('device', 0xf0000000, 0x1000, handler);
    const bytes = new DataView(new ArrayBuffer(16));
    bus.loadMmio(0xf0000001, 8, bytes, 4);
    expect(log).toEqual(['r1/1', 'r2/2', 'r4/4', 'r8/1']);
    expect(bytes.getUint32(7, true)).toBe(0x05050505);
    log.length = 0;
    bus.storeMmio(0xf0000010, 8, bytes, 4);
    expect(log.map((entry) => entry.split('=')[0])).toEqual(['w16/4', 'w20/4']);
  });

  it('reads all ones where nobody is', () => {
    const bytes = new DataView(new ArrayBuffer(8));
    new IoBus().loadMmio(0xf0000000, 8, bytes, 0);
    expect(bytes.getBigUint64(0, true)).toBe(0xffffffffffffffffn);
  });
});
