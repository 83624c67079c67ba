/** Sections refer to virtio 1.2. */
import { describe, expect, it } from 'vitest';
import type { BlockProperties } from '../../block/block-backend.ts';
import type { Segment } from '../segments.ts';
import { LegacyGuest, ModernGuest, virtioBoard } from '../test-board.ts';
import type { TestDriver } from '../test-driver.ts';
import { TestDisk } from './test-disk.ts';
import { VirtioBlk } from './virtio-blk.ts';
import type { VirtioBlkOptions } from './virtio-blk.ts';

const RING = 0x10000;
const HEADERS = 0x100000;
const STATUSES = 0x101000;
const DATA = 0x110000;

const FLUSH = 1 << 9;
const CONFIG_WCE = 1 << 11;

const IN = 0;
const OUT = 1;

function disk(
  options: Partial<VirtioBlkOptions> & { properties?: Partial<BlockProperties>; features?: number } = {},
) {
  const medium = new TestDisk(64, options.properties);
  medium.data.forEach((_, at) => (medium.data[at] = (at >> 9) + 1));
  const device = new VirtioBlk({ name: 'vda', backend: medium.backend, queueSize: 64, ...options });
  const board = virtioBoard(device);
  const guest = new ModernGuest(board);
  guest.negotiate(options.features ?? FLUSH);
  const driver = guest.setQueue(0, { start: RING, size: 64 });
  guest.ready();
  const header = (type: number, sector: number, n = 0): Segment => {
    board.data.setUint32(HEADERS + 16 * n, type, true);
    board.data.setUint32(HEADERS + 16 * n + 4, 0, true);
    board.data.setUint32(HEADERS + 16 * n + 8, sector >>> 0, true);
    board.data.setUint32(HEADERS + 16 * n + 12, Math.floor(sector / 2 ** 32), true);
    board.ram[STATUSES + n] = 0xee;
    return { gpa: HEADERS + 16 * n, bytes: 16 };
  };
  const status = (n = 0): Segment => ({ gpa: STATUSES + n, bytes: 1 });
  const add = (type: number, sector: number, data: readonly Segment[], n = 0, to: TestDriver = driver) =>
    type === OUT || (type & 0x7fffffff) > 8
      ? to.add([header(type, sector, n), ...data], [status(n)])
      : to.add([header(type, sector, n)], [...data, status(n)]);
  const request = (type: number, sector: number, data: readonly Segment[]) => {
    add(type, sector, data);
    guest.kick(0);
    const used = driver.takeUsed();
    return { used: used.length, status: board.ram[STATUSES] };
  };
  const range = (sector: number, sectors: number, flags: number): Segment[] => {
    board.data.setUint32(DATA, sector, true);
    board.data.setUint32(DATA + 4, 0, true);
    board.data.setUint32(DATA + 8, sectors, true);
    board.data.setUint32(DATA + 12, flags, true);
    return [{ gpa: DATA, bytes: 16 }];
  };
  return { ...board, medium, device, guest, driver, header, status, add, request, range };
}

const buffer = (bytes: number, at = DATA): Segment[] => [{ gpa: at, bytes }];

describe('what the driver sees (5.2.4)', () => {
  it('has capacity, sizes, queues and the cache mode in its configuration', () => {
    const { guest } = disk({ queues: 3 });
    expect([guest.readDevice(0, 4), guest.readDevice(4, 4)]).toEqual([64, 0]);
    expect(guest.readDevice(12, 4)).toBe(62);
    expect([guest.readDevice(20, 4), guest.readDevice(24, 1), guest.readDevice(26, 2)]).toEqual([512, 3, 8]);
    expect([guest.readDevice(32, 1), guest.readDevice(34, 2)]).toEqual([1, 3]);
    expect([guest.readDevice(36, 4), guest.readDevice(40, 4), guest.readDevice(44, 4)]).toEqual([
      0x400000, 1, 8,
    ]);
    expect([guest.readDevice(48, 4), guest.readDevice(52, 4), guest.readDevice(56, 1)]).toEqual([
      0x400000, 1, 1,
    ]);
  });

  it.each([
    ['a plain disk', {}, {}, [2, 4, 6, 9, 10, 11, 13, 14]],
    ['several queues', { queues: 2 }, {}, [2, 4, 6, 9, 10, 11, 12, 13, 14]],
    ['a read-only disk', {}, { readOnly: true }, [2, 4, 5, 6, 9, 10, 11]],
    ['a disk without discard', {}, { discardGranularity: 0 }, [2, 4, 6, 9, 10, 11, 14]],
  ])('offers the features of %s', (_, options, properties, expected) => {
    const { guest } = disk({ ...options, properties });
    const [low] = guest.offered();
    const bits = Array.from({ length: 24 }, (_, bit) => bit).filter((bit) => ((low >>> bit) & 1) !== 0);
    expect(bits).toEqual(expected);
  });
});

