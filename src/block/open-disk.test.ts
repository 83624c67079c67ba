import { describe, expect, it } from 'vitest';
import type { Result } from '../base/result.ts';
import { describeAioDrivers, findAioDriver } from './aio.ts';
import type { HelperRequest } from './aio.ts';
import type { BlockStatus } from './block-backend.ts';
import { CACHE_MODE_TEXTS, parseCacheMode } from './cache-mode.ts';
import { pattern } from './driver-contract.ts';
import { ThreadServer } from './drivers/thread-server.ts';
import { FakeLocks } from './fake-locks.ts';
import { FakeOpfs } from './fake-opfs.ts';
import type { FakeOpfsOptions } from './fake-opfs.ts';
import { openDisk } from './open-disk.ts';
import type { DiskEnvironment, DiskRequest, OpenDisk } from './open-disk.ts';
import type { StorageFacts } from './storage-facts.ts';
import { TestSource } from './test-source.ts';

const FACTS: StorageFacts = {
  syncHandles: true,
  unsafeHandles: true,
  privateWindow: false,
  cores: 2,
  readMicroseconds: 5,
  problem: '',
};

interface Browser extends DiskEnvironment {
  readonly opfs: FakeOpfs;
  readonly fakeLocks: FakeLocks;
}

function browser(facts: Partial<StorageFacts> = {}, options: FakeOpfsOptions = {}): Browser {
  const opfs = new FakeOpfs(options);
  const fakeLocks = new FakeLocks();
  return {
    opfs,
    fakeLocks,
    facts: { ...FACTS, ...facts },
    directory: opfs,
    locks: fakeLocks,
    lockOptions: { waitMs: 20 },
    memory: new SharedArrayBuffer(1024 * 1024),
    memoryLimitBytes: 64 * 1024 * 1024,
    startHelpers: (request) => startHelpers(opfs, request),
    now: () => 0,
    defer: () => {},
    isWanted: () => false,
    isGuestHalted: () => false,
  };
}

/** Helpers that work whenever the event loop turns. */
async function startHelpers(opfs: FakeOpfs, request: HelperRequest): Promise<Result<undefined>> {
  const { port, memory, readOnly } = request;
  const handle = await opfs.getFileHandle(request.name);
  const file = await handle.createSyncAccessHandle({ mode: request.mode });
  const server = new ThreadServer({ port, memory, file, readOnly, sharedViews: true, wake: () => {} });
  const timer = setInterval(() => {
    while (server.step());
  }, 1);
  timer.unref();
  return { ok: true, value: undefined };
}

function drive(request: Partial<DiskRequest> = {}): DiskRequest {
  return {
    id: 'disk0',
    source: { kind: 'opfs', name: 'sda' },
    aio: 'auto',
    cache: 'writeback',
    readOnly: false,
    ...request,
  };
}

async function opened(request: DiskRequest, environment: DiskEnvironment): Promise<OpenDisk> {
  const disk = await openDisk(request, environment);
  if (!disk.ok) throw new Error(disk.error);
  return disk.value;
}

async function problem(request: DiskRequest, environment: DiskEnvironment): Promise<string> {
  const disk = await openDisk(request, environment);
  return disk.ok ? 'opened' : disk.error;
}

function firstBytes(disk: OpenDisk, bytes: number): Promise<Uint8Array> {
  const source = new TestSource();
  const client = disk.backend.attach(source, 'q0');
  const request = source.add('r', 'read', 0, bytes);
  return new Promise((resolve) => {
    source.onComplete = () => resolve(request.segments[0]!);
    client.kick();
    const timer = setInterval(() => disk.poll(), 1);
    timer.unref();
  });
}

