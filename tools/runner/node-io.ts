/** A thread that owns devices under Node: what src/workers/io.ts is in the browser. Images are files of the host. */
import { randomFillSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { parentPort } from 'node:worker_threads';
import { expose } from 'comlink';
import nodeEndpoint from 'comlink/dist/esm/node-adapter.mjs';
import { failure } from '../../src/base/result.ts';
import { createIoControl } from '../../src/workers/io-control.ts';
import { nodeDirectory } from './node-files.ts';
import { nodeLocks } from './node-locks.ts';
import { printDirectly } from './node-print.ts';

const port = parentPort;
if (port === null) throw new Error('node-io.ts runs in a worker thread');
printDirectly();

expose(
  createIoControl({
    // The probe's file has no business beside the user's images.
    openDirectory: () => {
      const folder = mkdtempSync(join(tmpdir(), 'virtab-'));
      process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
      const pathOf = (name: string): string =>
        isProbe(name) && !isAbsolute(name) ? join(folder, name) : name;
      return Promise.resolve({
        getFileHandle: (name, options) => nodeDirectory.getFileHandle(pathOf(name), options),
        removeEntry: (name) => nodeDirectory.removeEntry(pathOf(name)),
      });
    },
    locks: nodeLocks,
    cores: availableParallelism(),
    startHelpers: () => Promise.resolve(failure('Under Node one thread does the work of a disk.')),
    readableFile: () => {
      throw new Error('there are no dropped files here');
    },
    fillRandom: (bytes) => void randomFillSync(bytes),
    report: (event) => port.postMessage({ ioEvent: event }),
  }),
  nodeEndpoint(port),
);

function isProbe(name: string): boolean {
  return name.startsWith('.virtab-probe');
}