describe('a request (5.2.6)', () => {
  it('reads into guest memory in place', () => {
    const { request, ram, memory, driver, add, guest } = disk();
    expect(request(IN, 3, [...buffer(512), ...buffer(1024, DATA + 0x1000)])).toEqual({ used: 1, status: 0 });
    expect([ram[DATA], ram[DATA + 0x1000], ram[DATA + 0x1000 + 512], ram[DATA + 512]]).toEqual([4, 5, 6, 0]);
    expect(memory.isDirty((DATA + 0x1000) >>> 12)).toBe(true);
    add(IN, 0, buffer(512));
    guest.kick(0);
    expect(driver.takeUsed()).toEqual([{ id: expect.any(Number), len: 513 }]);
  });

  it('writes', () => {
    const { request, ram, medium } = disk();
    ram.fill(0x77, DATA, DATA + 1024);
    expect(request(OUT, 10, buffer(1024))).toEqual({ used: 1, status: 0 });
    expect([
      medium.data[10 * 512 - 1],
      medium.data[10 * 512],
      medium.data[12 * 512 - 1],
      medium.data[12 * 512],
    ]).toEqual([10, 0x77, 0x77, 13]);
  });

  it('flushes, also by the legacy type', () => {
    const { request, medium } = disk();
    expect([request(4, 0, []), request(5, 0, [])]).toEqual([
      { used: 1, status: 0 },
      { used: 1, status: 0 },
    ]);
    expect(medium.log).toEqual(['flush 0+0', 'flush 0+0']);
  });

  it('ignores the legacy barrier bit', () => {
    const { request, medium } = disk();
    expect(request(0x80000000, 1, buffer(512)).status).toBe(0);
    expect(medium.log).toEqual(['read 1+1']);
  });

  it('discards and writes zeroes', () => {
    const { request, range, medium } = disk();
    expect(request(11, 0, range(8, 16, 0))).toEqual({ used: 1, status: 0 });
    expect(request(13, 0, range(32, 4, 1))).toEqual({ used: 1, status: 0 });
    expect(medium.log).toEqual(['discard 8+16', 'write-zeroes 32+4']);
    expect(medium.data[33 * 512]).toBe(0);
  });

  it('tells the serial number, in 20 bytes', () => {
    const { request, ram } = disk({ serial: 'VIRTAB-0123456789-ABCDEF' });
    ram.fill(0x11, DATA, DATA + 32);
    expect(request(8, 0, buffer(32))).toEqual({ used: 1, status: 0 });
    expect(new TextDecoder().decode(ram.slice(DATA, DATA + 21))).toBe('VIRTAB-0123456789-AB\x11');
  });

  it('pads a short serial number and fits it to a short buffer', () => {
    const { request, ram } = disk({ serial: 'abc' });
    ram.fill(0x11, DATA, DATA + 8);
    request(8, 0, buffer(5));
    expect(ram.slice(DATA, DATA + 6)).toEqual(Uint8Array.of(0x61, 0x62, 0x63, 0, 0, 0x11));
  });

  it('may have its header and data cut anywhere (2.7.4)', () => {
    const { driver, guest, ram, medium, header } = disk();
    const { gpa } = header(OUT, 2);
    ram.fill(0x55, DATA, DATA + 512);
    driver.add(
      [
        { gpa, bytes: 5 },
        { gpa: gpa + 5, bytes: 11 },
        { gpa: DATA, bytes: 100 },
        { gpa: DATA + 100, bytes: 412 },
      ],
      [{ gpa: STATUSES, bytes: 1 }],
    );
    guest.kick(0);
    expect([driver.takeUsed().length, ram[STATUSES], medium.data[1024], medium.data[1535]]).toEqual([
      1, 0, 0x55, 0x55,
    ]);
  });

  it('may have data and status in one buffer', () => {
    const { driver, guest, ram, header } = disk();
    driver.add([header(IN, 5)], [{ gpa: DATA, bytes: 513 }]);
    guest.kick(0);
    expect([driver.takeUsed().length, ram[DATA + 511], ram[DATA + 512]]).toEqual([1, 6, 0]);
  });
});

