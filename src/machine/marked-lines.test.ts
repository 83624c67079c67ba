import { expect, test } from 'vitest';
import { MarkedLines } from './marked-lines.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

test('a marked line is found though it arrives in pieces, and without its line end', () => {
  const seen: string[] = [];
  const lines = new MarkedLines('@a ', (line) => seen.push(line));
  lines.push(bytes('hello\r\n@'));
  lines.push(bytes('a start'));
  expect(seen).toEqual([]);
  lines.push(bytes('\r\nother\n@a end\n'));
  expect(seen).toEqual(['@a start', '@a end']);
});

test('text before the marker is not part of the line', () => {
  const seen: string[] = [];
  new MarkedLines('@a ', (line) => seen.push(line)).push(bytes('[ 0.1] x@a end\n'));
  expect(seen).toEqual(['@a end']);
});
