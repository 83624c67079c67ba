/** The table of docs/ioeventfd.md. */
import { describe, expect, it } from 'vitest';
import { nextIoeventfdState } from './ioeventfd-state.ts';
import type { IoeventfdEvent, IoeventfdState } from './ioeventfd-state.ts';

const D: IoeventfdState = 0;
const A: IoeventfdState = 1;
const O: IoeventfdState = 2;

const facts = (driverOk: boolean, enabled: boolean, slot: boolean) => ({ driverOk, enabled, slot });
const ready = facts(true, true, true);
const noDriver = facts(false, true, true);
const off = facts(true, false, true);
const noSlot = facts(true, true, false);

type Row = [
  event: IoeventfdEvent,
  which: string,
  given: typeof ready,
  fromD: number,
  fromA: number,
  fromO: number,
];

// oxfmt-ignore
const TABLE: Row[] = [
  // event           facts                   deassigned assigned offlimits
  ['driver-ok',      'all hold',   ready,    A,         A,       O],
  ['driver-ok',      'off',        off,      D,         D,       O],
  ['driver-ok',      'no slot',    noSlot,   D,         D,       O],
  ['reset',          'no driver',  noDriver, D,         D,       O],
  ['legacy-kick',    'no driver',  noDriver, D,         A,       O],
  ['switch-on',      'all hold',   ready,    A,         A,       O],
  ['switch-on',      'no driver',  noDriver, D,         D,       O],
  ['switch-on',      'no slot',    noSlot,   D,         D,       O],
  ['switch-off',     'off',        off,      D,         D,       O],
  ['slot-free',      'all hold',   ready,    A,         A,       O],
  ['slot-free',      'off',        off,      D,         D,       O],
  ['slot-free',      'no driver',  noDriver, D,         D,       O],
  ['slot-lost',      'no slot',    noSlot,   D,         D,       O],
  ['vhost-take',     'all hold',   ready,    O,         O,       O],
  ['vhost-take',     'off',        off,      O,         O,       O],
  ['vhost-release',  'all hold',   ready,    A,         A,       A],
  ['vhost-release',  'off',        off,      D,         D,       D],
  ['vhost-release',  'no slot',    noSlot,   D,         D,       D],
  ['vhost-release',  'no driver',  noDriver, D,         D,       D],
  ['snapshot-load',  'all hold',   ready,    A,         A,       A],
  ['snapshot-load',  'no driver',  noDriver, D,         D,       D],
];

describe('the state of a virtqueue’s kicks', () => {
  it.each(TABLE)('after %s (%s)', (event, _, given, fromD, fromA, fromO) => {
    expect([D, A, O].map((state) => nextIoeventfdState(state, event, given))).toEqual([fromD, fromA, fromO]);
  });
});
