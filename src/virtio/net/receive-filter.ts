/** Which frames a card passes to its driver (virtio 1.2, 5.1.6.5.1 to 5.1.6.5.3). Until told otherwise: all. */
import {
  CTRL_RX_ALLMULTI,
  CTRL_RX_ALLUNI,
  CTRL_RX_NOBCAST,
  CTRL_RX_NOMULTI,
  CTRL_RX_NOUNI,
  CTRL_RX_PROMISC,
} from './net-layout.ts';

export const MAC_BYTES = 6;
/** QEMU's; a longer list means all addresses of its kind. */
const MAX_ADDRESSES = 64;
const VLANS = 4096;
const ETHERTYPE_VLAN = 0x8100;

export class ReceiveFilter {
  mac: Uint8Array;
  #modes = new Set<number>([CTRL_RX_PROMISC]);
  #unicast: ReadonlySet<string> | 'all' = new Set();
  #multicast: ReadonlySet<string> | 'all' = new Set();
  /** Only with VIRTIO_NET_F_CTRL_VLAN; else every VLAN passes. */
  #vlans: Uint8Array | undefined;

  constructor(mac: Uint8Array) {
    this.mac = mac;
  }

  reset(mac: Uint8Array, filtersVlans: boolean): void {
    this.mac = mac;
    this.#modes = new Set([CTRL_RX_PROMISC]);
    this.#unicast = new Set();
    this.#multicast = new Set();
    this.#vlans = filtersVlans ? new Uint8Array(VLANS) : undefined;
  }

  setMode(mode: number, isOn: boolean): void {
    if (isOn) this.#modes.add(mode);
    else this.#modes.delete(mode);
  }

  /** Lists of addresses, 6 bytes each. */
  setAddresses(unicast: Uint8Array, multicast: Uint8Array): void {
    this.#unicast = addressSet(unicast);
    this.#multicast = addressSet(multicast);
  }

  setVlan(vlan: number, passes: boolean): boolean {
    if (vlan >= VLANS || this.#vlans === undefined) return false;
    this.#vlans[vlan] = passes ? 1 : 0;
    return true;
  }

  passes(frame: Uint8Array): boolean {
    if (this.#modes.has(CTRL_RX_PROMISC)) return true;
    if (this.#vlans !== undefined && ((frame[12]! << 8) | frame[13]!) === ETHERTYPE_VLAN) {
      const vlan = ((frame[14]! << 8) | frame[15]!) & 0xfff;
      if (this.#vlans[vlan] === 0) return false;
    }
    const destination = frame.subarray(0, MAC_BYTES);
    if ((destination[0]! & 1) === 0) {
      if (this.#modes.has(CTRL_RX_NOUNI)) return false;
      if (this.#modes.has(CTRL_RX_ALLUNI) || this.#unicast === 'all') return true;
      return destination.every((byte, n) => byte === this.mac[n]) || this.#unicast.has(textOf(destination));
    }
    if (destination.every((byte) => byte === 0xff)) return !this.#modes.has(CTRL_RX_NOBCAST);
    if (this.#modes.has(CTRL_RX_NOMULTI)) return false;
    return (
      this.#modes.has(CTRL_RX_ALLMULTI) ||
      this.#multicast === 'all' ||
      this.#multicast.has(textOf(destination))
    );
  }
}

function textOf(mac: Uint8Array): string {
  return mac.join(':');
}

function addressSet(list: Uint8Array): ReadonlySet<string> | 'all' {
  if (list.length > MAX_ADDRESSES * MAC_BYTES) return 'all';
  const set = new Set<string>();
  for (let at = 0; at < list.length; at += MAC_BYTES) set.add(textOf(list.subarray(at, at + MAC_BYTES)));
  return set;
}
