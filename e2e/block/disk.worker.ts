/** The disk's thread of the test page. */
import { success } from '../../src/base/result.ts';
import { KIB, MIB } from '../../src/base/units.ts';
import { openAio } from '../../src/block/aio.ts';
import type { BlockOperation, BlockStatus } from '../../src/block/block-backend.ts';
import type { BlockDriver } from '../../src/block/block-driver.ts';
import { BlockQueue } from '../../src/block/block-queue.ts';
import { contractCasesFor, pattern, runContractCase } from '../../src/block/driver-contract.ts';
import { openDisk } from '../../src/block/open-disk.ts';
import type { OpenDisk } from '../../src/block/open-disk.ts';
import { Random } from '../../src/block/random.ts';
import { probeStorage } from '../../src/block/storage-facts.ts';
import type { StorageFacts } from '../../src/block/storage-facts.ts';
import { TestSource } from '../../src/block/test-source.ts';
import { diskFolder, startHelpers } from './real-storage.ts';
import { TARGETS } from './real-targets.ts';
import type { Answer, Call, CaseResult, DiskCommands, SpeedAnswer, WriteAnswer } from './messages.ts';

const memory = new SharedArrayBuffer(64 * MIB);
const wake = new SharedArrayBuffer(4);
const wakeWord = new Int32Array(wake);
let disk: OpenDisk | undefined;
let source: TestSource | undefined;
let asked = 0;
/** Long enough to be no mistake, short enough for the suite. */
const LOAD_MS = 250;

async function facts(): Promise<StorageFacts> {
  return probeStorage({
    directory: await diskFolder(),
    cores: navigator.hardwareConcurrency,
    now: () => performance.now(),
    unique: crypto.randomUUID(),
  });
}

function theDisk(): OpenDisk {
  if (disk === undefined) throw new Error('no disk is open');
  return disk;
}

/** Sleeps as the disk's thread does, until something was done. */
function turn(ms: number): void {
  const seen = Atomics.load(wakeWord, 0);
  disk?.poll();
  disk?.backend.service();
  Atomics.wait(wakeWord, 0, seen, ms);
  disk?.poll();
}

function settle(): WriteAnswer {
  const { backend } = theDisk();
  const end = performance.now() + 20_000;
  while (source!.statuses.length < asked && backend.paused === undefined && performance.now() < end) turn(1);
  return {
    statuses: source!.statuses.map((text) => text.split(' ')[1] as BlockStatus),
    paused: backend.paused?.message ?? '',
  };
}

/** Keeps `depth` requests of 4 KiB in flight for a while. */
function load(aio: string, operation: BlockOperation, depth: number, sequential: boolean): SpeedAnswer {
  const { backend } = theDisk();
  const { sizeBytes } = backend.properties;
  const random = new Random(1);
  const blocks = sizeBytes / 4096;
  let next = 0;
  let done = 0;
  const free = Array.from({ length: depth }, (_, index) => new Uint8Array(memory, index * 8192, 4096));
  const end = performance.now() + LOAD_MS;
  const client = backend.attach(
    {
      next() {
        const buffer = performance.now() < end ? free.pop() : undefined;
        if (buffer === undefined) return undefined;
        const block = sequential ? next++ % blocks : random.below(blocks);
        return {
          operation,
          offset: block * 4096,
          length: 4096,
          segments: [buffer],
          unmap: false,
          complete() {
            done++;
            free.push(buffer);
          },
        };
      },
      batchDone: () => {},
    },
    'load',
  );
  const start = performance.now();
  while (performance.now() < end || client.inFlight > 0) {
    client.kick();
    if (free.length < depth || performance.now() < end) {
      const seen = Atomics.load(wakeWord, 0);
      disk?.poll();
      if (free.length === 0) Atomics.wait(wakeWord, 0, seen, 5);
      disk?.poll();
    }
  }
  const perSecond = (done / (performance.now() - start)) * 1000;
  const { p50, p99 } = backend.stats().queues.find((queue) => queue.name === 'load')!.latency;
  client.detach(() => {});
  return {
    name: `${aio} ${sequential ? 'sequential' : 'random'} ${operation} depth ${depth}`,
    perSecond,
    latency: `requests p50 ${p50} us, p99 ${p99} us`,
  };
}

/** The same reads straight from a handle: what the queue and the driver cost can be told from it. */
async function rawReads(name: string): Promise<SpeedAnswer> {
  const handle = await (await diskFolder()).getFileHandle(name);
  const file = await handle.createSyncAccessHandle({ mode: 'readwrite' });
  const random = new Random(1);
  const blocks = file.getSize() / 4096;
  const buffer = new Uint8Array(memory, 0, 4096);
  const start = performance.now();
  let done = 0;
  while (performance.now() < start + LOAD_MS) {
    file.read(buffer, { at: random.below(blocks) * 4096 });
    done++;
  }
  file.close();
  return { name: 'a bare handle, random read', perSecond: (done / LOAD_MS) * 1000, latency: '' };
}

/** A disk whose file grows as it is written, as an image format above it would have it: only so a write can lack room. */
function growingDisk(file: BlockDriver, sizeBytes: number): BlockDriver {
  return {
    name: file.name,
    copied: file.copied,
    init: (host, done) =>
      file.init(host, (result) => done(result.ok ? success({ ...result.value, sizeBytes }) : result)),
    submit: (operation) => file.submit(operation),
    flush: (done) => file.flush(done),
    cancel: (operation) => file.cancel(operation),
    resize: (_bytes, done) => done('unsupported'),
    close: (done) => file.close(done),
  };
}

