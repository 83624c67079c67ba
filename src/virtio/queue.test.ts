/** Sections refer to virtio 1.2. */
import { describe, expect, it } from 'vitest';
import { crosses, Virtqueue } from './queue.ts';
import type { VirtqueueOptions } from './queue.ts';
import { legacyRing } from './ring-layout.ts';
import { TestDriver, testRam } from './test-driver.ts';

const RAM_BYTES = 0x200000;
const RING = 0x10000;
const TABLES = 0x20000;
const BUFFER = 0x100000;

const NEXT = 1;
const WRITE = 2;
const INDIRECT = 4;

function queueBoard(options: Partial<VirtqueueOptions> & { tables?: boolean } = {}) {
  const ram = testRam(RAM_BYTES);
  const size = options.size ?? 8;
  const driver = new TestDriver({
    data: ram.data,
    start: RING,
    size,
    eventIdx: options.eventIdx ?? false,
    ...(options.tables === true ? { indirectTables: TABLES } : {}),
  });
  const reasons: string[] = [];
  const created = Virtqueue.create({
    memory: ram.memory,
    ring: driver.ring,
    size,
    maxSize: 256,
    indirect: true,
    eventIdx: false,
    onBroken: (reason) => reasons.push(reason),
    ...options,
  });
  if (!created.ok) throw new Error(created.error);
  return { ...ram, driver, queue: created.value, reasons };
}

describe('a queue that is set up wrongly', () => {
  const good = legacyRing(RING, 8, 4096);

  it.each([
    ['size 0', { size: 0 }, 'queue size 0 is not a power of two up to 256'],
    ['size 6', { size: 6 }, 'queue size 6 is not a power of two up to 256'],
    ['size 512', { size: 512 }, 'queue size 512 is not a power of two up to 256'],
    [
      'descriptors at 8',
      { ring: { ...good, descriptors: 8 } },
      'the descriptor table is misaligned or not in RAM',
    ],
    [
      'descriptors at the end of RAM',
      { ring: { ...good, descriptors: RAM_BYTES - 112 } },
      'the descriptor table is misaligned or not in RAM',
    ],
    ['avail at 1', { ring: { ...good, avail: 1 } }, 'the available ring is misaligned or not in RAM'],
    [
      'avail in the VGA hole',
      { ring: { ...good, avail: 0xa0000 } },
      'the available ring is misaligned or not in RAM',
    ],
    [
      'used in the PCI hole',
      { ring: { ...good, used: 0xe0000000 } },
      'the used ring is misaligned or not in RAM',
    ],
    ['used at 2^60', { ring: { ...good, used: 2 ** 60 } }, 'the used ring is misaligned or not in RAM'],
  ])('is refused: %s', (_, options, error) => {
    expect(
      Virtqueue.create({
        memory: testRam(RAM_BYTES).memory,
        ring: good,
        size: 8,
        maxSize: 256,
        indirect: false,
        eventIdx: false,
        onBroken: () => {},
        ...options,
      }),
    ).toEqual({ ok: false, error });
  });
});

