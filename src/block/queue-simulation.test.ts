import { describe, expect, it } from 'vitest';
import { simulateQueue } from './queue-simulation.ts';
import type { SimulationOptions } from './queue-simulation.ts';

const BASE: Omit<SimulationOptions, 'seed'> = {
  steps: 3000,
  clients: 2,
  depth: 4,
  bound: 16,
  cache: 'writeback',
  errorPolicy: { write: 'enospc', read: 'report' },
  errors: 0,
  noSpace: 0,
};

/** VIRTAB_SEEDS=N runs N seeds of each kind. */
const SEEDS = Array.from({ length: Number(process.env['VIRTAB_SEEDS'] ?? 12) }, (_, index) => index + 1);

describe.each<[string, Partial<SimulationOptions>]>([
  ['a driver of depth 4', {}],
  ['a synchronous driver', { depth: 1 }],
  ['a deep driver and many queues', { depth: 32, clients: 6, bound: 64 }],
  ['a bound below the depth', { depth: 8, bound: 3 }],
  ['errors', { errors: 10 }],
  ['no space now and then', { noSpace: 15 }],
  [
    'no space and errors, reported',
    { noSpace: 10, errors: 10, errorPolicy: { write: 'report', read: 'report' } },
  ],
  ['every error pausing', { noSpace: 5, errors: 5, errorPolicy: { write: 'stop', read: 'stop' } }],
  ['write-through', { cache: 'writethrough' }],
  ['write-through with errors and no space', { cache: 'writethrough', noSpace: 10, errors: 5 }],
  ['write-through on a synchronous driver', { cache: 'writethrough', depth: 1 }],
  ['cache=unsafe', { cache: 'unsafe', noSpace: 5 }],
])('a random guest and %s', (_text, options) => {
  it.each(SEEDS)('loses, reorders and corrupts nothing, seed %i', (seed) => {
    expect(simulateQueue({ ...BASE, ...options, seed }).violations).toEqual([]);
  });
});

describe('the simulation', () => {
  it('reaches merges, pauses, resets and cancellations', () => {
    const result = simulateQueue({ ...BASE, noSpace: 10, seed: 1 });
    expect(result.requests).toBeGreaterThan(500);
    expect(result.merges).toBeGreaterThan(50);
    expect(result.pauses).toBeGreaterThan(10);
    expect(result.resets).toBeGreaterThan(10);
    expect(result.cancelled).toBeGreaterThan(10);
  });
});
