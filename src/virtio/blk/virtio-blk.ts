/**
 * The block device (virtio 1.2, 5.2): parse, execute, finish. Chains are popped when the backend asks for a request, so
 * that requests enter the disk in the order in which the guest made them available; each chain that is popped ends in
 * `#finish`, which is the only place that writes a status.
 */
import { TWO_32 } from '../../base/bits.ts';
import { encodeUtf8 } from '../../base/utf8.ts';
import { SECTOR_BYTES } from '../../block/block-backend.ts';
import type {
  BlockBackend,
  BlockClient,
  BlockRequest,
  BlockStatus,
  RequestSource,
} from '../../block/block-backend.ts';
import type { GuestMemory } from '../../memory/guest-memory.ts';
import type { DeviceContext, DeviceHostLink, DeviceIdentity, DeviceQueue, VirtioDevice } from '../device.ts';
import type { DescriptorChain } from '../queue.ts';
import { writeSegments } from '../segments.ts';
import type { Segment } from '../segments.ts';
import {
  CONFIG_BLK_SIZE,
  CONFIG_BYTES,
  CONFIG_CAPACITY,
  CONFIG_CYLINDERS,
  CONFIG_DISCARD_SECTOR_ALIGNMENT,
  CONFIG_HEADS,
  CONFIG_MAX_DISCARD_SECTORS,
  CONFIG_MAX_DISCARD_SEG,
  CONFIG_MAX_WRITE_ZEROES_SECTORS,
  CONFIG_MAX_WRITE_ZEROES_SEG,
  CONFIG_MIN_IO_SIZE,
  CONFIG_NUM_QUEUES,
  CONFIG_PHYSICAL_BLOCK_EXP,
  CONFIG_SECTORS,
  CONFIG_SEG_MAX,
  CONFIG_WRITE_ZEROES_MAY_UNMAP,
  CONFIG_WRITEBACK,
  ID_BYTES,
  VIRTIO_BLK_F_BLK_SIZE,
  VIRTIO_BLK_F_CONFIG_WCE,
  VIRTIO_BLK_F_DISCARD,
  VIRTIO_BLK_F_FLUSH,
  VIRTIO_BLK_F_GEOMETRY,
  VIRTIO_BLK_F_MQ,
  VIRTIO_BLK_F_RO,
  VIRTIO_BLK_F_SEG_MAX,
  VIRTIO_BLK_F_TOPOLOGY,
  VIRTIO_BLK_F_WRITE_ZEROES,
  VIRTIO_BLK_S_IOERR,
  VIRTIO_BLK_S_OK,
  VIRTIO_BLK_S_UNSUPP,
  VIRTIO_ID_BLOCK,
} from './blk-layout.ts';
import { parseRequest } from './blk-request.ts';
import type { DiskRequest } from './blk-request.ts';

export interface VirtioBlkOptions {
  readonly name: string;
  readonly backend: BlockBackend;
  /** `num-queues=` */
  readonly queues?: number;
  /** `queue-size=`, a power of two. */
  readonly queueSize?: number;
  /** `serial=`, at most 20 bytes. */
  readonly serial?: string;
}

const DEFAULT_QUEUE_SIZE = 256;
/** Header and status take a descriptor each. */
const NOT_DATA = 2;
/** QEMU's: 2^22 sectors, 2 GiB. */
const MAX_RANGE_SECTORS = 0x400000;
/** What a CHS address can reach with the usual translation. */
const HEADS = 16;
const SECTORS = 63;
const MAX_CYLINDERS = 16383;

const STATUS: Readonly<Record<BlockStatus, number>> = {
  ok: VIRTIO_BLK_S_OK,
  'io-error': VIRTIO_BLK_S_IOERR,
  'no-space': VIRTIO_BLK_S_IOERR,
  unsupported: VIRTIO_BLK_S_UNSUPP,
  cancelled: VIRTIO_BLK_S_IOERR,
};

/** One virtqueue as a source of disk requests. */
class BlkQueue implements RequestSource {
  readonly #device: VirtioBlk;
  readonly #index: number;
  client: BlockClient | undefined;
  memory: GuestMemory | undefined;
  queue: DeviceQueue | undefined;
  /** Chains were completed that the driver has not seen. */
  #isDirty = false;

  constructor(device: VirtioBlk, index: number) {
    this.#device = device;
    this.#index = index;
  }

