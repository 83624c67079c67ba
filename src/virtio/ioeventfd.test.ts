import { describe, expect, it } from 'vitest';
import { viewsOf } from '../base/views.ts';
import { doorbellAddress } from '../layout/ioeventfd.ts';
import { VCPU_BASE } from '../layout/map.ts';
import { doorbellCounts } from '../sync/doorbell.ts';
import { explore } from '../sync/test-interleave.ts';
import { IoeventfdTable, NOWHERE } from './ioeventfd.ts';
import type { DoorbellMatch } from './ioeventfd.ts';

const modern = (address: number): DoorbellMatch => ({ space: 'memory', address, bytes: 0 });
const legacy = (value: number): DoorbellMatch => ({ space: 'port', address: 0xc010, bytes: 2, value });

function newTable(slots = 128, reserved = 0) {
  const views = viewsOf(new SharedArrayBuffer(VCPU_BASE));
  const table = new IoeventfdTable(views);
  table.create(slots, reserved);
  const kicks = (...doorbells: number[]) =>
    doorbells.map((doorbell) => doorbellCounts(views, doorbell).kicks);
  return { views, table, kicks };
}

describe('the table', () => {
  it('rings the doorbell of a write that matches', () => {
    const { table, kicks } = newTable();
    table.assign(1, modern(0xc0003000));
    table.assign(2, modern(0xc0003004));
    expect([
      table.claim('memory', 0xc0003000, 0, 2),
      table.claim('memory', 0xc0003004, 7, 4),
      table.claim('memory', 0xc0003004, 1, 2),
    ]).toEqual([true, true, true]);
    expect(kicks(1, 2)).toEqual([1, 2]);
  });

  it.each([
    ['another address', 'memory', 0xc0003008, 0, 2],
    ['a port of the same number', 'port', 0xc0003000, 0, 2],
    ['an address in the same bucket', 'memory', 0xc0003100, 0, 2],
    ['a value that is not there', 'port', 0xc010, 2, 2],
    ['a value of another width', 'port', 0xc010, 1, 1],
  ] as const)('leaves %s alone', (_, space, address, value, bytes) => {
    const { table, kicks } = newTable();
    table.assign(1, modern(0xc0003000));
    table.assign(2, legacy(0));
    table.assign(3, legacy(1));
    expect(table.claim(space, address, value, bytes)).toBe(false);
    expect(kicks(1, 2, 3)).toEqual([0, 0, 0]);
  });

  it('tells legacy queues apart by the value', () => {
    const { table, kicks } = newTable();
    table.assign(2, legacy(0));
    table.assign(3, legacy(1));
    table.claim('port', 0xc010, 1, 2);
    expect(kicks(2, 3)).toEqual([0, 1]);
  });

  it('follows an address that moves', () => {
    const { table, kicks } = newTable();
    table.assign(1, modern(0xc0003000));
    table.assign(2, modern(0xc0003100));
    table.move(1, modern(0xd0003000));
    expect([table.claim('memory', 0xc0003000, 0, 2), table.claim('memory', 0xd0003000, 0, 2)]).toEqual([
      false,
      true,
    ]);
    table.move(1, NOWHERE);
    expect([table.claim('memory', 0xd0003000, 0, 2), table.claim('memory', 0xc0003100, 0, 2)]).toEqual([
      false,
      true,
    ]);
    expect(kicks(1, 2)).toEqual([1, 1]);
  });

  it('moves nothing that it does not have', () => {
    const { table } = newTable();
    table.move(1, modern(0xc0003000));
    expect([table.claim('memory', 0xc0003000, 0, 2), table.slots.used]).toEqual([false, 0]);
  });

  it('forgets what is withdrawn, wherever it is in its bucket', () => {
    const { table } = newTable();
    const addresses = [0xc0003000, 0xc0003100, 0xc0003200];
    addresses.forEach((address, n) => table.assign(n + 1, modern(address)));
    table.withdraw(2);
    expect(addresses.map((address) => table.claim('memory', address, 0, 2))).toEqual([true, false, true]);
    table.withdraw(1);
    table.withdraw(1);
    expect(addresses.map((address) => table.claim('memory', address, 0, 2))).toEqual([false, false, true]);
    expect(table.slots.used).toBe(1);
  });

  it('is bounded, and says so', () => {
    const { table } = newTable(2);
    expect([1, 2, 3].map((doorbell) => table.assign(doorbell, modern(0x1000 * doorbell)))).toEqual([
      true,
      true,
      false,
    ]);
    expect([table.hasRoom(), table.slots]).toEqual([false, { total: 2, used: 2, refused: 1 }]);
    table.withdraw(1);
    expect(table.assign(3, modern(0x3000))).toBe(true);
  });

  it('keeps the last slots for vhost', () => {
    const { table } = newTable(2, 1);
    expect([
      table.assign(1, modern(0x1000)),
      table.assign(2, modern(0x2000)),
      table.assign(2, modern(0x2000), 'vhost'),
    ]).toEqual([true, false, true]);
  });
});

describe('a vCPU that kicks while the table changes', () => {
  /** The kick is heard if it went the slow way, if the last look after the change sees it, or if the new owner has it. */
  function race(change: (table: IoeventfdTable) => void) {
    const { views, table } = newTable();
    const words = views.u32;
    let isSlow = false;
    let lastLook = 0;
    return explore({
      prepare: () => {
        table.create(2);
        words.fill(0, doorbellAddress(1) >>> 2, (doorbellAddress(3) >>> 2) + 16);
        table.assign(1, modern(0xc0003000));
        table.assign(2, modern(0xc0003100));
      },
      threads: [
        () => {
          isSlow = !table.claim('memory', 0xc0003000, 0, 2);
        },
        () => {
          change(table);
          lastLook = Atomics.load(views.i32, doorbellAddress(1) >>> 2);
        },
      ],
      check: () =>
        isSlow || lastLook > 0 || doorbellCounts(views, 3).kicks > 0 ? undefined : 'the kick was lost',
    });
  }

  it('loses no kick to a flip', () => {
    const result = race((table) => table.withdraw(1));
    expect(result.problem).toBeUndefined();
    expect(result.states).toBeGreaterThan(20);
  });

  it('loses no kick when slot and address go to another queue', () => {
    const result = race((table) => {
      table.withdraw(1);
      table.assign(3, modern(0xc0003000));
    });
    expect(result.problem).toBeUndefined();
  });

  it('loses no kick when the slot goes to another address', () => {
    const result = race((table) => {
      table.withdraw(1);
      table.assign(4, modern(0xd0003000));
    });
    expect(result.problem).toBeUndefined();
  });
});
