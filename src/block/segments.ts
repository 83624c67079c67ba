/** Lists of memory ranges: what a request's data is spread over. */

export function segmentBytes(segments: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const segment of segments) bytes += segment.length;
  return bytes;
}

/** The same bytes in as few segments as possible: neighbours in memory become one, empty ones go. */
export function joinSegments(segments: readonly Uint8Array[]): readonly Uint8Array[] {
  if (segments.length === 1 && segments[0]!.length > 0) return segments;
  const joined: Uint8Array[] = [];
  for (const segment of segments) {
    if (segment.length === 0) continue;
    const last = joined.at(-1);
    if (last === undefined || last.buffer !== segment.buffer || endOf(last) !== segment.byteOffset) {
      joined.push(segment);
    } else {
      joined[joined.length - 1] = new Uint8Array(last.buffer, last.byteOffset, last.length + segment.length);
    }
  }
  return joined;
}

/** `bytes` bytes from `start` of what the segments hold, without copying. */
export function sliceSegments(
  segments: readonly Uint8Array[],
  start: number,
  bytes: number,
): readonly Uint8Array[] {
  const slice: Uint8Array[] = [];
  let skip = start;
  let left = bytes;
  for (const segment of segments) {
    if (left === 0) break;
    if (skip >= segment.length) {
      skip -= segment.length;
      continue;
    }
    const part = segment.subarray(skip, Math.min(segment.length, skip + left));
    slice.push(part);
    left -= part.length;
    skip = 0;
  }
  return slice;
}

/** Copies the segments one behind the other into `target`, which is large enough. */
export function gather(segments: readonly Uint8Array[], target: Uint8Array): void {
  let at = 0;
  for (const segment of segments) {
    target.set(segment, at);
    at += segment.length;
  }
}

/** Spreads `source` over the segments. */
export function scatter(source: Uint8Array, segments: readonly Uint8Array[]): void {
  let at = 0;
  for (const segment of segments) {
    segment.set(source.subarray(at, at + segment.length));
    at += segment.length;
  }
}

export function zeroSegments(segments: readonly Uint8Array[]): void {
  for (const segment of segments) segment.fill(0);
}

function endOf(segment: Uint8Array): number {
  return segment.byteOffset + segment.length;
}