  serve(context: DeviceContext, popped?: () => void): void {
    this.memory = context.memory;
    this.queue ??= context.queue(this.#index);
    if (popped !== undefined) {
      // Many drivers are done when they return from being asked.
      this.client?.take();
      popped();
    }
    this.client?.kick();
    this.batchDone();
  }

  stop(): void {
    this.queue = undefined;
  }

  next(): BlockRequest | undefined {
    const { queue, memory } = this;
    if (queue === undefined || memory === undefined) return undefined;
    for (;;) {
      const chain = queue.next();
      if (chain === undefined) {
        // What was answered here and not by the disk has no other moment.
        this.batchDone();
        return undefined;
      }
      const request = parseRequest(memory, chain, this.#device.backend.properties);
      if (request.kind === 'disk') {
        const executable = this.#execute(queue, memory, chain, request);
        if (executable !== undefined) return executable;
        this.#finish(queue, memory, chain, VIRTIO_BLK_S_IOERR);
      } else if (request.kind === 'get-id') {
        writeSegments(memory, request.segments, 0, this.#device.idBytes);
        this.#finish(queue, memory, chain, VIRTIO_BLK_S_OK);
      } else {
        this.#finish(queue, memory, chain, request.kind === 'failed' ? request.status : undefined);
      }
    }
  }

  batchDone(): void {
    if (!this.#isDirty) return;
    this.#isDirty = false;
    this.queue?.flush();
  }

  #execute(
    queue: DeviceQueue,
    memory: GuestMemory,
    chain: DescriptorChain,
    request: DiskRequest,
  ): BlockRequest | undefined {
    const views = viewsOf(memory, request.segments);
    if (views === undefined) return undefined;
    const { operation, offset, length, segments, unmap } = request;
    return {
      operation,
      offset,
      length,
      segments: views,
      unmap,
      complete: (status) => {
        if (operation === 'read') for (const { gpa, bytes } of segments) memory.wroteView(gpa, bytes);
        this.#finish(queue, memory, chain, STATUS[status]);
      },
    };
  }

  /** Status undefined: there is no room for one, but the chain goes back all the same. */
  #finish(queue: DeviceQueue, memory: GuestMemory, chain: DescriptorChain, status: number | undefined): void {
    const last = chain.writable.at(-1);
    if (last !== undefined && status !== undefined) memory.writeU8(last.gpa + last.bytes - 1, status);
    // The status is the last byte, so all of the buffer counts as written, also where a read failed in its midst.
    queue.complete(chain, chain.writableBytes);
    queue.expose();
    this.#isDirty = true;
  }
}

/** In place: the disk reads and writes guest memory itself. */
function viewsOf(memory: GuestMemory, segments: readonly Segment[]): Uint8Array[] | undefined {
  const views: Uint8Array[] = [];
  for (const { gpa, bytes } of segments) {
    const view = memory.view(gpa, bytes);
    if (view === undefined) return undefined;
    views.push(view);
  }
  return views;
}

export class VirtioBlk implements VirtioDevice {
  readonly backend: BlockBackend;
  readonly identity: DeviceIdentity;
  readonly idBytes: Uint8Array;
  readonly #queues: readonly BlkQueue[];
  /** What the user asked for: comes back with each reset. */
  readonly #defaultWriteCache: boolean;
  #host: DeviceHostLink | undefined;
  #context: DeviceContext | undefined;

  constructor(options: VirtioBlkOptions) {
    const { backend, name } = options;
    const queues = options.queues ?? 1;
    this.backend = backend;
    this.#defaultWriteCache = backend.writeCache;
    this.idBytes = new Uint8Array(ID_BYTES);
    this.idBytes.set(encodeUtf8(options.serial ?? '').subarray(0, ID_BYTES));
    this.#queues = Array.from({ length: queues }, (_, index) => {
      const queue = new BlkQueue(this, index);
      queue.client = backend.attach(queue, queues === 1 ? name : `${name}.${index}`, 'guest');
      return queue;
    });
    this.identity = identityOf(options, queues);
  }