describe('the available ring (2.7.6)', () => {
  it('yields chains in order and ends', () => {
    const { driver, queue } = queueBoard();
    const first = driver.add([{ gpa: BUFFER, bytes: 16 }], [{ gpa: BUFFER + 16, bytes: 512 }]);
    const second = driver.add([], [{ gpa: BUFFER + 0x1000, bytes: 1 }]);
    expect([queue.pop(), queue.pop(), queue.pop()]).toMatchObject([
      {
        head: first,
        readable: [{ gpa: BUFFER, bytes: 16 }],
        writable: [{ gpa: BUFFER + 16, bytes: 512 }],
        readableBytes: 16,
        writableBytes: 512,
      },
      { head: second, readable: [], writableBytes: 1 },
      undefined,
    ]);
  });

  it('reads a chain through an indirect table', () => {
    const { driver, queue } = queueBoard({ tables: true });
    driver.add(
      [
        { gpa: BUFFER, bytes: 16 },
        { gpa: BUFFER + 0x100, bytes: 32 },
      ],
      [{ gpa: BUFFER + 0x200, bytes: 1 }],
    );
    expect(queue.pop()).toMatchObject({
      readable: [
        { gpa: BUFFER, bytes: 16 },
        { gpa: BUFFER + 0x100, bytes: 32 },
      ],
      writable: [{ gpa: BUFFER + 0x200, bytes: 1 }],
    });
  });

  it('reads direct descriptors before an indirect one, and ignores its write flag (2.7.5.3.2)', () => {
    const { driver, queue } = queueBoard();
    driver.descriptor(0, BUFFER, 16, NEXT, 1);
    driver.descriptor(1, TABLES, 16, INDIRECT | WRITE, 0);
    driver.descriptor(0, BUFFER + 16, 4, WRITE, 0, TABLES);
    driver.makeAvailable(0);
    expect(queue.pop()).toMatchObject({
      readable: [{ gpa: BUFFER, bytes: 16 }],
      writable: [{ gpa: BUFFER + 16, bytes: 4 }],
    });
  });

  it('takes an indirect chain that is longer than the ring, up to the device’s size', () => {
    const { driver, queue } = queueBoard({ size: 2, maxSize: 4 });
    for (let n = 0; n < 4; n++) driver.descriptor(n, BUFFER + n, 1, n < 3 ? NEXT : 0, n + 1, TABLES);
    driver.descriptor(0, TABLES, 64, INDIRECT, 0);
    driver.makeAvailable(0);
    expect(queue.pop()?.readableBytes).toBe(4);
  });

  it('leaves empty buffers out', () => {
    const { driver, queue } = queueBoard();
    driver.descriptor(0, BUFFER, 0, NEXT, 1);
    driver.descriptor(1, BUFFER, 4, NEXT, 2);
    driver.descriptor(2, BUFFER, 0, WRITE, 0);
    driver.makeAvailable(0);
    expect(queue.pop()).toMatchObject({ readable: [{ gpa: BUFFER, bytes: 4 }], writable: [] });
  });

  it('goes on where an index wraps', () => {
    const { driver, ...board } = queueBoard();
    const queue = Virtqueue.create(
      {
        memory: board.memory,
        ring: driver.ring,
        size: 8,
        maxSize: 8,
        indirect: false,
        eventIdx: false,
        onBroken: () => {},
      },
      { nextAvail: 0xffff, nextUsed: 0xffff },
    );
    if (!queue.ok) throw new Error(queue.error);
    driver.descriptor(3, BUFFER, 4, 0, 0);
    board.data.setUint16(driver.ring.avail + 4 + 2 * 7, 3, true);
    driver.setAvailIdx(0x10000);
    expect(queue.value.pop()?.head).toBe(3);
    expect(queue.value.pop()).toBeUndefined();
    expect(queue.value.position.nextAvail).toBe(0);
  });

  it('pops again what was given back', () => {
    const { driver, queue } = queueBoard();
    const head = driver.add([], [{ gpa: BUFFER, bytes: 4 }]);
    queue.unpop(queue.pop()!);
    expect(queue.inFlight).toBe(0);
    expect(queue.pop()?.head).toBe(head);
  });
});

