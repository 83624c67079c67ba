import { expect, it } from 'vitest';
import { describeInfo, sizeText } from './describe.ts';
import type { LatencyInfo, MachineInfo, MediumInfo } from './info.ts';

const NO_LATENCY: LatencyInfo = { count: 0, p50: 0, p90: 0, p99: 0, p999: 0, max: 0 };
const LATENCY: LatencyInfo = { count: 9, p50: 20, p90: 30, p99: 40, p999: 41, max: 42 };

const MEDIUM: MediumInfo = {
  name: 'root.img',
  format: 'raw',
  sizeBytes: 1 << 20,
  readOnly: false,
  aio: 'opfs',
  aioReason: 'It was asked for.',
  cache: 'writeback',
  writeCache: true,
  discardGranularity: 0,
  paused: true,
  dirty: false,
  lastProblem: 'The browser failed.',
  driver: {
    operations: 4,
    flushes: 1,
    flushesSkipped: 1,
    copies: 2,
    copiedBytes: 8192,
    readBytes: 4096,
    writtenBytes: 512,
    errors: 1,
    pauses: 1,
    deepest: 1,
    latency: LATENCY,
    flushLatency: NO_LATENCY,
  },
  queues: [
    {
      name: 'virtio-blk0',
      priority: 'guest',
      inFlight: 3,
      reads: 1,
      writes: 2,
      flushes: 1,
      discards: 0,
      zeroes: 0,
      readBytes: 4096,
      writtenBytes: 512,
      merges: 1,
      errors: 1,
      cancelled: 0,
      latency: LATENCY,
    },
  ],
};

const INFO: MachineInfo = {
  jit: {
    regions: 618,
    modules: 253,
    bytes: 2 << 20,
    instructions: 33_000,
    liveRegions: 600,
    liveModules: 250,
    liveBytes: 1 << 20,
    evicted: 1,
    dropped: 3,
    retranslated: 76,
    merged: 15,
    postponed: 131,
    queue: 2,
    longestQueue: 8,
    turns: 248,
    translateMs: 300.4,
    compileMs: 200.2,
    requestMs: 4,
    installMs: 40,
  },
  disks: [{ drive: 'd0', medium: MEDIUM }, { drive: 'd1' }],
  net: [],
  ioeventfd: [
    {
      device: 'virtio-blk0',
      setting: 'auto',
      enabled: true,
      reason: 'There is a core for it.',
      synchronousKicks: 2,
      synchronousExits: 5,
      queues: [
        {
          queue: 0,
          state: 'assigned',
          lacksSlot: false,
          kicks: 100,
          notifies: 7,
          chains: 120,
          interrupts: 60,
          suppressed: 3,
        },
      ],
    },
  ],
  iothreads: [
    { name: 'disk', wakeups: 5, pollHits: 1, doorbells: 6, exits: 7, waitedMs: 750, aliveMs: 1000 },
  ],
  exits: [
    {
      name: 'com1',
      served: 'vcpu',
      space: 'port',
      start: 0x3f8,
      size: 8,
      reads: 10,
      writes: 30,
      nanoseconds: 8000,
    },
    {
      name: 'virtio-blk0 kick',
      served: 'ordered',
      space: 'thread',
      start: 33,
      size: 0,
      reads: 0,
      writes: 5,
      nanoseconds: 500_000,
    },
    {
      name: 'virtio-blk0 kick',
      served: 'posted',
      space: 'thread',
      start: 33,
      size: 0,
      reads: 0,
      writes: 7,
      nanoseconds: 0,
    },
    {
      name: 'lapic',
      served: 'vcpu',
      space: 'memory',
      start: 0xfee00000,
      size: 4096,
      reads: 0,
      writes: 2,
      nanoseconds: 2_000_000,
    },
    {
      name: 'rtc',
      served: 'vcpu',
      space: 'port',
      start: 0x70,
      size: 2,
      reads: 0,
      writes: 0,
      nanoseconds: 0,
    },
  ],
};