  connect(host: DeviceHostLink): void {
    this.#host = host;
    this.backend.onResize(() => this.#resized());
  }

  start(context: DeviceContext): void {
    this.#context = context;
    // 5.2.5.2: a driver that cannot flush gets writes that are on the medium when they complete.
    this.backend.setWriteCache(this.#defaultWriteCache && context.hasFeature(VIRTIO_BLK_F_FLUSH));
  }

  serve(index: number, popped?: () => void): void {
    if (this.#context !== undefined) this.#queues[index]?.serve(this.#context, popped);
  }

  stop(then: () => void): void {
    this.#context = undefined;
    let left = this.#queues.length;
    const drained = (): void => {
      if (--left > 0) return;
      for (const queue of this.#queues) queue.stop();
      this.backend.setWriteCache(this.#defaultWriteCache);
      this.#host?.updateConfig((config) =>
        config.setUint8(CONFIG_WRITEBACK, this.#defaultWriteCache ? 1 : 0),
      );
      then();
    };
    for (const queue of this.#queues) {
      if (queue.client === undefined) drained();
      else queue.client.reset(drained);
    }
  }

  /** 5.2.5.1: `writeback` may be changed at any time, if that was negotiated. */
  configWritten(config: DataView): void {
    if (this.#context?.hasFeature(VIRTIO_BLK_F_CONFIG_WCE) !== true) return;
    this.backend.setWriteCache(config.getUint8(CONFIG_WRITEBACK) !== 0);
  }

  #resized(): void {
    this.#host?.updateConfig((config) => setCapacity(config, this.backend.properties.sizeBytes));
  }
}

function identityOf(options: VirtioBlkOptions, queues: number): DeviceIdentity {
  const { backend, name } = options;
  const disk = backend.properties;
  const queueSize = options.queueSize ?? DEFAULT_QUEUE_SIZE;
  const features = [
    VIRTIO_BLK_F_SEG_MAX,
    VIRTIO_BLK_F_GEOMETRY,
    VIRTIO_BLK_F_BLK_SIZE,
    VIRTIO_BLK_F_FLUSH,
    VIRTIO_BLK_F_TOPOLOGY,
    VIRTIO_BLK_F_CONFIG_WCE,
  ];
  if (disk.readOnly) features.push(VIRTIO_BLK_F_RO);
  if (queues > 1) features.push(VIRTIO_BLK_F_MQ);
  if (!disk.readOnly) features.push(VIRTIO_BLK_F_WRITE_ZEROES);
  if (!disk.readOnly && disk.discardGranularity > 0) features.push(VIRTIO_BLK_F_DISCARD);

  const config = new Uint8Array(CONFIG_BYTES);
  const data = new DataView(config.buffer);
  setCapacity(data, disk.sizeBytes);
  data.setUint32(CONFIG_SEG_MAX, Math.max(1, queueSize - NOT_DATA), true);
  data.setUint32(CONFIG_BLK_SIZE, disk.blockSize, true);
  const blocks = Math.max(1, disk.physicalBlockSize / disk.blockSize);
  data.setUint8(CONFIG_PHYSICAL_BLOCK_EXP, Math.floor(Math.log2(blocks)));
  data.setUint16(CONFIG_MIN_IO_SIZE, Math.min(blocks, 0xffff), true);
  data.setUint8(CONFIG_WRITEBACK, backend.writeCache ? 1 : 0);
  data.setUint16(CONFIG_NUM_QUEUES, queues, true);
  if (features.includes(VIRTIO_BLK_F_DISCARD)) {
    data.setUint32(CONFIG_MAX_DISCARD_SECTORS, MAX_RANGE_SECTORS, true);
    data.setUint32(CONFIG_MAX_DISCARD_SEG, 1, true);
    data.setUint32(
      CONFIG_DISCARD_SECTOR_ALIGNMENT,
      Math.max(1, disk.discardGranularity / SECTOR_BYTES),
      true,
    );
  }
  if (features.includes(VIRTIO_BLK_F_WRITE_ZEROES)) {
    data.setUint32(CONFIG_MAX_WRITE_ZEROES_SECTORS, MAX_RANGE_SECTORS, true);
    data.setUint32(CONFIG_MAX_WRITE_ZEROES_SEG, 1, true);
    data.setUint8(CONFIG_WRITE_ZEROES_MAY_UNMAP, disk.discardGranularity > 0 ? 1 : 0);
  }
  return {
    name,
    type: VIRTIO_ID_BLOCK,
    queueSizes: Array.from({ length: queues }, () => queueSize),
    features,
    config,
    writableConfig: VIRTIO_BLK_WRITABLE_CONFIG,
  };
}

/** What a driver may write, for transports on threads that do not have the device. */
export const VIRTIO_BLK_WRITABLE_CONFIG = [{ offset: CONFIG_WRITEBACK, bytes: 1 }] as const;

function setCapacity(config: DataView, bytes: number): void {
  const sectors = Math.floor(bytes / SECTOR_BYTES);
  config.setUint32(CONFIG_CAPACITY, sectors >>> 0, true);
  config.setUint32(CONFIG_CAPACITY + 4, Math.floor(sectors / TWO_32), true);
  config.setUint16(CONFIG_CYLINDERS, Math.min(MAX_CYLINDERS, Math.floor(sectors / (HEADS * SECTORS))), true);
  config.setUint8(CONFIG_HEADS, HEADS);
  config.setUint8(CONFIG_SECTORS, SECTORS);
}
