/**
 * `npm run screenshots`: pictures of every state that the browser tests look at, in light, in dark and on a phone, with a
 * page that shows them (docs/screenshots). Needs pngquant, which apt installs.
 *
 *     npm run screenshots -- [only tests whose name has this]
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './runner/stale.ts';

/** Those whose states are of the page. */
const SUITES = ['states', 'boot', 'control', 'disks', 'settings', 'activity', 'accessibility', 'hosting'];
const LOOKS = ['light', 'dark', 'phone'];
const LARGEST_BYTES = 100 * 1024;

const folder = join(root, 'docs', 'screenshots');
const [only] = process.argv.slice(2);
// Of states that are not there any more.
if (only === undefined) rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
const suite = spawnSync(
  process.execPath,
  [
    join(root, 'node_modules/@playwright/test/cli.js'),
    'test',
    '--config',
    'e2e/playwright.config.ts',
    ...(only === undefined ? [] : ['--grep', only]),
    ...SUITES.map((name) => `e2e/${name}.e2e.ts`),
  ],
  { cwd: root, stdio: 'inherit', env: { ...process.env, VIRTAB_SCREENSHOTS: folder } },
);
const pictures = readdirSync(folder).filter((name) => name.endsWith('.png'));
const quantized = spawnSync(
  'pngquant',
  ['--force', '--skip-if-larger', '--ext', '.png', '64', '--', ...pictures],
  { cwd: folder, stdio: 'inherit' },
);
if (quantized.error !== undefined) console.error('pngquant is missing: apt-get install pngquant');
for (const name of pictures) {
  const { size } = statSync(join(folder, name));
  if (size > LARGEST_BYTES) console.error(`${name}: ${size} bytes`);
}

const states = [...new Set(pictures.map((name) => name.replace(/-[a-z]+\.png$/, '')))].sort();
const rows = states.map(
  (state) =>
    `| ${state} | ${LOOKS.map((look) => `![${state}, ${look}](${state}-${look}.png)`).join(' | ')} |`,
);
writeFileSync(
  join(folder, 'README.md'),
  [
    '# What the page looks like',
    '',
    'Every state that the browser tests look at (`virtab.lookAt` in `e2e/`), made by `npm run screenshots`.',
    '',
    `| state | ${LOOKS.join(' | ')} |`,
    '|---|---|---|---|',
    ...rows,
    '',
  ].join('\n'),
);
process.exitCode = suite.status ?? 1;