describe('openDisk', () => {
  it('opens an image in OPFS with the driver that suits, and says why', async () => {
    const here = browser();
    here.opfs.put('sda', pattern(8192));
    const disk = await opened(drive(), here);
    expect(disk.backend.properties).toEqual({
      id: 'disk0',
      sizeBytes: 8192,
      readOnly: false,
      blockSize: 512,
      physicalBlockSize: 4096,
      discardGranularity: 0,
      fastZeroes: false,
      format: 'raw',
      driver: 'opfs',
      driverReason: 'With 2 hardware threads, helper threads would take time from the guest.',
      cache: 'writeback',
    });
    expect(disk.warning).toBeUndefined();
    expect(await firstBytes(disk, 512)).toEqual(pattern(512));
  });

  it('opens it with helper threads on a machine with many cores', async () => {
    const here = browser({ cores: 8 });
    here.opfs.put('sda', pattern(8192));
    const disk = await opened(drive(), here);
    expect(disk.backend.properties).toMatchObject({ driver: 'threads', sizeBytes: 8192 });
    expect(await firstBytes(disk, 4096)).toEqual(pattern(4096));
  });

  it('falls back to one handle where threads cannot be had', async () => {
    const here = browser({ unsafeHandles: false });
    here.opfs.put('sda', pattern(8192));
    const disk = await opened(drive({ aio: 'threads' }), here);
    expect(disk.backend.properties).toMatchObject({
      driver: 'opfs',
      driverReason: 'threads was asked for, but this browser opens a file only once.',
    });
  });

  it('falls back to one handle where the helpers do not start', async () => {
    const here = browser({ cores: 8 });
    here.opfs.put('sda', pattern(8192));
    const broken = { ...here, startHelpers: async () => ({ ok: false as const, error: 'no workers' }) };
    const disk = await opened(drive(), broken);
    expect(disk.backend.properties.driverReason).toBe(
      'The helper threads did not start (no workers), so one thread does it.',
    );
  });

  it('makes the image if it was given a size', async () => {
    const here = browser();
    const disk = await opened(drive({ createBytes: 65_536 }), here);
    expect(disk.backend.properties.sizeBytes).toBe(65_536);
    expect(here.opfs.contents('sda').durable).toHaveLength(65_536);
  });

  it('keeps the size of an image that is there', async () => {
    const here = browser();
    here.opfs.put('sda', pattern(8192));
    const disk = await opened(drive({ createBytes: 65_536 }), here);
    expect(disk.backend.properties.sizeBytes).toBe(8192);
  });

  it('uses memory, with a warning, in a private window', async () => {
    const here = browser({ privateWindow: true });
    const disk = await opened(drive({ createBytes: 65_536 }), here);
    expect(disk.backend.properties).toMatchObject({ driver: 'memory', sizeBytes: 65_536 });
    expect(disk.warning).toMatch(/private window: what is written to this disk is lost/);
    expect(here.opfs.names).toEqual([]);
  });

  it('reads a dropped file in place', async () => {
    const file = {
      name: 'a.img',
      size: 1000,
      readSync: (start: number, end: number) => pattern(1000).slice(start, end).buffer,
    };
    const disk = await opened(drive({ source: { kind: 'file', file } }), browser());
    expect(disk.backend.properties).toMatchObject({ driver: 'file', readOnly: true, sizeBytes: 1024 });
    expect(disk.warning).toBe('A page cannot write to your file “a.img”, so the disk is read-only.');
    expect(await firstBytes(disk, 512)).toEqual(pattern(512));
  });

  it.each<[string, Partial<DiskRequest>, string]>([
    ['no image', {}, 'There is no disk “sda”. Create it with a size, or choose another.'],
    [
      'an unknown driver',
      { aio: 'io_uring', createBytes: 512 },
      'aio=io_uring does not exist. The drivers are auto, opfs, threads, file, memory.',
    ],
    [
      'a driver for other places',
      { aio: 'file', createBytes: 512 },
      'aio=file cannot open an image in the browser’s storage. aio=auto chooses a driver that can.',
    ],
    [
      'a disk in memory without a size',
      { source: { kind: 'memory' } },
      'The disk “disk0” is in memory and needs a size.',
    ],
    [
      'a size that is none',
      { createBytes: 100 },
      'A disk of 100 bytes is not possible: the size must be a multiple of 512, and not 0.',
    ],
  ])('refuses %s, and lets go of the disk', async (_text, request, message) => {
    const here = browser();
    expect(await problem(drive(request), here)).toBe(message);
    expect(here.fakeLocks.heldNames).toEqual([]);
  });

  it('refuses an empty image, and lets go of the file', async () => {
    const here = browser();
    here.opfs.put('sda', new Uint8Array(0));
    expect(await problem(drive(), here)).toMatch(/^The image is empty/);
    expect(here.opfs.contents('sda').open.size).toBe(0);
  });

  it('refuses a disk that another tab uses, until that one closes it', async () => {
    const here = browser();
    here.opfs.put('sda', pattern(8192));
    const first = await opened(drive(), here);
    expect(await problem(drive(), here)).toMatch(/^The disk “sda” is in use by another machine/);
    const statuses: BlockStatus[] = [];
    first.close((status) => statuses.push(status));
    expect(statuses).toEqual(['ok']);
    await new Promise((resolve) => setTimeout(resolve, 1));
    expect(await problem(drive(), here)).toBe('opened');
  });

  it('lets two machines read the same disk', async () => {
    const here = browser();
    here.opfs.put('sda', pattern(8192));
    const first = await opened(drive({ readOnly: true }), here);
    const second = await opened(drive({ readOnly: true }), here);
    expect(first.backend.properties.readOnly).toBe(true);
    expect(await firstBytes(second, 512)).toEqual(pattern(512));
  });
});

describe('names', () => {
  it('lists the drivers for aio=?', () => {
    expect(
      describeAioDrivers()
        .split('\n')
        .map((line) => line.split(' ')[0]),
    ).toEqual(['auto', 'opfs', 'threads', 'file', 'memory']);
  });

  it('finds drivers by name', () => {
    expect(findAioDriver('threads')).toMatchObject({ ok: true, value: { name: 'threads' } });
  });

  it('lists the cache modes for one that does not exist', () => {
    expect(parseCacheMode('directsync')).toEqual({
      ok: false,
      error: 'cache=directsync does not exist. The modes are writeback, writethrough, none, unsafe.',
    });
    expect(parseCacheMode('none')).toEqual({ ok: true, value: 'none' });
    expect(CACHE_MODE_TEXTS.none).toMatch(/cannot be bypassed/);
  });
});
