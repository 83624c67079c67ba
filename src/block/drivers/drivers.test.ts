import { describe, expect, it } from 'vitest';
import { MIB } from '../../base/units.ts';
import type { ContractTarget } from '../driver-contract.ts';
import { allocator, contractCasesFor, runContractCase } from '../driver-contract.ts';
import { FakeOpfs } from '../fake-opfs.ts';
import type { FakeOpfsOptions } from '../fake-opfs.ts';
import { CachedRangesDriver } from './cached-ranges.ts';
import { fileSource } from './file-source.ts';
import { MemoryDriver } from './memory.ts';
import { OpfsDriver } from './opfs.ts';
import { createPortMemory, PortViews, STOP } from './thread-port.ts';
import { ThreadServer } from './thread-server.ts';
import { ThreadsDriver } from './threads.ts';
import { Random } from '../random.ts';

const atOnce = async (): Promise<void> => {};

function separate(bytes: number): Uint8Array {
  return new Uint8Array(new SharedArrayBuffer(bytes));
}

function opfsTarget(name: string, options: FakeOpfsOptions): ContractTarget {
  return {
    name,
    readOnly: false,
    persistent: true,
    async create(contents) {
      const opfs = new FakeOpfs(options);
      opfs.put('disk', contents);
      const file = await opfs.getFileHandle('disk');
      return {
        open: async () => new OpfsDriver(await file.createSyncAccessHandle(), { readOnly: false }),
        memory: separate,
        wait: atOnce,
        dispose: atOnce,
      };
    },
  };
}

/** Helpers that take turns at random on one thread. `inPlace`: the tests use the memory that the helpers know. */
function threadsTarget(
  name: string,
  options: FakeOpfsOptions,
  threads: number,
  inPlace: boolean,
): ContractTarget {
  return {
    name,
    readOnly: false,
    persistent: true,
    async create(contents) {
      const opfs = new FakeOpfs(options);
      opfs.put('disk', contents);
      const file = await opfs.getFileHandle('disk');
      const random = new Random(contents.length);
      const memory = new SharedArrayBuffer(inPlace ? 32 * MIB : 64);
      const open: { driver?: ThreadsDriver; servers: ThreadServer[]; control?: Int32Array } = { servers: [] };
      return {
        async open() {
          const port = createPortMemory();
          const driver = new ThreadsDriver({ port, memory, threads, readOnly: false });
          open.driver = driver;
          open.control = new PortViews(port).control;
          for (let index = 0; index < threads; index++) {
            const handle = await file.createSyncAccessHandle({ mode: 'readwrite-unsafe' });
            const sharedViews = options.sharedViews !== false;
            open.servers.push(
              new ThreadServer({ port, memory, file: handle, readOnly: false, sharedViews, wake: () => {} }),
            );
          }
          return driver;
        },
        memory: inPlace ? allocator(memory) : separate,
        async wait() {
          if (open.control?.[STOP] === 1) for (const server of open.servers.splice(0)) server.finish();
          else random.pick(open.servers).step();
          open.driver?.poll();
        },
        dispose: atOnce,
      };
    },
  };
}

function memoryTarget(): ContractTarget {
  return {
    name: 'memory',
    readOnly: false,
    persistent: false,
    create: async (contents) => ({
      open: async () => {
        const driver = new MemoryDriver({
          sizeBytes: contents.length,
          limitBytes: 64 * MIB,
          readOnly: false,
        });
        driver.submit({
          kind: 'write',
          offset: 0,
          length: contents.length,
          segments: [contents],
          unmap: false,
          done: (status) => expect(status).toBe('ok'),
        });
        return driver;
      },
      memory: separate,
      wait: atOnce,
      dispose: atOnce,
    }),
  };
}

function fileTarget(): ContractTarget {
  return {
    name: 'file',
    readOnly: true,
    persistent: false,
    create: async (contents) => ({
      open: async () => {
        const source = fileSource({
          name: 'debian.img',
          size: contents.length,
          readSync: (start, end) => Uint8Array.from(contents.subarray(start, end)).buffer,
        });
        return new CachedRangesDriver(source, { name: 'file', cacheBytes: 2 * MIB });
      },
      memory: separate,
      wait: atOnce,
      dispose: atOnce,
    }),
  };
}

describe.each([
  opfsTarget('opfs', {}),
  opfsTarget('opfs without shared views', { sharedViews: false }),
  threadsTarget('threads', {}, 4, true),
  threadsTarget('threads on memory of others', {}, 4, false),
  threadsTarget('threads without shared views', { sharedViews: false }, 2, true),
  memoryTarget(),
  fileTarget(),
])('driver $name', (target) => {
  it.each(contractCasesFor(target))('$name', async (contractCase) => {
    await expect(runContractCase(target, contractCase)).resolves.toBeUndefined();
  });
});