const commands: DiskCommands = {
  probe: facts,

  async contract(target) {
    const results: CaseResult[] = [];
    for (const contractCase of contractCasesFor(TARGETS[target])) {
      let problem = '';
      try {
        await runContractCase(TARGETS[target], contractCase);
      } catch (error) {
        problem = error instanceof Error ? error.message : String(error);
      }
      results.push({ name: contractCase.name, problem });
    }
    return results;
  },

  async open(name, aio, createBytes, cores) {
    const directory = await diskFolder();
    const opened = await openDisk(
      {
        id: name,
        source: { kind: 'opfs', name },
        aio,
        cache: 'writeback',
        readOnly: false,
        ...(createBytes === 0 ? {} : { createBytes }),
      },
      {
        facts: { ...(await facts()), ...(cores === 0 ? {} : { cores }) },
        directory,
        memory,
        startHelpers: (request) => startHelpers(request, wake),
        memoryLimitBytes: 64 * MIB,
        locks: navigator.locks,
        lockOptions: { waitMs: 1000 },
        now: () => performance.now(),
        defer: () => Atomics.add(wakeWord, 0, 1),
        isWanted: () => false,
        isGuestHalted: () => false,
      },
    );
    if (!opened.ok) return { problem: opened.error, driver: '', reason: '', warning: '' };
    disk = opened.value;
    source = new TestSource();
    source.client = disk.backend.attach(source, 'q0');
    asked = 0;
    const { driver, driverReason } = disk.backend.properties;
    return { problem: '', driver, reason: driverReason, warning: disk.warning ?? '' };
  },

  async openSparse(name, aio, sizeBytes) {
    const directory = await diskFolder();
    await directory.getFileHandle(name, { create: true });
    const opened = await openAio(
      aio,
      {
        place: { kind: 'opfs', name, exists: true, sizeBytes: 0 },
        readOnly: false,
        cache: 'writeback',
      },
      {
        facts: { ...(await facts()), cores: 4 },
        directory,
        memory,
        startHelpers: (request) => startHelpers(request, wake),
        memoryLimitBytes: 64 * MIB,
      },
    );
    if (!opened.ok) throw new Error(opened.error);
    const { poll } = opened.value;
    const queues: BlockQueue[] = [];
    BlockQueue.open(
      {
        id: name,
        driver: growingDisk(opened.value.driver, sizeBytes),
        driverReason: '',
        format: 'sparse',
        cache: 'writeback',
        readOnly: false,
        now: () => performance.now(),
        defer: () => Atomics.add(wakeWord, 0, 1),
      },
      (result) => {
        if (result.ok) queues.push(result.value);
      },
    );
    while (queues.length === 0) {
      poll?.();
      Atomics.wait(wakeWord, 0, Atomics.load(wakeWord, 0), 1);
    }
    const backend = queues[0]!;
    disk = { backend, warning: undefined, poll: poll ?? (() => {}), close: (then) => backend.close(then) };
    source = new TestSource();
    source.client = backend.attach(source, 'q0');
    asked = 0;
  },

  async write(count, bytes, seed) {
    for (let index = 0; index < count; index++) {
      const request = source!.add(`w${asked++}`, 'write', index * bytes, bytes);
      request.segments[0]!.set(pattern(bytes, seed + index));
    }
    source!.client.kick();
    return settle();
  },

  async resume() {
    theDisk().backend.resume();
    return settle();
  },

  async verify(count, bytes, seed) {
    const targets = Array.from(
      { length: count },
      (_, index) => source!.add(`r${asked++}`, 'read', index * bytes, bytes).segments[0]!,
    );
    source!.client.kick();
    settle();
    return targets.every((target, index) => {
      const expected = pattern(bytes, seed + index);
      return target.every((value, at) => value === expected[at]);
    });
  },

  async close() {
    const closing = theDisk();
    const statuses: BlockStatus[] = [];
    closing.close((status) => statuses.push(status));
    const end = performance.now() + 5000;
    while (statuses.length === 0 && performance.now() < end) turn(1);
    disk = undefined;
    return statuses[0] ?? 'io-error';
  },

  async speed(aio) {
    const bytes = 64 * MIB;
    const opened = await commands.open(`speed-${aio}`, aio, bytes, 0);
    if (opened.problem !== '') throw new Error(opened.problem);
    await commands.write(bytes / (256 * KIB), 256 * KIB, 1);
    const answers = [
      load(aio, 'read', 1, false),
      load(aio, 'read', 16, false),
      load(aio, 'read', 16, true),
      load(aio, 'write', 1, false),
      load(aio, 'write', 16, false),
      load(aio, 'write', 16, true),
    ];
    await commands.close();
    answers.push(await rawReads(`speed-${aio}`));
    await (await diskFolder()).removeEntry(`speed-${aio}`);
    return answers;
  },
};

self.addEventListener('message', ({ data }: MessageEvent<Call>) => {
  const { id, command, args } = data;
  const run = commands[command] as (...values: readonly unknown[]) => Promise<unknown>;
  const reply = (answer: Answer): void => self.postMessage(answer);
  run(...args)
    .then((value) => reply({ id, value }))
    .catch((error: unknown) => reply({ id, error: String(error) }));
});
