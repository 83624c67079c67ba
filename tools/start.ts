/**
 * `npm start`: builds what is missing, serves the page and prints its address.
 *
 *     npm start -- [--port N] [--host ADDRESS]
 */
import { createServer } from 'vite';
import { parseArgs } from 'node:util';
import { buildGuest } from './guest/build-guest.ts';
import { root } from './runner/stale.ts';
import { ensureWasm } from './runner/wasm.ts';

function usage(problem: string): never {
  console.error(`${problem}\nusage: npm start -- [--port N] [--host ADDRESS]`);
  process.exit(2);
}

function readArguments(): { readonly host: string; readonly port: number | undefined } {
  try {
    const { values } = parseArgs({ options: { port: { type: 'string' }, host: { type: 'string' } } });
    const port = values.port === undefined ? undefined : Number(values.port);
    if (port !== undefined && !(Number.isInteger(port) && port > 0 && port < 65536)) {
      usage(`--port ${values.port}: this is not a port number.`);
    }
    return { host: values.host ?? '127.0.0.1', port };
  } catch (error) {
    return usage(error instanceof Error ? error.message : String(error));
  }
}

const { host, port } = readArguments();
try {
  await ensureWasm(true);
} catch (error) {
  // The tool has said what is wrong.
  console.error(error instanceof Error ? error.message : String(error));
  process.exit(1);
}
const guest = await buildGuest((line) => console.log(line));
if (!guest.ok) {
  console.log(
    `\nThere is no default guest: ${guest.error}\nThe page is served without it and takes a kernel and an initrd from you.`,
  );
}
// A port that was asked for is the one that is wanted; else the next free one will do.
const server = await createServer({
  root,
  server: { host, ...(port === undefined ? {} : { port, strictPort: true }) },
  clearScreen: false,
});
try {
  await server.listen();
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exit(1);
}
const urls = [...(server.resolvedUrls?.local ?? []), ...(server.resolvedUrls?.network ?? [])];
console.log(`\nVirtab is ready: ${urls.join('  ')}\nCtrl-C ends it.`);
