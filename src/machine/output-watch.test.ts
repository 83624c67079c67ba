import { expect, test } from 'vitest';
import { OutputWatch } from './output-watch.ts';

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

test('finds a text that is split between two pieces', () => {
  const watch = new OutputWatch('login:');
  expect(watch.push(encode('debian log'))).toBe(false);
  expect(watch.push(encode('in: '))).toBe(true);
});

test('finds a text that begins again in the middle of a false start', () => {
  const watch = new OutputWatch('aab');
  expect(watch.push(encode('aa'))).toBe(false);
  expect(watch.push(encode('ab'))).toBe(true);
});

test('does not join pieces that are not adjacent', () => {
  const watch = new OutputWatch('ab');
  expect(watch.push(encode('a-'))).toBe(false);
  expect(watch.push(encode('b'))).toBe(false);
});