describe('a hostile ring', () => {
  it.each([
    [
      'avail.idx beyond the ring',
      (d: TestDriver) => d.setAvailIdx(9),
      'avail.idx 9 is more than a queue ahead of 0',
    ],
    [
      'avail.idx stepping back',
      (d: TestDriver) => d.setAvailIdx(-1),
      'avail.idx 65535 is more than a queue ahead of 0',
    ],
    [
      'a head that does not exist',
      (d: TestDriver) => d.makeAvailable(8),
      'descriptor 8 in the available ring does not exist',
    ],
    [
      'a next that does not exist',
      (d: TestDriver) => {
        d.descriptor(0, BUFFER, 4, NEXT, 8);
        d.makeAvailable(0);
      },
      'next descriptor 8 does not exist',
    ],
    [
      'a loop',
      (d: TestDriver) => {
        d.descriptor(0, BUFFER, 4, NEXT, 1);
        d.descriptor(1, BUFFER, 4, NEXT, 0);
        d.makeAvailable(0);
      },
      'a descriptor chain is longer than the queue',
    ],
    [
      'a descriptor that follows itself with length 0',
      (d: TestDriver) => {
        d.descriptor(0, BUFFER, 0, NEXT, 0);
        d.makeAvailable(0);
      },
      'a descriptor chain is longer than the queue',
    ],
    [
      'a buffer across the end of RAM',
      (d: TestDriver) => {
        d.descriptor(0, RAM_BYTES - 4, 8, 0, 0);
        d.makeAvailable(0);
      },
      'a buffer that is not in RAM',
    ],
    [
      'a buffer across the VGA hole',
      (d: TestDriver) => {
        d.descriptor(0, 0x9f000, 0x2000, WRITE, 0);
        d.makeAvailable(0);
      },
      'a buffer that is not in RAM',
    ],
    [
      'an address that wraps at 2^64',
      (d: TestDriver) => {
        d.descriptor(0, 2 ** 64 - 2 ** 12, 0x2000, WRITE, 0);
        d.makeAvailable(0);
      },
      'a buffer that is not in RAM',
    ],
    [
      'a length of 4 GiB - 1',
      (d: TestDriver) => {
        d.descriptor(0, BUFFER, 0xffffffff, 0, 0);
        d.makeAvailable(0);
      },
      'a buffer that is not in RAM',
    ],
    [
      'readable behind writable',
      (d: TestDriver) => {
        d.descriptor(0, BUFFER, 4, NEXT | WRITE, 1);
        d.descriptor(1, BUFFER, 4, 0, 0);
        d.makeAvailable(0);
      },
      'a device-readable buffer behind a device-writable one',
    ],
    [
      'an empty indirect table',
      (d: TestDriver) => {
        d.descriptor(0, TABLES, 0, INDIRECT, 0);
        d.makeAvailable(0);
      },
      'an indirect table of 0 bytes',
    ],
    [
      'an indirect table of 24 bytes',
      (d: TestDriver) => {
        d.descriptor(0, TABLES, 24, INDIRECT, 0);
        d.makeAvailable(0);
      },
      'an indirect table of 24 bytes',
    ],
    [
      'an indirect table of 4 GiB outside RAM',
      (d: TestDriver) => {
        d.descriptor(0, TABLES, 0xfffffff0, INDIRECT, 0);
        d.makeAvailable(0);
      },
      'an indirect table that is not in RAM',
    ],
    [
      'an indirect descriptor with a next one',
      (d: TestDriver) => {
        d.descriptor(0, TABLES, 16, INDIRECT | NEXT, 1);
        d.makeAvailable(0);
      },
      'an indirect descriptor with a next one',
    ],
    [
      'a table in a table',
      (d: TestDriver) => {
        d.descriptor(0, TABLES, 16, INDIRECT, 0);
        d.descriptor(0, TABLES, 16, INDIRECT, 0, TABLES);
        d.makeAvailable(0);
      },
      'an indirect descriptor in a table',
    ],
    [
      'a next outside the table',
      (d: TestDriver) => {
        d.descriptor(0, TABLES, 32, INDIRECT, 0);
        d.descriptor(0, BUFFER, 4, NEXT, 2, TABLES);
        d.makeAvailable(0);
      },
      'next descriptor 2 is not in the indirect table',
    ],
    [
      'a loop in a table',
      (d: TestDriver) => {
        d.descriptor(0, TABLES, 32, INDIRECT, 0);
        d.descriptor(0, BUFFER, 4, NEXT, 1, TABLES);
        d.descriptor(1, BUFFER, 4, NEXT, 0, TABLES);
        d.makeAvailable(0);
      },
      'an indirect chain goes in circles',
    ],
  ])('breaks the queue, once and for good: %s', (_, set, reason) => {
    const { driver, queue, reasons } = queueBoard();
    set(driver);
    expect(queue.pop()).toBeUndefined();
    expect(queue.pop()).toBeUndefined();
    expect(reasons).toEqual([reason]);
    expect(queue.broken).toBe(reason);
    expect(queue.publish()).toBe(false);
  });

  it('breaks it with an indirect descriptor that was not negotiated', () => {
    const { driver, queue, reasons } = queueBoard({ indirect: false, tables: true });
    driver.add([{ gpa: BUFFER, bytes: 4 }], []);
    expect(queue.pop()).toBeUndefined();
    expect(reasons).toEqual(['an indirect descriptor, but VIRTIO_F_INDIRECT_DESC is not negotiated']);
  });

  it('breaks it with an indirect chain longer than the device’s queue', () => {
    const { driver, queue, reasons } = queueBoard({ maxSize: 8 });
    for (let n = 0; n < 9; n++) driver.descriptor(n, BUFFER, 1, n < 8 ? NEXT : 0, n + 1, TABLES);
    driver.descriptor(0, TABLES, 9 * 16, INDIRECT, 0);
    driver.makeAvailable(0);
    expect(queue.pop()).toBeUndefined();
    expect(reasons).toEqual(['an indirect chain is longer than the queue']);
  });

  it('breaks it with a descriptor that is already the device’s', () => {
    const { driver, queue, reasons } = queueBoard();
    driver.descriptor(2, BUFFER, 4, 0, 0);
    driver.makeAvailable(2);
    driver.makeAvailable(2);
    expect(queue.pop()?.head).toBe(2);
    expect(queue.pop()).toBeUndefined();
    expect(reasons).toEqual(['descriptor 2 is available twice']);
  });

  it('breaks it with a chain of more than 4 GiB', () => {
    const { driver, queue, reasons } = queueBoard({ maxSize: 32768 });
    const count = 2 ** 32 / 0x100000;
    for (let n = 0; n < count; n++)
      driver.descriptor(n, BUFFER, 0x100000, n + 1 < count ? NEXT : 0, n + 1, TABLES);
    driver.descriptor(0, TABLES, count * 16, INDIRECT, 0);
    driver.makeAvailable(0);
    expect(queue.pop()).toBeUndefined();
    expect(reasons).toEqual(['a chain of more than 4 GiB']);
  });

  it('publishes nothing after it broke, but takes outstanding chains back', () => {
    const { driver, queue } = queueBoard();
    driver.add([], [{ gpa: BUFFER, bytes: 4 }]);
    const chain = queue.pop()!;
    driver.setAvailIdx(100);
    queue.pop();
    queue.push(chain, 4);
    expect([queue.publish(), queue.inFlight, driver.takeUsed()]).toEqual([false, 0, []]);
  });
});

