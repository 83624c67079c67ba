import { expect, it } from 'vitest';
import type { ExitInfo } from '../../src/control/info.ts';
import { accessCosts } from './request-costs.ts';

const KICK = { name: 'virtio-blk0 kick', space: 'thread', start: 8, size: 0, reads: 0 } as const;

it('takes no posted kick for an ordered one of the same thread, which gave negative times', () => {
  const before: ExitInfo[] = [
    { ...KICK, served: 'ordered', writes: 100, nanoseconds: 5_000_000 },
    { ...KICK, served: 'posted', writes: 40, nanoseconds: 0 },
  ];
  const after: ExitInfo[] = [
    { ...KICK, served: 'ordered', writes: 150, nanoseconds: 7_000_000 },
    { ...KICK, served: 'posted', writes: 80, nanoseconds: 0 },
  ];
  expect(accessCosts(before, after, 100)).toEqual([
    'virtio-blk0 kick (ordered) thread 8: 0.500 accesses, 20.000 us',
    'virtio-blk0 kick (posted) thread 8: 0.400 accesses, 0.000 us',
  ]);
});

it('leaves out what happened less than once in a hundred requests', () => {
  const port: ExitInfo = {
    name: 'com1',
    served: 'vcpu',
    space: 'port',
    start: 0x3f8,
    size: 8,
    reads: 0,
    writes: 9,
    nanoseconds: 900,
  };
  expect(accessCosts([], [port], 1000)).toEqual([]);
  expect(accessCosts([], [port], 900)).toEqual(['com1 (vcpu) port 3f8: 0.010 accesses, 0.001 us']);
});
