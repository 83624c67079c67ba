/** A device's queue for tests: requests are made available, and their completions are written down. */
import type {
  BlockBackend,
  BlockClient,
  BlockOperation,
  BlockRequest,
  BlockStatus,
} from './block-backend.ts';
import type { RequestSource, SourcePriority } from './block-backend.ts';
import { BlockQueue } from './block-queue.ts';
import type { QueueOptions } from './block-queue.ts';
import type { BlockDriver } from './block-driver.ts';

export class TestSource implements RequestSource {
  /** `name status`, and `|` where a batch of completions was over. */
  readonly completions: string[] = [];
  available: BlockRequest[] = [];
  readonly requests = new Map<string, BlockRequest>();
  client!: BlockClient;
  /** Called at each completion. */
  onComplete: (name: string, status: BlockStatus) => void = () => {};

  next(): BlockRequest | undefined {
    return this.available.shift();
  }

  batchDone(): void {
    this.completions.push('|');
  }

  /** Makes a request available, without a kick. */
  add(name: string, operation: BlockOperation, offset = 0, length = 512, unmap = false): BlockRequest {
    const data = operation === 'read' || operation === 'write';
    const request: BlockRequest = {
      operation,
      offset,
      length: operation === 'flush' ? 0 : length,
      segments: data ? [new Uint8Array(new SharedArrayBuffer(Math.max(0, length)))] : [],
      unmap,
      complete: (status) => {
        this.completions.push(`${name} ${status}`);
        this.onComplete(name, status);
      },
    };
    this.requests.set(name, request);
    this.available.push(request);
    return request;
  }

  /** Completions without the ends of batches. */
  get statuses(): readonly string[] {
    return this.completions.filter((text) => text !== '|');
  }
}

export interface TestQueue {
  readonly queue: BlockQueue;
  readonly backend: BlockBackend;
  /** In milliseconds; tests move it. */
  readonly clock: { now: number; deferred: number };
  readonly attach: (name: string, priority?: SourcePriority) => TestSource;
}

export function testQueue(driver: BlockDriver, options: Partial<QueueOptions> = {}): TestQueue {
  const clock = { now: 0, deferred: 0 };
  const opened: BlockQueue[] = [];
  BlockQueue.open(
    {
      id: 'disk0',
      driver,
      driverReason: 'The test asked for it.',
      format: 'raw',
      cache: 'writeback',
      readOnly: false,
      now: () => clock.now,
      defer: () => clock.deferred++,
      ...options,
    },
    (result) => {
      if (!result.ok) throw new Error(result.error);
      opened.push(result.value);
    },
  );
  const queue = opened[0]!;
  return {
    queue,
    backend: queue,
    clock,
    attach(name, priority) {
      const source = new TestSource();
      source.client = queue.attach(source, name, priority);
      return source;
    },
  };
}
