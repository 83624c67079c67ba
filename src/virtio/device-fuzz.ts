/**
 * Hostile drivers for tests: each device type behind rings that are often nearly right, with requests of random bytes.
 * Device-writable buffers lie in an area of their own, so everything else must be as it was afterwards, and
 * every chain that was taken must have come back. With `races`, rings and requests change while the device reads them.
 */
import { Hub } from '../net/hub.ts';
import { NO_OFFLOAD } from '../net/net-backend.ts';
import { pattern, TestReceiver } from '../net/test-frames.ts';
import { GuestMemory } from '../memory/guest-memory.ts';
import { TestDisk } from './blk/test-disk.ts';
import { VirtioBlk } from './blk/virtio-blk.ts';
import type { VirtioDevice } from './device.ts';
import { DeviceHost } from './device-host.ts';
import { DRIVER_OK } from './features.ts';
import { VirtioInterrupts } from './interrupts.ts';
import { MsixTable } from './msix.ts';
import { VirtioNet } from './net/virtio-net.ts';
import { VirtioState } from './state.ts';
import { Random } from './test-random.ts';
import type { TestRam } from './test-driver.ts';
import { VirtioConsole } from './virtio-console.ts';
import { VirtioRng } from './virtio-rng.ts';

export const DEVICE_FUZZ_RAM_BYTES = 0x10000;
const SIZE = 8;
/** Per queue: descriptors, available ring, used ring, tables. */
const QUEUE_STRIDE = 0x400;
const AVAIL_OFFSET = 0x80;
const USED_OFFSET = 0x100;
const TABLE_OFFSET = 0x200;
const REQUESTS = 0x4000;
const WRITABLE = 0x8000;

const NEXT = 1;
const WRITE = 2;
const INDIRECT = 4;

/** A device, and what its other side does between two kicks. */
interface Subject {
  readonly device: VirtioDevice;
  /** Bytes that make a request plausible. */
  readonly request: (random: Random, data: DataView, at: number) => void;
  readonly stir: (random: Random) => void;
  /** Lets everything that the device waits for happen. */
  readonly settle: () => void;
}

export const FUZZED_DEVICES = ['blk', 'net', 'console', 'rng'] as const;
export type FuzzedDevice = (typeof FUZZED_DEVICES)[number];

function subjectOf(kind: FuzzedDevice): Subject {
  switch (kind) {
    case 'blk':
      return blk();
    case 'net':
      return net();
    case 'console':
      return terminal();
    case 'rng':
      return {
        device: new VirtioRng({ name: 'rng', fill: (bytes) => bytes.fill(0xab) }),
        request: () => {},
        stir: () => {},
        settle: () => {},
      };
  }
}

function blk(): Subject {
  const disk = new TestDisk(16);
  return {
    device: new VirtioBlk({ name: 'blk', backend: disk.backend, queueSize: SIZE, queues: 2, serial: 'fuzz' }),
    request: (random, data, at) => {
      data.setUint32(at, random.pick([0, 0, 1, 4, 8, 11, 13, random.u32()]), true);
      data.setUint32(at + 8, random.chance(80) ? random.below(20) : random.u32(), true);
      data.setUint32(at + 12, random.chance(90) ? 0 : random.u32(), true);
    },
    stir: (random) => {
      disk.holds = random.chance(50);
      disk.bound = random.pick([1, 4, Infinity]);
      disk.status = random.pick(['ok', 'ok', 'io-error', 'no-space']);
      if (random.chance(50)) disk.release();
    },
    settle: () => {
      disk.holds = false;
      disk.bound = Infinity;
      disk.release();
    },
  };
}

