/** The control queue's commands (virtio 1.2, 5.1.6.5): class, command, data; one byte of answer. */
import type { GuestMemory } from '../../memory/guest-memory.ts';
import { hasFeature } from '../features.ts';
import type { DescriptorChain } from '../queue.ts';
import { readSegments, writeSegments } from '../segments.ts';
import {
  CTRL_GUEST_OFFLOADS,
  CTRL_GUEST_OFFLOADS_SET,
  CTRL_MAC,
  CTRL_MAC_ADDR_SET,
  CTRL_MAC_TABLE_SET,
  CTRL_MQ,
  CTRL_MQ_VQ_PAIRS_SET,
  CTRL_RX,
  CTRL_RX_ALLMULTI,
  CTRL_RX_NOBCAST,
  CTRL_VLAN,
  CTRL_VLAN_ADD,
  CTRL_VLAN_DEL,
  VIRTIO_NET_ERR,
  VIRTIO_NET_F_CTRL_GUEST_OFFLOADS,
  VIRTIO_NET_F_CTRL_MAC_ADDR,
  VIRTIO_NET_F_CTRL_RX,
  VIRTIO_NET_F_CTRL_RX_EXTRA,
  VIRTIO_NET_F_CTRL_VLAN,
  VIRTIO_NET_F_GUEST_CSUM,
  VIRTIO_NET_F_GUEST_ECN,
  VIRTIO_NET_F_GUEST_TSO4,
  VIRTIO_NET_F_GUEST_TSO6,
  VIRTIO_NET_F_MQ,
  VIRTIO_NET_OK,
} from './net-layout.ts';
import { MAC_BYTES } from './receive-filter.ts';
import type { ReceiveFilter } from './receive-filter.ts';

export interface NetControlOptions {
  readonly filter: ReceiveFilter;
  readonly maxPairs: number;
  readonly setPairs: (pairs: number) => void;
  /** Of the offloads that were negotiated, those that the driver wants now. */
  readonly setOffloads: (features: readonly number[]) => void;
  readonly setMac: (mac: Uint8Array) => void;
  readonly hasFeature: (bit: number) => boolean;
}

const COMMAND_BYTES = 2;
/** Two tables of addresses, far beyond what the filter keeps. */
const MAX_DATA_BYTES = 16_384;
const OFFLOADS = [
  VIRTIO_NET_F_GUEST_CSUM,
  VIRTIO_NET_F_GUEST_TSO4,
  VIRTIO_NET_F_GUEST_TSO6,
  VIRTIO_NET_F_GUEST_ECN,
];

export class NetControl {
  readonly #options: NetControlOptions;

  constructor(options: NetControlOptions) {
    this.#options = options;
  }

  /** Returns how many bytes of the chain were written. */
  execute(memory: GuestMemory, chain: DescriptorChain): number {
    const request = readSegments(memory, chain.readable, 0, COMMAND_BYTES + MAX_DATA_BYTES);
    const [kind, command] = request;
    const isDone =
      kind !== undefined && command !== undefined && chain.readableBytes <= COMMAND_BYTES + MAX_DATA_BYTES
        ? this.#execute(kind, command, request.subarray(COMMAND_BYTES))
        : false;
    const answer = Uint8Array.of(isDone ? VIRTIO_NET_OK : VIRTIO_NET_ERR);
    return writeSegments(memory, chain.writable, 0, answer);
  }

  #execute(kind: number, command: number, data: Uint8Array<ArrayBuffer>): boolean {
    const { filter, hasFeature: has } = this.#options;
    const view = new DataView(data.buffer, data.byteOffset, data.length);
    switch (kind) {
      case CTRL_RX: {
        const bit = command <= CTRL_RX_ALLMULTI ? VIRTIO_NET_F_CTRL_RX : VIRTIO_NET_F_CTRL_RX_EXTRA;
        if (!has(bit) || command > CTRL_RX_NOBCAST || data.length < 1) return false;
        filter.setMode(command, data[0] !== 0);
        return true;
      }
      case CTRL_MAC:
        if (command === CTRL_MAC_TABLE_SET) return has(VIRTIO_NET_F_CTRL_RX) && this.#setTables(view, data);
        if (command !== CTRL_MAC_ADDR_SET || !has(VIRTIO_NET_F_CTRL_MAC_ADDR) || data.length !== MAC_BYTES)
          return false;
        this.#options.setMac(data.slice());
        return true;
      case CTRL_VLAN:
        if (!has(VIRTIO_NET_F_CTRL_VLAN) || command > CTRL_VLAN_DEL || data.length < 2) return false;
        return filter.setVlan(view.getUint16(0, true), command === CTRL_VLAN_ADD);
      case CTRL_MQ: {
        if (!has(VIRTIO_NET_F_MQ) || command !== CTRL_MQ_VQ_PAIRS_SET || data.length < 2) return false;
        const pairs = view.getUint16(0, true);
        if (pairs < 1 || pairs > this.#options.maxPairs) return false;
        this.#options.setPairs(pairs);
        return true;
      }
      case CTRL_GUEST_OFFLOADS: {
        if (!has(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) || command !== CTRL_GUEST_OFFLOADS_SET || data.length < 8)
          return false;
        const words = [view.getUint32(0, true), view.getUint32(4, true)];
        // 5.1.6.5.7: only what was negotiated can be switched on.
        const wanted = Array.from({ length: 64 }, (_, bit) => bit).filter((bit) => hasFeature(words, bit));
        if (wanted.some((bit) => !OFFLOADS.includes(bit) || !has(bit))) return false;
        this.#options.setOffloads(wanted);
        return true;
      }
      default:
        return false;
    }
  }

  /** 5.1.6.5.2: two tables, each a count of 32 bits and so many addresses: unicast, then multicast. */
  #setTables(view: DataView, data: Uint8Array): boolean {
    const table = (at: number): { readonly list: Uint8Array; readonly end: number } | undefined => {
      if (at + 4 > data.length) return undefined;
      const end = at + 4 + view.getUint32(at, true) * MAC_BYTES;
      return end > data.length ? undefined : { list: data.subarray(at + 4, end), end };
    };
    const unicast = table(0);
    const multicast = unicast === undefined ? undefined : table(unicast.end);
    if (unicast === undefined || multicast === undefined) return false;
    this.#options.filter.setAddresses(unicast.list, multicast.list);
    return true;
  }
}