describe('the used ring (2.7.8)', () => {
  it('shows elements to the driver when they are published, in the order of completion', () => {
    const { driver, queue } = queueBoard();
    const first = driver.add([], [{ gpa: BUFFER, bytes: 16 }]);
    const second = driver.add([], [{ gpa: BUFFER, bytes: 16 }]);
    const chains = [queue.pop()!, queue.pop()!];
    queue.push(chains[1]!, 7);
    queue.push(chains[0]!, 16);
    expect(driver.takeUsed()).toEqual([]);
    expect(queue.publish()).toBe(true);
    expect(driver.takeUsed()).toEqual([
      { id: second, len: 7 },
      { id: first, len: 16 },
    ]);
  });

  it('shows exposed elements at once, and asks about them at the next publish', () => {
    const { driver, queue } = queueBoard({ eventIdx: true });
    const [first, second] = [0, 1].map(() => driver.add([], [{ gpa: BUFFER, bytes: 16 }]));
    queue.push(queue.pop()!, 16);
    queue.expose();
    const early = driver.takeUsed();
    queue.push(queue.pop()!, 16);
    queue.expose();
    const later = driver.takeUsed();
    expect([early, later]).toEqual([[{ id: first, len: 16 }], [{ id: second, len: 16 }]]);
    // The driver took both and wants to hear of the third.
    driver.setUsedEvent(2);
    const seen = [queue.publish(), queue.publish()];
    expect([seen, queue.counters]).toEqual([
      [true, false],
      { chains: 2, interrupts: 1, suppressedInterrupts: 0 },
    ]);
  });

  it('wants no interrupt for what the driver took before it was asked', () => {
    const { driver, queue } = queueBoard({ eventIdx: true });
    const complete = () => {
      driver.add([], [{ gpa: BUFFER, bytes: 16 }]);
      queue.push(queue.pop()!, 0);
    };
    complete();
    const first = queue.publish();
    complete();
    complete();
    queue.expose();
    driver.takeUsed();
    driver.setUsedEvent(3);
    const taken = queue.publish();
    complete();
    expect([first, taken, queue.publish()]).toEqual([true, false, true]);
  });

  it('never says that more was written than there was room', () => {
    const { driver, queue } = queueBoard();
    const head = driver.add([{ gpa: BUFFER, bytes: 64 }], [{ gpa: BUFFER, bytes: 16 }]);
    queue.push(queue.pop()!, 1000);
    queue.publish();
    expect(driver.takeUsed()).toEqual([{ id: head, len: 16 }]);
  });

  it('asks for no interrupt when nothing was pushed', () => {
    expect(queueBoard().queue.publish()).toBe(false);
  });
});