function net(): Subject {
  const hub = new Hub();
  const wire = hub.connect(new TestReceiver(), 'wire');
  return {
    device: new VirtioNet({ name: 'net', backend: hub, mac: new Uint8Array(6), queueSize: SIZE, pairs: 2 }),
    request: (random, data, at) => {
      data.setUint8(at, random.pick([0, 1, 4, 5, random.below(256)]));
      data.setUint8(at + 1, random.pick([0, 1, 4, 0x81, random.below(256)]));
      data.setUint16(at + 4, random.pick([0, 60, 536, random.below(0x10000)]), true);
      data.setUint16(at + 6, random.pick([34, 54, random.below(0x10000)]), true);
      data.setUint16(at + 8, random.pick([16, 6, random.below(0x10000)]), true);
    },
    stir: (random) => {
      const count = random.below(4);
      for (let n = 0; n < count; n++)
        wire.send({ bytes: pattern(14 + random.below(600)), offload: NO_OFFLOAD });
      wire.sendDone();
    },
    settle: () => {},
  };
}

function terminal(): Subject {
  let room = 0;
  const input: number[] = [];
  const device = new VirtioConsole({
    name: 'console',
    backend: {
      write: (bytes) => {
        const taken = Math.min(room, bytes.length);
        room -= taken;
        return taken;
      },
      read: (limit) => Uint8Array.from(input.splice(0, limit)),
    },
  });
  return {
    device,
    request: () => {},
    stir: (random) => {
      room = random.below(100);
      input.push(...pattern(random.below(40)));
      device.inputReady();
      device.outputReady();
    },
    settle: () => {
      room = Infinity;
      device.outputReady();
    },
  };
}

class RacingMemory extends GuestMemory {
  readonly #data: DataView;
  readonly #random: Random;

  constructor(ram: TestRam, random: Random) {
    super(ram.views, DEVICE_FUZZ_RAM_BYTES, () => {});
    this.#data = ram.data;
    this.#random = random;
  }

  #race(): void {
    if (this.#random.chance(10)) this.#data.setUint8(this.#random.below(WRITABLE), this.#random.u32());
  }

  override view(gpa: number, bytes: number): Uint8Array | undefined {
    this.#race();
    return super.view(gpa, bytes);
  }

  override readU16(gpa: number): number | undefined {
    this.#race();
    return super.readU16(gpa);
  }

  override readU64(gpa: number): number | undefined {
    this.#race();
    return super.readU64(gpa);
  }
}

function descriptor(random: Random, data: DataView, at: number, table: number, index: number): void {
  const points = table !== 0 && random.chance(20);
  const isWrite = !points && random.chance(50);
  // Writable ones stay in their area (or outside RAM); where the device only reads it may read anything.
  const area = isWrite ? WRITABLE : random.chance(80) ? REQUESTS : 0;
  const address = points ? table + 16 * random.below(8) : area + (random.below(0x3000) & ~15);
  const isFar = random.chance(3);
  data.setUint32(at, isFar ? 0xfffff000 + random.below(0x1000) : address, true);
  data.setUint32(at + 4, random.chance(1) ? 1 : 0, true);
  const bytes = random.pick([1, 12, 16, 16, 20, 512, 513, 1024, random.below(0x4000)]);
  data.setUint32(at + 8, points ? 16 * (1 + random.below(6)) : bytes, true);
  const next = !points && random.chance(50) ? NEXT : 0;
  data.setUint16(at + 12, (points ? INDIRECT : isWrite ? WRITE : 0) | next, true);
  data.setUint16(at + 14, random.chance(95) ? (index + 1) % SIZE : random.u32(), true);
}

export interface DeviceFuzzRound {
  readonly problem: string | undefined;
  readonly chains: number;
  readonly isBroken: boolean;
}

