/**
 * Runs a TypeScript tool on a fresh clone: `node tools/run.mjs tools/start.ts [arguments]`. Plain JavaScript with nothing but
 * Node's own modules, because it is what brings everything else: it installs the npm packages first when they are not
 * there, or older than package-lock.json.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync, utimesSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const OLDEST_NODE = [20, 19];

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const lock = join(root, 'package-lock.json');
/** npm writes this when an installation is complete. */
const installed = join(root, 'node_modules', '.package-lock.json');

/** @param {string} message @returns {never} */
function fail(message) {
  console.error(message);
  process.exit(1);
}

/** Our parent, and its parent where the system has proc(5). */
function ancestors() {
  try {
    const stat = readFileSync(`/proc/${process.ppid}/stat`, 'latin1');
    // The name in parentheses may contain anything.
    return `${process.ppid} ${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]}`;
  } catch {
    return String(process.ppid);
  }
}

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])) {
  fail(`Virtab needs Node ${OLDEST_NODE.join('.')} or newer; this is ${process.versions.node}.`);
}

const isFresh = !existsSync(installed);
if (isFresh || statSync(lock).mtimeMs > statSync(installed).mtimeMs) {
  // stdout belongs to the tool.
  console.error(isFresh ? 'installing the npm packages' : 'updating the npm packages');
  // Not `npm ci`: it refuses a lock file that lacks some other platform's optional binaries. --no-save leaves it as it is.
  const args = ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'];
  const npm = process.env['npm_execpath'];
  const options = { cwd: root, stdio: ['ignore', 2, 2] };
  const result =
    npm === undefined
      ? spawnSync('npm', args, { ...options, shell: process.platform === 'win32' })
      : spawnSync(process.execPath, [npm, ...args], options);
  if (result.status !== 0)
    fail('npm could not install the packages (see above). Check the network and try again.');
  // npm leaves the file alone when there was nothing to do.
  const now = new Date();
  utimesSync(installed, now, now);
}

const [tool, ...rest] = process.argv.slice(2);
if (tool === undefined) fail('usage: node tools/run.mjs TOOL.ts [arguments]');
const child = spawn(process.execPath, ['--import', 'tsx', join(root, tool), ...rest], { stdio: 'inherit' });
// The tool ends in its own way. What is typed at a terminal reaches it without us.
process.on('SIGINT', () => {
  if (!process.stdin.isTTY) child.kill('SIGINT');
});
for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
// npm waits for its script, with a shell between them: if either is gone, it was killed, and the tool is nobody's.
if (process.env['npm_lifecycle_event'] !== undefined) {
  const before = ancestors();
  setInterval(() => {
    if (ancestors() !== before) child.kill('SIGTERM');
  }, 500).unref();
}
child.on('error', (error) => fail(error.message));
child.on('exit', (code, signal) => process.exit(signal === null ? (code ?? 1) : 1));