it.each([
  [
    'block',
    `d0: root.img, raw, 1 MiB, read-write, PAUSED
    aio=opfs: It was asked for.
    cache=writeback, write cache on, discard not possible
    guest virtio-blk0: 3 in flight
    last problem: The browser failed.

d1: no medium`,
  ],
  [
    'aio',
    `d0, driver opfs: 4 operations, at most 1 at once, 4 KiB read, 512 bytes written, 2 copies of 8 KiB, 1 errors, 1 pauses
    latency p50 20 p90 30 p99 40 p99.9 41 max 42 us
    1 flushes (1 needed none) -
    virtio-blk0: 1 reads, 2 writes, 1 flushes, 0 discards, 0 zeroes, 1 merged, 1 errors, 0 cancelled
        latency p50 20 p90 30 p99 40 p99.9 41 max 42 us`,
  ],
  [
    'ioeventfd',
    `virtio-blk0: ioeventfd=auto, on: There is a core for it.
    the vCPU waited 2 times for a look at a queue, 5 times for anything else
    queue 0: assigned, 100 kicks, 7 of them woke the thread, 120 chains, 60 interrupts, 3 suppressed`,
  ],
  [
    'exits',
    `device            at         served   reads  writes  ns each   ms
lapic             fee00000   vcpu         0       2  1000000  2.0
virtio-blk0 kick  thread 21  ordered      0       5   100000  0.5
com1              port 3f8   vcpu        10      30      200  0.0
virtio-blk0 kick  thread 21  posted       0       7        -    -`,
  ],
  ['network', 'There are no network cards.'],
  [
    'stats',
    `iothread disk: 5 sleeps, 1 spared by polling, 6 doorbells served, 7 exits answered
    not waiting 250 ms of 1000 (25 %)`,
  ],
  [
    'jit',
    `translated: 33000 instructions in 618 regions, 253 modules, 2 MiB
installed: 600 regions, 250 modules, 1 MiB; 1 modules evicted
pages: 2 waiting (8 at most), 3 dropped as they had changed, 76 translated again after a change, 15 merged; 131 hot blocks postponed
time on the compile worker: 300 ms translating, 200 ms compiling; on the vCPU's: 4 ms asking, 40 ms installing, 248 turns`,
  ],
] as const)('info %s', (topic, text) => {
  expect(describeInfo(INFO, topic)).toBe(text);
});

it.each([
  [0, '0 bytes'],
  [512, '512 bytes'],
  [4096, '4 KiB'],
  [1_572_864, '1.5 MiB'],
  [2 ** 31, '2 GiB'],
])('%d is %s', (bytes, text) => {
  expect(sizeText(bytes)).toBe(text);
});

it('says that nothing was translated', () => {
  expect(describeInfo({ ...INFO, jit: undefined }, 'jit')).toBe('Nothing has been translated.');
});

it('in a profile says where the time went, and lists the hottest regions with what they hold', () => {
  const region = { mode: 6, kind: '64-bit', wanted: [], installedAt: 0 };
  const profile = {
    samples: 200,
    ms: 1400,
    halted: 20,
    interpreted: 30,
    gone: 0,
    regions: [
      {
        ...region,
        page: 0x1cbd3000,
        linear: 'ffffffff8b7d3000',
        samples: 100,
        leaders: [1, 2, 3],
        entries: [1, 2, 0x10, 0x20, 0x30, 0x40, 0x50],
        instructions: 158,
      },
      {
        ...region,
        page: 0x431c000,
        linear: '0431c000',
        samples: 50,
        leaders: [0],
        entries: [0],
        instructions: 7,
      },
    ],
  };
  expect(describeInfo({ ...INFO, profile, jit: undefined }, 'jit')).toBe(
    `Nothing has been translated.

looked 200 times in 1.4 s: 10.0 % halted, 15.0 % interpreter and devices, 0.0 % regions that have gone, 75.0 % in 2 regions
page      seen at             time  seconds    mode  blocks  instructions                entries
1cbd3000  ffffffff8b7d3000  50.0 %     0.70  64-bit       3           158  1 2 10 20 30 40 and 1
431c000   0431c000          25.0 %     0.35  64-bit       1             7                      0`,
  );
});