export function fuzzDevice(kind: FuzzedDevice, ram: TestRam, seed: number, races: boolean): DeviceFuzzRound {
  const random = new Random(seed);
  const { views, data } = ram;
  const subject = subjectOf(kind);
  const { queueSizes } = subject.device.identity;
  const state = new VirtioState(views, 0);
  const msix = new MsixTable(views, 0, 1 + queueSizes.length, () => {});
  msix.reset();
  const memory = races
    ? new RacingMemory(ram, random)
    : new GuestMemory(views, DEVICE_FUZZ_RAM_BYTES, () => {});
  const host = new DeviceHost({
    state,
    memory,
    device: subject.device,
    interrupts: new VirtioInterrupts(state, msix, (action) => void action()),
  });
  for (let word = 0; word < 2; word++) {
    const offered = state.deviceFeatures[word]!;
    state.setFeatures(
      'driverFeatures',
      word === 0 ? 0 : 1,
      random.chance(50) ? offered : offered & random.u32(),
    );
  }
  for (let at = 0; at < DEVICE_FUZZ_RAM_BYTES; at += 4) data.setUint32(at, 0x11111111, true);
  for (let at = REQUESTS; at < REQUESTS + 0x3000; at += 16) subject.request(random, data, at);
  for (let queue = 0; queue < queueSizes.length; queue++) setUpQueue(random, data, state, queue);
  state.set('status', DRIVER_OK);
  const before = ram.ram.slice();
  const writable = writableBytes(data, queueSizes.length);

  host.start();
  for (let step = 0; step < 4; step++) {
    subject.stir(random);
    host.kick(random.below(queueSizes.length));
  }
  subject.settle();
  const queues = queueSizes.flatMap((_, index) => host.queue(index) ?? []);
  const chains = queues.reduce((sum, { counters }) => sum + counters.chains, 0);
  const isBroken = (state.get('status') & 0x40) !== 0;
  const held = queues.find(({ inFlight }) => inFlight > 0);
  const stray = races ? -1 : firstStray(ram.ram, before, writable);
  host.reset();
  const status = state.get('status');
  const problem =
    held !== undefined
      ? `queue ${held.index} keeps ${held.inFlight} chains`
      : stray >= 0
        ? `byte ${stray.toString(16)} was written`
        : status !== 0
          ? `status ${status} after the reset`
          : undefined;
  return { problem, chains, isBroken };
}

function setUpQueue(random: Random, data: DataView, state: VirtioState, queue: number): void {
  const base = queue * QUEUE_STRIDE;
  const table = base + TABLE_OFFSET;
  for (let n = 0; n < SIZE; n++) {
    descriptor(random, data, base + 16 * n, table, n);
    descriptor(random, data, table + 16 * n, 0, n);
    data.setUint16(base + AVAIL_OFFSET + 4 + 2 * n, random.chance(98) ? (n * 3) % SIZE : random.u32(), true);
  }
  data.setUint32(base + AVAIL_OFFSET, random.chance(97) ? random.below(SIZE + 1) << 16 : random.u32(), true);
  data.setUint32(base + USED_OFFSET, 0, true);
  state.setQueue(queue, 'size', SIZE);
  state.setQueue(queue, 'descriptorsLow', base);
  state.setQueue(queue, 'availLow', base + AVAIL_OFFSET);
  state.setQueue(queue, 'usedLow', base + USED_OFFSET);
  state.setQueue(queue, 'enabled', random.chance(90) ? 1 : 0);
}

/** By byte: 1 where a used ring is, or a buffer that some descriptor calls writable. */
function writableBytes(data: DataView, queues: number): Uint8Array {
  const map = new Uint8Array(DEVICE_FUZZ_RAM_BYTES);
  for (let queue = 0; queue < queues; queue++) {
    const base = queue * QUEUE_STRIDE;
    map.fill(1, base + USED_OFFSET, base + USED_OFFSET + 6 + 8 * SIZE);
    for (const table of [base, base + TABLE_OFFSET]) {
      for (let at = table; at < table + 16 * SIZE; at += 16) {
        const start = data.getUint32(at, true);
        const isWrite = (data.getUint16(at + 12, true) & (WRITE | INDIRECT)) === WRITE;
        if (isWrite && data.getUint32(at + 4, true) === 0)
          map.fill(1, start, start + data.getUint32(at + 8, true));
      }
    }
  }
  return map;
}

/** The first byte that is not as it was and should be. */
function firstStray(ram: Uint8Array, before: Uint8Array, writable: Uint8Array): number {
  for (let at = 0; at < ram.length; at++) {
    if (ram[at] !== before[at] && writable[at] === 0) return at;
  }
  return -1;
}