describe('a request that cannot be', () => {
  it.each([
    ['a read across the end', IN, 63, buffer(1024), 1],
    ['a read far behind the end', IN, 2 ** 60, buffer(512), 1],
    ['half a sector', IN, 0, buffer(256), 1],
    ['a write across the end', OUT, 64, buffer(512), 1],
    ['SCSI', 2, 0, [], 2],
    ['secure erase', 14, 0, buffer(16), 2],
    ['an unknown type', 0x7fffffff, 0, buffer(512), 2],
  ])('fails with a status and touches no disk: %s', (_, type, sector, data, status) => {
    const { request, medium } = disk();
    expect(request(type, sector, data)).toEqual({ used: 1, status });
    expect(medium.log).toEqual([]);
  });

  it.each([
    ['discard of sectors behind the end', 11, [60, 8, 0], 1],
    ['discard with the unmap flag', 11, [0, 8, 1], 2],
    ['zeroes with an unknown flag', 13, [0, 8, 2], 2],
    ['zeroes behind the end', 13, [64, 1, 0], 1],
  ])('fails: %s', (_, type, [sector, sectors, flags], status) => {
    const { request, range, medium } = disk();
    expect(request(type, 0, range(sector!, sectors!, flags!))).toEqual({ used: 1, status });
    expect(medium.log).toEqual([]);
  });

  it.each([
    ['two ranges', 32, 2],
    ['half a range', 8, 1],
    ['no range', 0, 1],
  ])('fails: discard with %s', (_, bytes, status) => {
    const { driver, guest, ram, header } = disk();
    driver.add([header(11, 0), { gpa: DATA, bytes }], [{ gpa: STATUSES, bytes: 1 }]);
    guest.kick(0);
    expect([driver.takeUsed().length, ram[STATUSES]]).toEqual([1, status]);
  });

  it('fails writes, discards and zeroes on a read-only disk, not reads', () => {
    const { request, range, medium } = disk({ properties: { readOnly: true } });
    expect([
      request(OUT, 0, buffer(512)).status,
      request(11, 0, range(0, 8, 0)).status,
      request(13, 0, range(0, 8, 0)).status,
      request(IN, 0, buffer(512)).status,
    ]).toEqual([1, 1, 1, 0]);
    expect(medium.log).toEqual(['read 0+1']);
  });

  it('fails when its header is short', () => {
    const { driver, guest, ram } = disk();
    driver.add([{ gpa: HEADERS, bytes: 15 }], [{ gpa: STATUSES, bytes: 1 }]);
    guest.kick(0);
    expect([driver.takeUsed().length, ram[STATUSES]]).toEqual([1, 1]);
  });

  it('gets its chain back even where there is no room for a status', () => {
    const { driver, guest, header } = disk();
    const head = driver.add([header(IN, 0)], []);
    guest.kick(0);
    expect(driver.takeUsed()).toEqual([{ id: head, len: 0 }]);
  });

  it.each([
    ['io-error', 1],
    ['no-space', 1],
    ['unsupported', 2],
  ] as const)('gets the status of a disk that says %s', (status, expected) => {
    const { request, medium } = disk();
    medium.status = status;
    expect(request(IN, 0, buffer(512))).toEqual({ used: 1, status: expected });
  });

  it('asks for a reset when the ring is broken', () => {
    const { driver, guest, problems } = disk();
    driver.setAvailIdx(1000);
    guest.kick(0);
    expect([guest.status, problems.length]).toEqual([0x4f, 1]);
  });
});

describe('the queue', () => {
  it('lets requests complete in any order, each with its own status', () => {
    const { add, guest, driver, medium, ram } = disk();
    medium.holds = true;
    const heads = [0, 1, 2].map((n) => add(IN, n, buffer(512, DATA + 512 * n), n));
    guest.kick(0);
    expect(driver.takeUsed()).toEqual([]);
    medium.release([2, 0, 1]);
    expect(driver.takeUsed().map(({ id }) => id)).toEqual([heads[2], heads[0], heads[1]]);
    expect(ram.slice(STATUSES, STATUSES + 3)).toEqual(Uint8Array.of(0, 0, 0));
  });

  it('raises one interrupt for a batch', () => {
    const { add, guest, line } = disk();
    add(IN, 0, buffer(512), 0);
    add(IN, 1, buffer(512), 1);
    add(IN, 2, buffer(512), 2);
    guest.kick(0);
    expect([line.edges, guest.readIsr()]).toEqual([1, 1]);
  });

  it('is popped no further than the disk takes requests, and goes on by itself', () => {
    const { add, guest, driver, medium } = disk();
    medium.holds = true;
    medium.bound = 2;
    for (let n = 0; n < 5; n++) add(IN, n, buffer(512), n);
    guest.kick(0);
    expect(medium.log).toHaveLength(2);
    medium.release();
    medium.release();
    medium.release();
    expect(driver.takeUsed()).toHaveLength(5);
  });

  it('is served by the driver’s kicks alone, each queue by its own', () => {
    const medium = new TestDisk(64);
    const board = virtioBoard(
      new VirtioBlk({ name: 'vda', backend: medium.backend, queues: 2, queueSize: 16 }),
    );
    const guest = new ModernGuest(board);
    guest.negotiate(FLUSH | (1 << 12));
    const drivers = [0, 1].map((n) => guest.setQueue(n, { start: RING + n * 0x4000, size: 16 }));
    guest.ready();
    for (const driver of drivers)
      driver.add(
        [{ gpa: HEADERS, bytes: 16 }],
        [
          { gpa: DATA, bytes: 512 },
          { gpa: STATUSES, bytes: 1 },
        ],
      );
    guest.kick(1);
    expect(drivers.map((driver) => driver.takeUsed().length)).toEqual([0, 1]);
    guest.kick(0);
    expect(drivers.map((driver) => driver.takeUsed().length)).toEqual([1, 0]);
  });
});

