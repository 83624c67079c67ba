import { expect, test } from 'vitest';
import { sitePath } from './site-version.ts';

const SCOPE = 'https://example.org/some/sub/path/';

test.each([
  ['https://example.org/some/sub/path/', 'index.html'],
  ['https://example.org/some/sub/path/?m=1G#top', 'index.html'],
  ['https://example.org/some/sub/path/assets/core-1a.wasm', 'assets/core-1a.wasm'],
  ['https://example.org/some/sub/path/examples/', 'examples/index.html'],
  ['https://example.org/some/sub/path/a%20b', 'a b'],
])('%s is the file %s', (url, path) => {
  expect(sitePath(url, SCOPE)).toBe(path);
});

test.each([
  ['another folder', 'https://example.org/some/other/'],
  ['a folder above', 'https://example.org/some/sub/'],
  ['another origin', 'https://example.com/some/sub/path/index.html'],
  ['a broken escape', 'https://example.org/some/sub/path/%E0%A4%A'],
])('%s is not of the site', (_, url) => {
  expect(sitePath(url, SCOPE)).toBeUndefined();
});
