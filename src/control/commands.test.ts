import { expect, test } from 'vitest';
import { isLegal } from './commands.ts';

test.each([
  ['start', 'off', true],
  ['start', 'running', false],
  ['start', 'crashed', true],
  ['pause', 'running', true],
  ['pause', 'paused', false],
  ['resume', 'paused', true],
  ['resume', 'running', false],
  ['reset', 'shutdown', false],
  ['powerOff', 'loading', true],
  ['powerOff', 'off', false],
  ['serialInput', 'paused', true],
  ['serialInput', 'off', false],
] as const)('%s while %s: %s', (command, state, legal) => {
  expect(isLegal(command, state)).toBe(legal);
});
