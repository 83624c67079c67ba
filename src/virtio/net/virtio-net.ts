/**
 * The network device (virtio 1.2, 5.1): queue pairs, mergeable receive buffers, checksum and TSO offloads in both
 * directions, filters, and a control queue.
 */
import { ETHERNET_HEADER_BYTES, MAX_FRAME_BYTES } from '../../net/net-backend.ts';
import type { Frame, NetBackend, NetConnection, NetReceiver, OffloadSupport } from '../../net/net-backend.ts';
import { findHeaders, PROTOCOL_TCP } from '../../net/checksum.ts';
import type { DeviceContext, DeviceHostLink, DeviceIdentity, DeviceQueue, VirtioDevice } from '../device.ts';
import { VIRTIO_F_VERSION_1 } from '../features.ts';
import type { DescriptorChain } from '../queue.ts';
import { readSegments, writeSegments } from '../segments.ts';
import { NetControl } from './net-control.ts';
import { readHeader, writeHeader } from './net-header.ts';
import {
  CONFIG_BYTES,
  CONFIG_MAC,
  CONFIG_MAX_VIRTQUEUE_PAIRS,
  CONFIG_MTU,
  CONFIG_STATUS,
  HDR_BYTES,
  SHORT_HDR_BYTES,
  VIRTIO_ID_NET,
  VIRTIO_NET_F_CSUM,
  VIRTIO_NET_F_CTRL_GUEST_OFFLOADS,
  VIRTIO_NET_F_CTRL_MAC_ADDR,
  VIRTIO_NET_F_CTRL_RX,
  VIRTIO_NET_F_CTRL_RX_EXTRA,
  VIRTIO_NET_F_CTRL_VLAN,
  VIRTIO_NET_F_CTRL_VQ,
  VIRTIO_NET_F_GUEST_CSUM,
  VIRTIO_NET_F_GUEST_ECN,
  VIRTIO_NET_F_GUEST_TSO4,
  VIRTIO_NET_F_GUEST_TSO6,
  VIRTIO_NET_F_HOST_ECN,
  VIRTIO_NET_F_HOST_TSO4,
  VIRTIO_NET_F_HOST_TSO6,
  VIRTIO_NET_F_MAC,
  VIRTIO_NET_F_MQ,
  VIRTIO_NET_F_MRG_RXBUF,
  VIRTIO_NET_F_MTU,
  VIRTIO_NET_F_STATUS,
  VIRTIO_NET_S_LINK_UP,
} from './net-layout.ts';
import { MAC_BYTES, ReceiveFilter } from './receive-filter.ts';
import { Steering } from './steering.ts';

export interface VirtioNetOptions {
  readonly name: string;
  readonly backend: NetBackend;
  /** 6 bytes. */
  readonly mac: Uint8Array;
  /** Queue pairs, `queues=`. */
  readonly pairs?: number;
  readonly queueSize?: number;
  /** `host_mtu=` */
  readonly mtu?: number;
  /** `mrg_rxbuf=`, `csum=`, `guest_csum=`, `host_tso4=`, ...: all on unless listed here by feature bit. */
  readonly without?: readonly number[];
}

const DEFAULT_QUEUE_SIZE = 256;
const CONTROL_QUEUE_SIZE = 64;
const FEATURES: readonly number[] = [
  VIRTIO_NET_F_CSUM,
  VIRTIO_NET_F_GUEST_CSUM,
  VIRTIO_NET_F_CTRL_GUEST_OFFLOADS,
  VIRTIO_NET_F_MAC,
  VIRTIO_NET_F_GUEST_TSO4,
  VIRTIO_NET_F_GUEST_TSO6,
  VIRTIO_NET_F_GUEST_ECN,
  VIRTIO_NET_F_HOST_TSO4,
  VIRTIO_NET_F_HOST_TSO6,
  VIRTIO_NET_F_HOST_ECN,
  VIRTIO_NET_F_MRG_RXBUF,
  VIRTIO_NET_F_STATUS,
  VIRTIO_NET_F_CTRL_VQ,
  VIRTIO_NET_F_CTRL_RX,
  VIRTIO_NET_F_CTRL_VLAN,
  VIRTIO_NET_F_CTRL_RX_EXTRA,
  VIRTIO_NET_F_CTRL_MAC_ADDR,
];

/** Counted since the machine started. */
export interface VirtioNetCounters {
  /** Frames that the driver sent in a form that there is not. */
  malformed: number;
  /** Frames that no receive buffer was large enough for. */
  tooLarge: number;
  filtered: number;
}

export class VirtioNet implements VirtioDevice, NetReceiver {
  readonly identity: DeviceIdentity;
  readonly counters: VirtioNetCounters = { malformed: 0, tooLarge: 0, filtered: 0 };
  readonly connection: NetConnection;
  readonly #mac: Uint8Array;
  readonly #pairs: number;
  readonly #filter: ReceiveFilter;
  readonly #steering = new Steering();
  readonly #control: NetControl;
  #host: DeviceHostLink | undefined;
  #context: DeviceContext | undefined;
  #headerBytes = HDR_BYTES;
  #supports: OffloadSupport = { checksum: false, tcp4: false, tcp6: false, ecn: false };
  #isUp = true;
  /** A frame that the backend had no room for, by transmit queue. */
  readonly #waiting = new Map<number, { chain: DescriptorChain; frame: Frame }>();

