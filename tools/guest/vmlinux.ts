/**
 * Takes the uncompressed vmlinux (an ELF file) out of a bzImage, for tests of the PVH entry: Debian ships none of its own
 * outside of its debug packages. boot.rst: payload_offset and payload_length.
 */
import { gunzipSync } from 'node:zlib';
import { filter } from './process.ts';

const SETUP_SECTS = 0x1f1;
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;

export async function extractVmlinux(bzImage: Uint8Array): Promise<Uint8Array> {
  const view = new DataView(bzImage.buffer, bzImage.byteOffset, bzImage.byteLength);
  const kernelOffset = ((bzImage[SETUP_SECTS]! || 4) + 1) * 512;
  const start = kernelOffset + view.getUint32(PAYLOAD_OFFSET, true);
  const payload = bzImage.subarray(start, start + view.getUint32(PAYLOAD_LENGTH, true));
  const magic = Buffer.from(payload.subarray(0, 6)).toString('hex');
  // All but gzip have the uncompressed size appended in four bytes.
  const stream = payload.subarray(0, payload.length - 4);
  if (magic.startsWith('1f8b')) return gunzipSync(payload);
  if (magic === 'fd377a585a00') return collect(filter('xz', ['-dc'], stream));
  if (magic.startsWith('28b52ffd')) return collect(filter('zstd', ['-dc'], stream));
  if (magic.startsWith('02214c18')) return unpackLz4(stream);
  throw new Error(`bzImage with an unknown compression (${magic})`);
}

async function collect(stream: AsyncIterable<Buffer>): Promise<Uint8Array> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}

/** LZ4's legacy frame: a magic number, then blocks of up to 8 MiB with their compressed size in front. */
export function unpackLz4(frame: Uint8Array): Uint8Array {
  const BLOCK_BYTES = 8 << 20;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const blocks: Uint8Array[] = [];
  let at = 4;
  while (at + 4 <= frame.length) {
    const size = view.getUint32(at, true);
    blocks.push(unpackBlock(frame.subarray(at + 4, at + 4 + size), BLOCK_BYTES));
    at += 4 + size;
  }
  return Buffer.concat(blocks);
}

/** One LZ4 block: sequences of literals and a copy of earlier output (lz4_Block_format.md). */
function unpackBlock(block: Uint8Array, capacity: number): Uint8Array {
  const output = new Uint8Array(capacity);
  let length = 0;
  let at = 0;
  const extended = (nibble: number): number => {
    let value = nibble;
    if (nibble !== 15) return value;
    for (;;) {
      const byte = block[at++]!;
      value += byte;
      if (byte !== 255) return value;
    }
  };
  while (at < block.length) {
    const token = block[at++]!;
    const literals = extended(token >>> 4);
    output.set(block.subarray(at, at + literals), length);
    at += literals;
    length += literals;
    // The last sequence ends with its literals.
    if (at >= block.length) break;
    const offset = block[at]! | (block[at + 1]! << 8);
    at += 2;
    const copied = extended(token & 15) + 4;
    // May overlap its own output: then it repeats.
    for (let index = 0; index < copied; index++) output[length + index] = output[length + index - offset]!;
    length += copied;
  }
  return output.subarray(0, length);
}
