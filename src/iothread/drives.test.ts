/** What the user does with drives while the guest runs. The disks are real; their files and locks are faithful fakes. */
import { describe, expect, it } from 'vitest';
import type { BlockStatus } from '../block/block-backend.ts';
import { FakeLocks } from '../block/fake-locks.ts';
import { FakeOpfs } from '../block/fake-opfs.ts';
import { TestSource } from '../block/test-source.ts';
import { DRIVE_DEFAULTS } from '../config/device-options.ts';
import type { DriveConfig } from '../config/devices.ts';
import type { IoEvent } from '../control/io-control.ts';
import { Drives } from './drives.ts';

const KIB = 1024;

function board() {
  const opfs = new FakeOpfs();
  const locks = new FakeLocks();
  const events: IoEvent[] = [];
  const drives = new Drives({
    disks: {
      facts: {
        syncHandles: true,
        unsafeHandles: false,
        privateWindow: false,
        cores: 2,
        readMicroseconds: 5,
        problem: '',
      },
      directory: opfs,
      locks,
      lockOptions: { waitMs: 20 },
      memory: new SharedArrayBuffer(64),
      memoryLimitBytes: 1 << 20,
      startHelpers: async () => ({ ok: false, error: 'no helpers' }),
      now: () => 0,
      defer: () => {},
      isWanted: () => false,
      isGuestHalted: () => false,
    },
    files: {},
    readableFile: (file) => ({ name: file.name, size: file.size, readSync: () => new ArrayBuffer(0) }),
    report: (event) => events.push(event),
  });
  return { drives, opfs, locks, events };
}

function drive(id: string, config: Partial<DriveConfig> = {}): DriveConfig {
  return { ...DRIVE_DEFAULTS, interface: 'none', id, ...config };
}

/** The guest's queue on a drive. */
function guestOf(drives: Drives, id: string): TestSource {
  const source = new TestSource();
  source.client = drives.get(id)!.attach(source, 'virtio-blk0');
  return source;
}

function rested(drives: Drives): () => boolean {
  let isOver = false;
  drives.rest(() => {
    isOver = true;
  });
  return () => isOver;
}

const image = (name: string) => ({ kind: 'image', name }) as const;

