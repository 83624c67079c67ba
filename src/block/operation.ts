/** One or several requests on their way through the driver. */
import type { DriverDone, DriverOperation, DriverOperationKind } from './block-driver.ts';
import type { QueueClient, Run, Taken } from './queue-client.ts';
import { joinSegments, sliceSegments } from './segments.ts';

/**
 * The most that goes to the driver at once: 4 MiB take 1 to 2 ms, for which a synchronous driver keeps the thread. A guest may zero
 * 2 GiB with one request.
 */
export const PIECE_BYTES = 4 * 1024 * 1024;

export class Operation {
  readonly kind: DriverOperationKind | 'flush';
  readonly owner: QueueClient;
  /** In the order of first submission: what failed is submitted again by it. */
  readonly sequence: number;
  /** The requests that complete with it. */
  parts: Taken[];
  readonly offset: number;
  readonly length: number;
  readonly #segments: readonly Uint8Array[];
  readonly #unmap: boolean;
  /** Bytes that are done. */
  #done = 0;
  /** What the driver has of it at the moment. */
  piece: DriverOperation | undefined;
  submittedAt = 0;
  /** How often the disk had been resumed when it was submitted. */
  submittedIn = 0;
  /** Of a flush: the writes that it covers, see FlushState. */
  covers = 0;
  inDriver = false;

  constructor(owner: QueueClient, run: Run, sequence: number) {
    const first = run[0]!.request;
    const last = run.at(-1)!.request;
    this.owner = owner;
    this.sequence = sequence;
    this.parts = [...run];
    this.kind = first.operation;
    this.offset = first.offset;
    this.length = this.kind === 'flush' ? 0 : last.offset + last.length - first.offset;
    this.#segments = joinSegments(
      run.length === 1 ? first.segments : run.flatMap((taken) => taken.request.segments),
    );
    this.#unmap = first.unmap;
  }

  /** True if it changes the medium. */
  get writes(): boolean {
    return this.kind !== 'read' && this.kind !== 'flush';
  }

  /** What the driver shall do next. */
  nextPiece(kind: DriverOperationKind, done: DriverDone): DriverOperation {
    const { length } = this;
    const bytes = Math.min(PIECE_BYTES, length - this.#done);
    const whole = bytes === length;
    this.piece = {
      kind,
      offset: this.offset + this.#done,
      length: bytes,
      segments: whole ? this.#segments : sliceSegments(this.#segments, this.#done, bytes),
      unmap: this.#unmap,
      done,
    };
    return this.piece;
  }

  /** The piece is done; true if there is more to do. */
  advance(): boolean {
    this.#done += this.piece?.length ?? 0;
    this.piece = undefined;
    return this.#done < this.length;
  }

  /** The same requests, each an operation of its own. */
  singly(): readonly Operation[] {
    return this.parts.map((part) => new Operation(part.owner, [part], this.sequence));
  }

  /** Removes the parts that `which` names. */
  takeOut(which: (part: Taken) => boolean): Run {
    const out = this.parts.filter(which);
    if (out.length > 0) this.parts = this.parts.filter((part) => !which(part));
    return out;
  }
}
