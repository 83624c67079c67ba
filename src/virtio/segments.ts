/**
 * Pieces of guest memory that a descriptor chain names. The queue has checked them when it popped the chain: all
 * of it is RAM, and RAM neither moves nor shrinks.
 */
import type { GuestMemory } from '../memory/guest-memory.ts';

export interface Segment {
  readonly gpa: number;
  readonly bytes: number;
}

export function segmentBytes(segments: readonly Segment[]): number {
  let sum = 0;
  for (const segment of segments) sum += segment.bytes;
  return sum;
}

/** The part from `offset`, at most `bytes` long. */
export function sliceSegments(segments: readonly Segment[], offset: number, bytes: number): Segment[] {
  const slice: Segment[] = [];
  let skip = offset;
  let left = bytes;
  for (const segment of segments) {
    if (left <= 0) break;
    if (skip >= segment.bytes) {
      skip -= segment.bytes;
      continue;
    }
    const part = Math.min(segment.bytes - skip, left);
    slice.push(part === segment.bytes ? segment : { gpa: segment.gpa + skip, bytes: part });
    left -= part;
    skip = 0;
  }
  return slice;
}

/** A private copy of at most `bytes` bytes from `offset`: what is checked and then used must be read once. */
export function readSegments(
  memory: GuestMemory,
  segments: readonly Segment[],
  offset: number,
  bytes: number,
): Uint8Array<ArrayBuffer> {
  const pieces = sliceSegments(segments, offset, bytes);
  const copy = new Uint8Array(segmentBytes(pieces));
  let at = 0;
  for (const { gpa, bytes: length } of pieces) {
    const view = memory.view(gpa, length);
    if (view !== undefined) copy.set(view, at);
    at += length;
  }
  return copy;
}

/** Writes as much of `data` as fits behind `offset`, and says how much that was. */
export function writeSegments(
  memory: GuestMemory,
  segments: readonly Segment[],
  offset: number,
  data: Uint8Array,
): number {
  let at = 0;
  for (const { gpa, bytes } of sliceSegments(segments, offset, data.length)) {
    if (!memory.write(gpa, data.subarray(at, at + bytes))) break;
    at += bytes;
  }
  return at;
}
