/**
 * What a network card sees of its network: frames go out, frames come in, and work that the sender left undone
 * (checksums, segmentation) travels with them, so that it is done once at most, by whoever needs it.
 *
 * Everything runs on the thread that owns the card, by callbacks. A frame is a private copy: its sender, a
 * guest, can no longer change it.
 */

/** How the frame is to be cut before a wire: TCP over IPv4 or IPv6, in pieces of `segmentBytes` of payload. */
export type Segmentation = 'none' | 'tcp4' | 'tcp6';

export interface Offload {
  /** The Internet checksum of everything from `start` on is missing; it belongs at `start` + `offset`. */
  readonly checksum?: { readonly start: number; readonly offset: number };
  /** The checksum is known to be right. */
  readonly isChecked: boolean;
  readonly segmentation: Segmentation;
  readonly segmentBytes: number;
  /** The first of the pieces alone keeps the CWR flag (RFC 3168). */
  readonly hasEcn: boolean;
}

export const NO_OFFLOAD: Offload = {
  isChecked: false,
  segmentation: 'none',
  segmentBytes: 0,
  hasEcn: false,
};

export interface Frame {
  /** From the destination address on, without the frame check sequence. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly offload: Offload;
}

/** What a receiver takes undone. */
export interface OffloadSupport {
  readonly checksum: boolean;
  readonly tcp4: boolean;
  readonly tcp6: boolean;
  readonly ecn: boolean;
}

export const NO_OFFLOAD_SUPPORT: OffloadSupport = { checksum: false, tcp4: false, tcp6: false, ecn: false };

/** A card, or whatever else is plugged in. */
export interface NetReceiver {
  readonly supports: OffloadSupport;
  /** False: there is no room now. The sender keeps the frame until `receiveReady`, or drops it. */
  receive(frame: Frame): boolean;
  /** A burst of frames is over: the place to raise one interrupt for all of them. */
  receiveDone(): void;
  /** There is room again for what `send` refused. */
  sendReady(): void;
}

/** A receiver's plug in the network. */
export interface NetConnection {
  /** False: no room now; `sendReady` follows. */
  send(frame: Frame): boolean;
  /** A burst of frames is over. */
  sendDone(): void;
  /** There is room for frames that `receive` refused. */
  receiveReady(): void;
  /** A card whose link is down neither sends nor receives. */
  setLink(isUp: boolean): void;
  readonly counters: Readonly<PortCounters>;
  close(): void;
}

/** Plain numbers that only grow; seen from the receiver: `sent` is what it sent. */
export interface PortCounters {
  sentFrames: number;
  sentBytes: number;
  receivedFrames: number;
  receivedBytes: number;
  /** For this receiver, but it had no room for too long. */
  dropped: number;
  /** Frames that it sent and that were not what their offload fields said. */
  malformed: number;
}

export interface NetBackend {
  connect(receiver: NetReceiver, name: string): NetConnection;
}

/** Ethernet: header; the largest IPv4 packet in a frame with one VLAN tag. */
export const ETHERNET_HEADER_BYTES = 14;
export const MAX_FRAME_BYTES = 65_535 + ETHERNET_HEADER_BYTES + 4;