describe('the write cache (5.2.5.2)', () => {
  it.each([
    ['on for a driver that can flush', FLUSH, true],
    ['off for one that cannot', 0, false],
  ])('is %s', (_, features, expected) => {
    expect(disk({ features }).medium.writeCache).toBe(expected);
  });

  it('can be switched by the driver if it negotiated that', () => {
    const { guest, medium } = disk({ features: FLUSH | CONFIG_WCE });
    guest.writeDevice(32, 0, 1);
    const off = medium.writeCache;
    guest.writeDevice(32, 1, 1);
    expect([off, medium.writeCache]).toEqual([false, true]);
  });

  it('cannot be switched otherwise', () => {
    const { guest, medium } = disk({ features: FLUSH });
    guest.writeDevice(32, 0, 1);
    expect(medium.writeCache).toBe(true);
  });

  it('is what the user asked for after a reset', () => {
    const { guest, medium } = disk({ features: FLUSH | CONFIG_WCE });
    guest.writeDevice(32, 0, 1);
    guest.status = 0;
    expect([medium.writeCache, guest.readDevice(32, 1)]).toEqual([true, 1]);
  });
});

describe('a change of size', () => {
  it('is seen in the configuration, with an interrupt, and by requests', () => {
    const { guest, medium, request } = disk();
    const before = request(IN, 64, buffer(512)).status;
    guest.readIsr();
    medium.resize(32);
    expect([guest.readDevice(0, 4), guest.readIsr()]).toEqual([32, 2]);
    expect([before, request(IN, 32, buffer(512)).status, request(IN, 31, buffer(512)).status]).toEqual([
      1, 1, 0,
    ]);
  });
});

describe('a reset', () => {
  it('waits for what the disk holds', () => {
    const { guest, medium, add } = disk();
    medium.holds = true;
    add(IN, 0, buffer(512));
    guest.kick(0);
    guest.status = 0;
    const during = guest.status;
    medium.release();
    expect([during, guest.status]).toEqual([15, 0]);
  });

  it('leaves a device that works', () => {
    const { guest, ram, header } = disk();
    guest.status = 0;
    guest.negotiate(FLUSH);
    const driver = guest.setQueue(0, { start: RING + 0x8000, size: 64 });
    guest.ready();
    driver.add([header(IN, 7)], [...buffer(512), { gpa: STATUSES, bytes: 1 }]);
    guest.kick(0);
    expect([ram[DATA], ram[STATUSES]]).toEqual([8, 0]);
  });
});

describe('a legacy driver', () => {
  it('reads a sector', () => {
    const medium = new TestDisk(64);
    medium.data.fill(9, 512, 1024);
    const board = virtioBoard(new VirtioBlk({ name: 'vda', backend: medium.backend, queueSize: 16 }));
    const guest = new LegacyGuest(board);
    guest.negotiate(FLUSH);
    const driver = guest.setQueue(0, RING);
    guest.ready();
    board.data.setUint32(HEADERS + 8, 1, true);
    driver.add(
      [{ gpa: HEADERS, bytes: 16 }],
      [
        { gpa: DATA, bytes: 512 },
        { gpa: STATUSES, bytes: 1 },
      ],
    );
    guest.kick(0);
    expect([driver.takeUsed().length, board.ram[DATA], guest.read(20, 4), guest.readIsr()]).toEqual([
      1, 9, 64, 1,
    ]);
  });
});
