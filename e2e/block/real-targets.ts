/** The drivers over real files, for the contract. */
import { MIB } from '../../src/base/units.ts';
import type { BlockDriver } from '../../src/block/block-driver.ts';
import { allocator } from '../../src/block/driver-contract.ts';
import type { ContractMedium, ContractTarget } from '../../src/block/driver-contract.ts';
import { CachedRangesDriver } from '../../src/block/drivers/cached-ranges.ts';
import { fileSource } from '../../src/block/drivers/file-source.ts';
import { MemoryDriver } from '../../src/block/drivers/memory.ts';
import { OpfsDriver } from '../../src/block/drivers/opfs.ts';
import { createPortMemory } from '../../src/block/drivers/thread-port.ts';
import { ThreadsDriver } from '../../src/block/drivers/threads.ts';
import { diskFolder, startHelpers } from './real-storage.ts';
import type { TargetName } from './messages.ts';

const THREADS = 3;
let files = 0;

async function makeFile(contents: Uint8Array): Promise<string> {
  const name = `contract-${files++}`;
  const handle = await (await diskFolder()).getFileHandle(name, { create: true });
  const file = await handle.createSyncAccessHandle({ mode: 'readwrite' });
  file.truncate(0);
  file.write(contents, { at: 0 });
  file.close();
  return name;
}

async function remove(name: string): Promise<void> {
  await (await diskFolder()).removeEntry(name);
}

async function atOnce(): Promise<void> {}

function sharedMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(32 * MIB);
}

async function opfs(contents: Uint8Array): Promise<ContractMedium> {
  const name = await makeFile(contents);
  return {
    async open() {
      const handle = await (await diskFolder()).getFileHandle(name);
      return new OpfsDriver(await handle.createSyncAccessHandle({ mode: 'readwrite' }), { readOnly: false });
    },
    memory: allocator(sharedMemory()),
    wait: atOnce,
    dispose: () => remove(name),
  };
}

async function threads(contents: Uint8Array): Promise<ContractMedium> {
  const name = await makeFile(contents);
  const memory = sharedMemory();
  const wake = new SharedArrayBuffer(4);
  const word = new Int32Array(wake);
  let driver: ThreadsDriver | undefined;
  return {
    async open(): Promise<BlockDriver> {
      const port = createPortMemory();
      driver = new ThreadsDriver({ port, memory, threads: THREADS, readOnly: false });
      const lost = (): void => {};
      const started = await startHelpers(
        { port, memory, name, mode: 'readwrite-unsafe', threads: THREADS, readOnly: false, lost },
        wake,
      );
      if (!started.ok) throw new Error(started.error);
      return driver;
    },
    memory: allocator(memory),
    // As the disk's thread does: it sleeps until a helper wakes it.
    async wait() {
      const seen = Atomics.load(word, 0);
      driver?.poll();
      Atomics.wait(word, 0, seen, 5);
      driver?.poll();
    },
    dispose: () => remove(name),
  };
}

async function memory(contents: Uint8Array): Promise<ContractMedium> {
  return {
    async open() {
      const driver = new MemoryDriver({ sizeBytes: contents.length, limitBytes: 64 * MIB, readOnly: false });
      const { length } = contents;
      driver.submit({ kind: 'write', offset: 0, length, segments: [contents], unmap: false, done: () => {} });
      return driver;
    },
    memory: allocator(sharedMemory()),
    wait: atOnce,
    dispose: atOnce,
  };
}

async function file(contents: Uint8Array): Promise<ContractMedium> {
  const dropped = new File([Uint8Array.from(contents)], 'debian.img');
  return {
    async open() {
      const source = fileSource({
        name: dropped.name,
        size: dropped.size,
        readSync: (start, end) => new FileReaderSync().readAsArrayBuffer(dropped.slice(start, end)),
      });
      return new CachedRangesDriver(source, { name: 'file', cacheBytes: 4 * MIB });
    },
    memory: allocator(sharedMemory()),
    wait: atOnce,
    dispose: atOnce,
  };
}

export const TARGETS: Readonly<Record<TargetName, ContractTarget>> = {
  opfs: { name: 'opfs', readOnly: false, persistent: true, create: opfs },
  threads: { name: 'threads', readOnly: false, persistent: true, create: threads },
  memory: { name: 'memory', readOnly: false, persistent: false, create: memory },
  file: { name: 'file', readOnly: true, persistent: false, create: file },
};
