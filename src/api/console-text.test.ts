import { expect, test } from 'vitest';
import { ConsoleText } from './console-text.ts';

function shown(...pieces: readonly string[]): string {
  const console = new ConsoleText();
  for (const piece of pieces) console.push(new TextEncoder().encode(piece));
  return console.text();
}

test.each([
  ['lines', 'one\r\ntwo\r\n', 'one\ntwo'],
  ['a carriage return writes over', '10 %\r20 %', '20 %'],
  ['a backspace takes back', 'lss\b \b', 'ls'],
  ['a tab goes to the next stop of eight', 'a\tb', 'a       b'],
  ['colours are dropped', '\x1b[0;32mok\x1b[m', 'ok'],
  ['EL erases to the end of the line', 'long line\r\x1b[Kshort', 'short'],
  ['EL 2 erases the line', 'long line\x1b[2K', ''],
  ['the window title is dropped', '\x1b]0;root@guest\x07# ', '#'],
  ['the cursor moves right and left', 'abc\x1b[2Dx\x1b[1Cy', 'axcy'],
  ['a query for the cursor leaves nothing', '\x1b[6n# ', '#'],
  ['a line feed alone keeps its column', 'ab\ncd', 'ab\n  cd'],
])('%s', (_name, written, text) => {
  expect(shown(written)).toBe(text);
});

test('a sequence that is split between two pieces is one', () => {
  expect(shown('\x1b', '[0;3', '1mred\x1b[', 'm.')).toBe('red.');
});

test('a character of several bytes that is split is one', () => {
  const console = new ConsoleText();
  console.push(Uint8Array.of(0xe2, 0x82));
  console.push(Uint8Array.of(0xac));
  expect(console.text()).toBe('€');
});

test('a sequence that never ends does not swallow the console', () => {
  expect(shown(`\x1b[${'1;'.repeat(40)}`, 'after')).toContain('after');
});

test('only the last lines are kept', () => {
  const console = new ConsoleText(3);
  console.push(new TextEncoder().encode('1\r\n2\r\n3\r\n4\r\n5\r\n6\r\n7'));
  expect(console.text()).toBe('4\n5\n6\n7');
});
