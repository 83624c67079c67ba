/** Requests come from a device that a hostile guest drives: nothing reaches a driver that does not fit the disk. */
import { JOB_BYTES } from './block-backend.ts';
import type { BlockProperties, BlockRequest, BlockStatus, SourcePriority } from './block-backend.ts';
import { segmentBytes } from './segments.ts';

export interface RequestProblem {
  /** What the request completes with, without reaching the driver. */
  readonly status: BlockStatus;
  readonly text: string;
}

/** Undefined if the request can be carried out. A request for nothing is done already: `ok`. */
export function requestProblem(
  request: BlockRequest,
  properties: BlockProperties,
  priority: SourcePriority,
): RequestProblem | undefined {
  const { operation, offset, length, segments } = request;
  if (operation === 'flush') return undefined;
  if (properties.readOnly && operation !== 'read') {
    return { status: 'unsupported', text: `The disk “${properties.id}” is read-only.` };
  }
  if (operation === 'discard' && properties.discardGranularity === 0) {
    return { status: 'unsupported', text: `The disk “${properties.id}” has no discard.` };
  }
  const { blockSize, sizeBytes } = properties;
  const aligned =
    Number.isSafeInteger(offset) &&
    Number.isSafeInteger(length) &&
    offset % blockSize === 0 &&
    length % blockSize === 0;
  if (!aligned || offset < 0 || length < 0 || offset + length > sizeBytes) {
    return {
      status: 'io-error',
      text: `A request for ${length} bytes at ${offset} does not fit the disk “${properties.id}” of ${sizeBytes} bytes.`,
    };
  }
  const data = operation === 'read' || operation === 'write' ? length : 0;
  if (segmentBytes(segments) !== data) {
    return {
      status: 'io-error',
      text: `A request for ${length} bytes at ${offset} came with room for another number.`,
    };
  }
  if (priority === 'job' && length > JOB_BYTES) {
    return {
      status: 'unsupported',
      text: `A request of a job may carry ${JOB_BYTES} bytes at most, not ${length}.`,
    };
  }
  return length === 0 ? { status: 'ok', text: '' } : undefined;
}
