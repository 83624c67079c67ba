import { describe, expect, it } from 'vitest';
import { FakeOpfs } from '../fake-opfs.ts';
import type { FakeOpfsOptions, Fault } from '../fake-opfs.ts';
import { pattern } from '../driver-contract.ts';
import { setSize, SyncFileIo } from './sync-file.ts';
import type { SyncFile } from './sync-file.ts';

interface Rig {
  readonly opfs: FakeOpfs;
  readonly file: SyncFile;
  readonly io: SyncFileIo;
}

async function rig(bytes: number, options: FakeOpfsOptions = {}): Promise<Rig> {
  const opfs = new FakeOpfs(options);
  opfs.put('disk', pattern(bytes));
  const file = await (await opfs.getFileHandle('disk')).createSyncAccessHandle();
  return { opfs, file, io: new SyncFileIo(file, true) };
}

/** Every other 4 KiB of one memory, so that no two are neighbours. */
function scattered(count: number, bytes = 4096): Uint8Array[] {
  const memory = new Uint8Array(new SharedArrayBuffer(count * bytes * 2));
  return Array.from({ length: count }, (_, index) =>
    memory.subarray(index * 2 * bytes, (index * 2 + 1) * bytes),
  );
}

function transfer(io: SyncFileIo, kind: 'read' | 'write', offset: number, segments: Uint8Array[]): string {
  const length = segments.reduce((sum, segment) => sum + segment.length, 0);
  const { status, problem } = io.run({ kind, offset, length, segments });
  return problem === undefined ? status : `${status}: ${problem}`;
}

describe('faults', () => {
  it.each<[string, 'read' | 'write', Fault[], string]>([
    [
      'a read that fails',
      'read',
      ['fail'],
      'io-error: The browser failed while reading: UnknownError: The disk is broken.',
    ],
    ['a short read goes on where it stopped', 'read', ['short'], 'ok'],
    ['reads that stay short go on while there is progress', 'read', ['short', 'short', 'short'], 'ok'],
    ['reads of nothing', 'read', ['nothing', 'nothing'], 'io-error: The browser read 0 of 4096 bytes at 0.'],
    [
      'a write that fails',
      'write',
      ['fail'],
      'io-error: The browser failed while writing: UnknownError: The disk is broken.',
    ],
    [
      'a write without room',
      'write',
      ['quota'],
      'no-space: The browser failed while writing: QuotaExceededError: No space available for this operation.',
    ],
    ['a short write is tried again', 'write', ['short'], 'ok'],
    [
      'a short write, then no room',
      'write',
      ['short', 'quota'],
      'no-space: The browser failed while writing: QuotaExceededError: No space available for this operation.',
    ],
    [
      'a short write, then nothing',
      'write',
      ['short', 'nothing'],
      'io-error: The browser wrote 2048 of 4096 bytes at 0.',
    ],
  ])('%s', async (_text, kind, faults, expected) => {
    const { opfs, io } = await rig(65_536);
    opfs.contents('disk').faults[kind].push(...faults);
    const buffer = pattern(4096, kind === 'read' ? 77 : 0);
    expect(transfer(io, kind, 0, [buffer])).toBe(expected);
  });

  it('gives the right data after short reads', async () => {
    const { opfs, io } = await rig(65_536);
    opfs.contents('disk').faults.read.push('short', 'nothing', 'short');
    const target = new Uint8Array(4096);
    expect(transfer(io, 'read', 512, [target])).toBe('ok');
    expect(target).toEqual(pattern(65_536).slice(512, 4608));
  });

  it('makes a flush that fails an error', async () => {
    const { opfs, io } = await rig(4096);
    opfs.contents('disk').faults.flush.push('fail');
    expect(io.flush().status).toBe('io-error');
    expect(io.flush().status).toBe('ok');
  });

  it('makes an error of every call on a closed file', async () => {
    const { io } = await rig(4096);
    expect(io.close().status).toBe('ok');
    expect(transfer(io, 'read', 0, [new Uint8Array(512)])).toMatch(/^io-error: .*InvalidStateError/);
    expect(io.flush().status).toBe('io-error');
    expect(io.resize(8192).status).toBe('io-error');
  });
});

describe('copies', () => {
  it.each<[string, 'read' | 'write', number, number, number, number]>([
    ['one segment: in place', 'read', 1, 4096, 1, 0],
    ['small segments of a read: one call and a copy', 'read', 16, 4096, 1, 65_536],
    ['large segments of a read: a call each', 'read', 4, 65_536, 4, 0],
    ['small segments of a write: one call and a copy', 'write', 16, 4096, 1, 65_536],
    ['middling segments of a write: one call and a copy', 'write', 4, 65_536, 1, 262_144],
    ['large segments of a write: a call each', 'write', 2, 524_288, 2, 0],
  ])('%s', async (_text, kind, count, bytes, calls, copiedBytes) => {
    const { opfs, io } = await rig(2 * 1024 * 1024);
    expect(transfer(io, kind, 0, scattered(count, bytes))).toBe('ok');
    expect(opfs.contents('disk').calls).toHaveLength(calls);
    expect(io.copied.copiedBytes).toBe(copiedBytes);
  });
});

describe('setSize', () => {
  it('sets it', async () => {
    const { file } = await rig(4096);
    expect(setSize(file, 8192).status).toBe('ok');
    expect(file.getSize()).toBe(8192);
  });

  it('has no space beyond the quota', async () => {
    const { file } = await rig(4096, { quotaBytes: 8192 });
    expect(setSize(file, 16_384).status).toBe('no-space');
  });

  it('notices that a private window did nothing', async () => {
    const { file } = await rig(4096, { quotaBytes: 8192, privateWindow: true });
    expect(setSize(file, 16_384)).toEqual({
      status: 'no-space',
      problem: 'The browser refused to make the file 16384 bytes long.',
    });
  });
});