describe('interrupts (2.7.7)', () => {
  it('are not wanted while the driver says so', () => {
    const { driver, queue } = queueBoard();
    driver.add([], [{ gpa: BUFFER, bytes: 16 }]);
    driver.add([], [{ gpa: BUFFER, bytes: 16 }]);
    driver.setNoInterrupt(true);
    queue.push(queue.pop()!, 0);
    const suppressed = queue.publish();
    driver.setNoInterrupt(false);
    queue.push(queue.pop()!, 0);
    expect([suppressed, queue.publish()]).toEqual([false, true]);
    expect(queue.counters).toEqual({ chains: 2, interrupts: 1, suppressedInterrupts: 1 });
  });

  it('come with EVENT_IDX when used_event is passed, not before and not twice', () => {
    const { driver, queue } = queueBoard({ eventIdx: true });
    const complete = () => {
      driver.add([], [{ gpa: BUFFER, bytes: 16 }]);
      queue.push(queue.pop()!, 0);
      return queue.publish();
    };
    expect(complete()).toBe(true);
    driver.takeUsed();
    driver.setUsedEvent(3);
    expect([complete(), complete(), complete(), complete()]).toEqual([false, false, true, false]);
  });

  it.each([
    [0, 0, 1, true],
    [0, 1, 2, false],
    [1, 1, 2, true],
    [5, 3, 5, false],
    [5, 3, 6, true],
    [0xffff, 0xfffe, 0, true],
    [0, 0xfffe, 0, false],
    [0, 0xfffe, 1, true],
  ])('event %d, from %d to %d: passed is %s', (event, before, now, passed) => {
    expect(crosses(event, before, now)).toBe(passed);
  });
});

describe('kicks (2.7.10)', () => {
  it('are not asked for while the device looks by itself', () => {
    const { driver, queue } = queueBoard();
    queue.disableNotifications();
    driver.add([], [{ gpa: BUFFER, bytes: 16 }]);
    const kicked = driver.needsKick();
    expect(queue.enableNotifications()).toBe(true);
    queue.pop();
    expect(queue.enableNotifications()).toBe(false);
    driver.add([], [{ gpa: BUFFER, bytes: 16 }]);
    expect([kicked, driver.needsKick()]).toEqual([false, true]);
  });

  it('come once per crossing of avail_event with EVENT_IDX', () => {
    const { driver, queue } = queueBoard({ eventIdx: true });
    const add = () => {
      driver.add([], [{ gpa: BUFFER, bytes: 16 }]);
      return driver.needsKick();
    };
    queue.enableNotifications();
    expect([add(), add(), add()]).toEqual([true, false, false]);
    while (queue.pop() !== undefined);
    expect(add()).toBe(false);
    expect(queue.enableNotifications()).toBe(true);
    queue.pop();
    expect(queue.enableNotifications()).toBe(false);
    expect(add()).toBe(true);
  });
});