describe('drives', () => {
  it('takes an image that the guest then sees, and gives its lock back when it is ejected', async () => {
    const { drives, opfs, locks } = board();
    opfs.put('a.img', new Uint8Array(64 * KIB));
    await drives.add(drive('d'));
    const sizes: number[] = [];
    drives.get('d')!.onResize(() => sizes.push(drives.get('d')!.properties.sizeBytes));
    const attached = await drives.command({
      kind: 'attach',
      drive: 'd',
      medium: image('a.img'),
      readOnly: false,
    });
    const held = locks.heldNames;
    const ejected = await drives.command({ kind: 'eject', drive: 'd' });
    expect([attached.ok, held.length, ejected.ok, locks.heldNames.length, sizes]).toEqual([
      true,
      1,
      true,
      0,
      [64 * KIB, 0],
    ]);
  });

  it('grows a disk in its file, and tells the guest', async () => {
    const { drives, opfs } = board();
    await drives.add(drive('d', { file: 'a.img', sizeBytes: 64 * KIB }));
    const sizes: number[] = [];
    drives.get('d')!.onResize(() => sizes.push(drives.get('d')!.properties.sizeBytes));
    const grown = await drives.command({ kind: 'resize', drive: 'd', bytes: 128 * KIB });
    expect([grown.ok, sizes, opfs.contents('a.img').data.length]).toEqual([true, [128 * KIB], 128 * KIB]);
  });

  it.each([
    ['a file', { kind: 'file', file: new File(['x'.repeat(512)], 'a.iso') }, false],
    ['an image that is to be read only', image('a.img'), true],
  ] as const)(
    'refuses %s where the guest would take it for writable, and opens nothing',
    async (_what, medium, readOnly) => {
      const { drives, locks, opfs } = board();
      opfs.put('a.img', new Uint8Array(512));
      await drives.add(drive('d'));
      expect(await drives.command({ kind: 'attach', drive: 'd', medium, readOnly })).toEqual({
        ok: false,
        error:
          'The guest takes the drive “d” for a disk that can be written; a read-only medium needs one with readonly=on.',
      });
      expect([locks.heldNames, drives.get('d')!.medium]).toEqual([[], undefined]);
    },
  );

  it('opens every medium of a read-only drive for reading', async () => {
    const { drives, opfs } = board();
    opfs.put('a.img', new Uint8Array(512));
    await drives.add(drive('d', { readOnly: true }));
    await drives.command({ kind: 'attach', drive: 'd', medium: image('a.img'), readOnly: false });
    const guest = guestOf(drives, 'd');
    guest.add('w', 'write');
    guest.client.kick();
    expect([drives.get('d')!.properties.readOnly, guest.statuses]).toEqual([true, ['w unsupported']]);
  });

  it('refuses a second medium, an unknown drive, and an image that is not there', async () => {
    const { drives, opfs } = board();
    opfs.put('a.img', new Uint8Array(512));
    await drives.add(drive('d', { file: 'a.img' }));
    await drives.add(drive('e'));
    const attach = (id: string, name: string) =>
      drives.command({ kind: 'attach', drive: id, medium: image(name), readOnly: false });
    const results = [await attach('d', 'a.img'), await attach('f', 'a.img'), await attach('e', 'b.img')];
    expect(results.map((result) => (result.ok ? '' : result.error))).toEqual([
      'There is a medium in the drive “d” already. Eject it first.',
      'There is no drive “f”.',
      'There is no disk “b.img”. Create it with a size, or choose another.',
    ]);
  });

  it('rests when every disk has flushed what was written', async () => {
    const { drives, opfs } = board();
    await drives.add(drive('a', { file: 'a.img', sizeBytes: 64 * KIB }));
    await drives.add(drive('b'));
    const guest = guestOf(drives, 'a');
    guest.add('w', 'write').segments[0]!.fill(7);
    guest.client.kick();
    const isAtRest = rested(drives);
    expect([isAtRest(), guest.statuses, opfs.contents('a.img').durable[0]]).toEqual([true, ['w ok'], 7]);
  });

  it('rests with a disk that has stopped for want of room, and keeps its request for the resume', async () => {
    const { drives, opfs, events } = board();
    await drives.add(drive('a', { file: 'a.img', sizeBytes: 64 * KIB }));
    await drives.add(drive('b', { file: 'b.img', sizeBytes: 64 * KIB }));
    const [first, second] = [guestOf(drives, 'a'), guestOf(drives, 'b')];
    opfs.contents('a.img').faults.write.push('quota');
    first.add('w', 'write');
    first.client.kick();
    second.add('w', 'write').segments[0]!.fill(7);
    second.client.kick();
    const isAtRest = rested(drives);
    expect([isAtRest(), events.map(({ kind }) => kind), first.statuses]).toEqual([true, ['disk-paused'], []]);
    expect(opfs.contents('b.img').durable[0]).toBe(7);
    drives.resume();
    expect(first.statuses).toEqual(['w ok']);
  });

  it('rests without drives', () => {
    expect(rested(board().drives)()).toBe(true);
  });

  it('closes all disks and says which one could not be flushed', async () => {
    const { drives, opfs, locks } = board();
    await drives.add(drive('a', { file: 'a.img', sizeBytes: 64 * KIB }));
    await drives.add(drive('b', { file: 'b.img', sizeBytes: 64 * KIB }));
    const guest = guestOf(drives, 'a');
    const statuses: BlockStatus[] = [];
    guest.onComplete = (_name, status) => statuses.push(status);
    guest.add('w', 'write');
    guest.client.kick();
    opfs.contents('a.img').faults.flush.push('fail', 'fail');
    const closed = await drives.close();
    expect([statuses, closed]).toEqual([
      ['ok'],
      { ok: false, error: 'The close of the disk “a” failed: io-error.' },
    ]);
    expect(locks.heldNames).toEqual([]);
  });
});