  constructor(options: VirtioNetOptions) {
    if (options.mac.length !== MAC_BYTES) throw new Error('a MAC address has 6 bytes');
    this.#mac = options.mac;
    this.#pairs = options.pairs ?? 1;
    this.#filter = new ReceiveFilter(options.mac);
    this.#control = new NetControl({
      filter: this.#filter,
      maxPairs: this.#pairs,
      setPairs: (pairs) => (this.#steering.pairs = pairs),
      setOffloads: (features) => (this.#supports = supportOf((bit) => features.includes(bit))),
      hasFeature: (bit) => this.#context?.hasFeature(bit) === true,
      setMac: (mac) => {
        this.#filter.mac = mac;
        this.#host?.updateConfig((config) => putMac(config, mac));
      },
    });
    this.identity = identityOf(options, this.#pairs);
    this.connection = options.backend.connect(this, options.name);
  }

  connect(host: DeviceHostLink): void {
    this.#host = host;
  }

  start(context: DeviceContext): void {
    this.#context = context;
    const has = (bit: number): boolean => context.hasFeature(bit);
    this.#headerBytes = has(VIRTIO_F_VERSION_1) || has(VIRTIO_NET_F_MRG_RXBUF) ? HDR_BYTES : SHORT_HDR_BYTES;
    this.#supports = supportOf(has);
    this.#filter.reset(this.#mac, has(VIRTIO_NET_F_CTRL_VLAN));
    this.#steering.reset();
  }

  serve(index: number): void {
    const context = this.#context;
    const queue = context?.queue(index);
    if (context === undefined || queue === undefined) return;
    if (index === this.#controlQueue(context)) this.#serveControl(context, queue);
    else if (index % 2 === 1) this.#transmit(context, queue);
    else this.connection.receiveReady();
  }

  stop(then: () => void): void {
    this.#context = undefined;
    this.#waiting.clear();
    this.#host?.updateConfig((config) => putMac(config, this.#mac));
    then();
  }

  /** 5.1.2: it is the third one where the driver does not know of several pairs. */
  #controlQueue(context: DeviceContext): number {
    return context.hasFeature(VIRTIO_NET_F_MQ) ? 2 * this.#pairs : 2;
  }

  /** `set_link`: the cable. */
  get isLinkUp(): boolean {
    return this.#isUp;
  }

  setLink(isUp: boolean): void {
    if (isUp === this.#isUp) return;
    this.#isUp = isUp;
    this.connection.setLink(isUp);
    this.#host?.updateConfig((config) =>
      config.setUint16(CONFIG_STATUS, isUp ? VIRTIO_NET_S_LINK_UP : 0, true),
    );
    if (isUp) this.sendReady();
  }

  // --- transmit (5.1.6.2)

  sendReady(): void {
    for (let index = 1; index < 2 * this.#pairs; index += 2) this.serve(index);
  }

  #transmit(context: DeviceContext, queue: DeviceQueue): void {
    const turn = context.turn();
    for (;;) {
      const next = this.#nextFrame(context, queue);
      if (next === undefined) break;
      const { chain, frame } = next;
      if (frame !== undefined && !this.connection.send(frame)) {
        this.#waiting.set(queue.index, { chain, frame });
        break;
      }
      queue.complete(chain, 0);
      if (turn.goesOn(chain.readableBytes)) continue;
      context.serveAgain(queue.index);
      break;
    }
    this.connection.sendDone();
    queue.flush();
  }

  /** Frame undefined: there was none in it. */
  #nextFrame(
    context: DeviceContext,
    queue: DeviceQueue,
  ): { chain: DescriptorChain; frame: Frame | undefined } | undefined {
    const waiting = this.#waiting.get(queue.index);
    if (waiting !== undefined) {
      this.#waiting.delete(queue.index);
      return waiting;
    }
    const chain = queue.next();
    if (chain === undefined) return undefined;
    const frame = this.#parse(context, chain);
    if (frame === undefined) this.counters.malformed++;
    else this.#steering.sent(frame.bytes, (queue.index - 1) / 2);
    return { chain, frame };
  }

