/** `npm run build`: the page as a static site in dist/, with the default guest if there is one. */
import { join } from 'node:path';
import { root } from './runner/stale.ts';
import { ensureWasm } from './runner/wasm.ts';
import { buildSite } from './site/build-site.ts';

await ensureWasm(true);
const { files, version } = await buildSite({ folder: join(root, 'dist'), guest: true });
console.log(`dist/: ${files.length} files, version ${version}`);
if (!files.some(({ group }) => group === 'guest')) {
  console.log(
    'No default guest in the build: the page will ask for a kernel and an initrd. npm start makes one.',
  );
}
