/** `npm run build`: the page as a static site in dist/, with the default guest if there is one. */
import { cpSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'vite';
import { root } from './runner/stale.ts';
import { ensureWasm } from './runner/wasm.ts';

await ensureWasm(true);
const folder = join(root, 'dist');
await build({ root, build: { outDir: folder, emptyOutDir: true } });
const guest = join(root, 'build', 'guest');
if (existsSync(join(guest, 'manifest.json'))) {
  cpSync(guest, join(folder, 'guest'), { recursive: true });
  console.log('dist/guest/: the default guest');
} else {
  console.log(
    'No default guest in the build: the page will ask for a kernel and an initrd. npm start makes one.',
  );
}