  #parse(context: DeviceContext, chain: DescriptorChain): Frame | undefined {
    const bytes = chain.readableBytes - this.#headerBytes;
    if (bytes < ETHERNET_HEADER_BYTES || bytes > MAX_FRAME_BYTES) return undefined;
    const offload = readHeader(readSegments(context.memory, chain.readable, 0, this.#headerBytes));
    if (offload === undefined) return undefined;
    return { bytes: readSegments(context.memory, chain.readable, this.#headerBytes, bytes), offload };
  }

  // --- receive (5.1.6.3, 5.1.6.4)

  get supports(): OffloadSupport {
    return this.#supports;
  }

  receive(frame: Frame): boolean {
    const context = this.#context;
    // Nobody listens: as on a wire, the frame is gone.
    if (context === undefined || !this.#isUp || frame.bytes.length < ETHERNET_HEADER_BYTES) return true;
    if (!this.#filter.passes(frame.bytes)) {
      this.counters.filtered++;
      return true;
    }
    const queue = context.queue(2 * this.#steering.pairFor(frame.bytes)) ?? context.queue(0);
    if (queue === undefined) return true;
    const needed = this.#headerBytes + frame.bytes.length;
    const chains: DescriptorChain[] = [];
    let room = 0;
    const maxChains = context.hasFeature(VIRTIO_NET_F_MRG_RXBUF) ? queue.size : 1;
    while (room < needed && chains.length < maxChains) {
      const chain = queue.next();
      if (chain === undefined) break;
      chains.push(chain);
      room += chain.writableBytes;
    }
    const first = chains[0];
    if (first !== undefined && first.writableBytes < this.#headerBytes) {
      for (const chain of chains) queue.complete(chain, 0);
      context.needsReset(`a receive buffer of ${first.writableBytes} bytes has no room for the header`);
      return true;
    }
    if (room < needed) {
      for (const chain of chains.toReversed()) queue.giveBack(chain);
      // With all buffers in hand, or the only one that may be used, waiting changes nothing.
      if (chains.length < maxChains) return false;
      this.counters.tooLarge++;
      return true;
    }
    this.#fill(context, queue, chains, frame);
    return true;
  }

  receiveDone(): void {
    const context = this.#context;
    for (let pair = 0; pair < this.#pairs; pair++) context?.queue(2 * pair)?.flush();
  }

  #fill(context: DeviceContext, queue: DeviceQueue, chains: readonly DescriptorChain[], frame: Frame): void {
    const { memory } = context;
    const { bytes, offload } = frame;
    const header = writeHeader(offload, {
      buffers: chains.length,
      headersBytes: offload.segmentation === 'none' ? 0 : headersBytes(bytes),
      mayClaimValid: this.#supports.checksum,
    }).subarray(0, this.#headerBytes);
    let at = 0;
    chains.forEach((chain, n) => {
      const start = n === 0 ? header.length : 0;
      if (n === 0) writeSegments(memory, chain.writable, 0, header);
      const written = writeSegments(
        memory,
        chain.writable,
        start,
        bytes.subarray(at, at + chain.writableBytes - start),
      );
      at += written;
      queue.complete(chain, start + written);
    });
  }

  // --- control (5.1.6.5)

  #serveControl(context: DeviceContext, queue: DeviceQueue): void {
    for (let chain = queue.next(); chain !== undefined; chain = queue.next())
      queue.complete(chain, this.#control.execute(context.memory, chain));
    queue.flush();
  }
}

function headersBytes(bytes: Uint8Array): number {
  const headers = findHeaders(bytes);
  if (headers === undefined) return 0;
  const { transport, protocol } = headers;
  return protocol === PROTOCOL_TCP && transport + 12 < bytes.length
    ? transport + (bytes[transport + 12]! >>> 4) * 4
    : transport;
}

function supportOf(has: (bit: number) => boolean): OffloadSupport {
  return {
    checksum: has(VIRTIO_NET_F_GUEST_CSUM),
    tcp4: has(VIRTIO_NET_F_GUEST_TSO4),
    tcp6: has(VIRTIO_NET_F_GUEST_TSO6),
    ecn: has(VIRTIO_NET_F_GUEST_ECN),
  };
}

function putMac(config: DataView, mac: Uint8Array): void {
  mac.forEach((byte, n) => config.setUint8(CONFIG_MAC + n, byte));
}

function identityOf(options: VirtioNetOptions, pairs: number): DeviceIdentity {
  const { name, mac, mtu, queueSize = DEFAULT_QUEUE_SIZE, without = [] } = options;
  const config = new Uint8Array(CONFIG_BYTES);
  const data = new DataView(config.buffer);
  putMac(data, mac);
  data.setUint16(CONFIG_STATUS, VIRTIO_NET_S_LINK_UP, true);
  data.setUint16(CONFIG_MAX_VIRTQUEUE_PAIRS, pairs, true);
  data.setUint16(CONFIG_MTU, mtu ?? 0, true);
  const features = [
    ...FEATURES,
    ...(pairs > 1 ? [VIRTIO_NET_F_MQ] : []),
    ...(mtu === undefined ? [] : [VIRTIO_NET_F_MTU]),
  ];
  return {
    name,
    type: VIRTIO_ID_NET,
    queueSizes: [...Array.from({ length: 2 * pairs }, () => queueSize), CONTROL_QUEUE_SIZE],
    features: features.filter((bit) => !without.includes(bit)),
    config,
  };
}
