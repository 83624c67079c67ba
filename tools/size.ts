/**
 * `npm run size`: what a visitor's browser transfers before the first prompt, by kind, as files and compressed as most
 * hosts send them (gzip).
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { root } from './runner/stale.ts';
import { ensureWasm } from './runner/wasm.ts';
import { buildSite } from './site/build-site.ts';

const KINDS = [
  { kind: 'page and styles', pattern: /^(index\.html|assets\/.*\.css)$/ },
  { kind: 'JavaScript', pattern: /^assets\/.*\.js$/ },
  { kind: 'WebAssembly', pattern: /\.wasm$/ },
  { kind: 'icons, manifest', pattern: /\.(png|svg|webmanifest)$/ },
  { kind: 'guest', pattern: /^guest\// },
] as const;

/** Pages of their own, which a visitor does not open. */
const NOT_VISITED = /^(runner|examples\/|assets\/(runner|embed))/;

function kilobytes(bytes: number): string {
  return (bytes / 1024).toFixed(0).padStart(9);
}

await ensureWasm(true);
const folder = join(root, 'dist');
const { files } = await buildSite({ folder, guest: true, logLevel: 'warn' });
console.log(`${'KiB'.padStart(25)}${'gzip'.padStart(9)}`);
for (const { kind, pattern } of KINDS) {
  const paths = files.map(({ path }) => path).filter((path) => pattern.test(path) && !NOT_VISITED.test(path));
  const contents = paths.map((path) => readFileSync(join(folder, path)));
  const plain = contents.reduce((sum, bytes) => sum + bytes.length, 0);
  const packed = contents.reduce((sum, bytes) => sum + gzipSync(bytes, { level: 9 }).length, 0);
  console.log(`${kind.padEnd(16)}${kilobytes(plain)}${kilobytes(packed)}`);
}
