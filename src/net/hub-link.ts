/**
 * Joins hubs of different tabs: a port that passes everything on as messages, and feeds in what the others send. The
 * channel (a BroadcastChannel) is the caller's; it carries each message to all other tabs and not back.
 *
 * A message is a burst of frames, since a message costs about as much as copying 50 KB. Per frame: length (u32), flags (u8),
 * segmentation (u8), segment bytes, checksum start and offset (u16 each), then the frame; little-endian.
 */
import { ETHERNET_HEADER_BYTES, MAX_FRAME_BYTES } from './net-backend.ts';
import type {
  Frame,
  NetBackend,
  NetConnection,
  NetReceiver,
  Offload,
  OffloadSupport,
  Segmentation,
} from './net-backend.ts';

const HEADER_BYTES = 12;
const FLAG_CHECKSUM = 1;
const FLAG_CHECKED = 2;
const FLAG_ECN = 4;
const SEGMENTATIONS: readonly Segmentation[] = ['none', 'tcp4', 'tcp6'];
/** A burst is sent when it is over or has grown to this. */
const MAX_MESSAGE_BYTES = 256 * 1024;

export type PostMessage = (message: Uint8Array<ArrayBuffer>) => void;

export class HubLink implements NetReceiver {
  /** The hub at the other end does what its cards do not take. */
  readonly supports: OffloadSupport = { checksum: true, tcp4: true, tcp6: true, ecn: true };
  readonly connection: NetConnection;
  readonly #post: PostMessage;
  #burst: Frame[] = [];
  #bytes = 0;
  #refused = 0;

  constructor(backend: NetBackend, name: string, post: PostMessage) {
    this.#post = post;
    this.connection = backend.connect(this, name);
  }

  /** Messages that were not what this tab's version sends. */
  get refused(): number {
    return this.#refused;
  }

  receive(frame: Frame): boolean {
    this.#burst.push(frame);
    this.#bytes += HEADER_BYTES + frame.bytes.length;
    if (this.#bytes >= MAX_MESSAGE_BYTES) this.receiveDone();
    return true;
  }

  receiveDone(): void {
    if (this.#burst.length === 0) return;
    const message = encodeFrames(this.#burst, this.#bytes);
    this.#burst = [];
    this.#bytes = 0;
    this.#post(message);
  }

  sendReady(): void {}

  /** A message of another tab. */
  arrived(message: Uint8Array<ArrayBuffer>): void {
    const frames = decodeFrames(message);
    if (frames === undefined) {
      this.#refused++;
      return;
    }
    for (const frame of frames) this.connection.send(frame);
    this.connection.sendDone();
  }
}

function encodeFrames(frames: readonly Frame[], bytes: number): Uint8Array<ArrayBuffer> {
  const message = new Uint8Array(bytes);
  const data = new DataView(message.buffer);
  let at = 0;
  for (const { bytes: frame, offload } of frames) {
    data.setUint32(at, frame.length, true);
    data.setUint8(
      at + 4,
      (offload.checksum === undefined ? 0 : FLAG_CHECKSUM) |
        (offload.isChecked ? FLAG_CHECKED : 0) |
        (offload.hasEcn ? FLAG_ECN : 0),
    );
    data.setUint8(at + 5, SEGMENTATIONS.indexOf(offload.segmentation));
    data.setUint16(at + 6, offload.segmentBytes, true);
    data.setUint16(at + 8, offload.checksum?.start ?? 0, true);
    data.setUint16(at + 10, offload.checksum?.offset ?? 0, true);
    message.set(frame, at + HEADER_BYTES);
    at += HEADER_BYTES + frame.length;
  }
  return message;
}

function decodeFrames(message: Uint8Array<ArrayBuffer>): Frame[] | undefined {
  const data = new DataView(message.buffer, message.byteOffset, message.length);
  const frames: Frame[] = [];
  for (let at = 0; at < message.length;) {
    if (at + HEADER_BYTES > message.length) return undefined;
    const length = data.getUint32(at, true);
    const end = at + HEADER_BYTES + length;
    if (length < ETHERNET_HEADER_BYTES || length > MAX_FRAME_BYTES || end > message.length) return undefined;
    const offload = decodeOffload(data, at);
    if (offload === undefined) return undefined;
    frames.push({ bytes: message.slice(at + HEADER_BYTES, end), offload });
    at = end;
  }
  return frames;
}

function decodeOffload(data: DataView, at: number): Offload | undefined {
  const flags = data.getUint8(at + 4);
  const segmentation = SEGMENTATIONS[data.getUint8(at + 5)];
  const hasChecksum = (flags & FLAG_CHECKSUM) !== 0;
  if (segmentation === undefined || (segmentation !== 'none' && !hasChecksum)) return undefined;
  return {
    ...(hasChecksum
      ? { checksum: { start: data.getUint16(at + 8, true), offset: data.getUint16(at + 10, true) } }
      : {}),
    isChecked: (flags & FLAG_CHECKED) !== 0,
    segmentation,
    segmentBytes: data.getUint16(at + 6, true),
    hasEcn: (flags & FLAG_ECN) !== 0,
  };
}
