/**
 * `aio=threads`: a pool of helper threads, each with a handle of its own on the same file (`readwrite-unsafe`, or `read-only`). The
 * disk's thread is never blocked, not even by a flush, and reads that miss the host's cache run side by side. Each
 * operation pays some 10 us for the way to the helper and back.
 */
import { failure, success } from '../../base/result.ts';
import type { Result } from '../../base/result.ts';
import type { BlockStatus } from '../block-backend.ts';
import type {
  BlockDriver,
  CopyCounters,
  DriverDone,
  DriverFacts,
  DriverHost,
  DriverOperation,
} from '../block-driver.ts';
import { gather, joinSegments, scatter, segmentBytes, sliceSegments } from '../segments.ts';
import {
  BOUNCE_BLOCK_BYTES,
  BOUNCE_BLOCKS,
  CANCELLED,
  COPIED,
  FINISHED,
  FREE,
  KIND,
  KINDS,
  LENGTH,
  MAX_SEGMENTS,
  OFFSET,
  PortViews,
  QUEUED,
  SEGMENTS,
  SLOTS,
  STATE,
  STATUS,
  STATUSES,
  STOP,
  STOPPED,
} from './thread-port.ts';
import type { PortKind, PortSlot } from './thread-port.ts';

export interface ThreadsOptions {
  readonly port: SharedArrayBuffer;
  /** The guest's memory: segments in it are transferred in place. */
  readonly memory: SharedArrayBuffer;
  /** Helpers that serve the port. */
  readonly threads: number;
  readonly readOnly: boolean;
}

/** What one slot carries: all of an operation, or a part of one that has too many segments or lies elsewhere in memory. */
interface Piece {
  readonly job: Job;
  readonly kind: PortKind;
  readonly offset: number;
  readonly length: number;
  readonly segments: readonly Uint8Array[];
  /** Its data go through a block of the bounce area. */
  readonly foreign: boolean;
  slot: number;
  block: number;
}

interface Job {
  readonly operation: DriverOperation | undefined;
  readonly done: (status: BlockStatus, problem: string | undefined, size: number) => void;
  left: number;
  status: BlockStatus;
  problem: string | undefined;
}

export class ThreadsDriver implements BlockDriver {
  readonly name = 'threads';
  readonly copied: CopyCounters = { copies: 0, copiedBytes: 0 };
  readonly #options: ThreadsOptions;
  readonly #views: PortViews;
  readonly #freeSlots = Array.from({ length: SLOTS }, (_, index) => SLOTS - 1 - index);
  readonly #freeBlocks = Array.from({ length: BOUNCE_BLOCKS }, (_, index) => index);
  /** In slots, oldest first. */
  #running: Piece[] = [];
  /** For which there was no slot or block yet, in order. */
  #waiting: Piece[] = [];
  #host: DriverHost | undefined;
  #closing: DriverDone | undefined;
  /** Why the helpers are gone. */
  #lost: string | undefined;

  constructor(options: ThreadsOptions) {
    this.#options = options;
    this.#views = new PortViews(options.port);
  }

  init(host: DriverHost, done: (result: Result<DriverFacts>) => void): void {
    this.#host = host;
    this.#control('size', 0, (status, problem, sizeBytes) => {
      if (status !== 'ok') return done(failure(problem ?? 'The disk’s file cannot be read.'));
      done(
        success({
          sizeBytes,
          readOnly: this.#options.readOnly,
          // One in work and one at hand for each helper.
          depth: Math.min(SLOTS, this.#options.threads * 2),
          discardGranularity: 0,
          fastZeroes: false,
          physicalBlockSize: 4096,
        }),
      );
    });
  }

  submit(operation: DriverOperation): void {
    const job: Job = {
      operation,
      done: operation.done,
      left: 0,
      status: 'ok',
      problem: undefined,
    };
    const pieces = this.#pieces(job, operation);
    job.left = pieces.length;
    this.#enqueue(pieces);
  }

  flush(done: DriverDone): void {
    this.#control('flush', 0, done);
  }

  resize(sizeBytes: number, done: DriverDone): void {
    this.#control('resize', sizeBytes, done);
  }

  cancel(operation: DriverOperation): boolean {
    const waiting = this.#waiting.filter(({ job }) => job.operation === operation);
    const running = this.#running.filter(({ job }) => job.operation === operation);
    if (waiting.length + running.length === 0) return false;
    if (running.length === 0) {
      this.#waiting = this.#waiting.filter((piece) => !waiting.includes(piece));
      for (const piece of waiting) this.#pieceDone(piece, 'cancelled', undefined, 0);
      return true;
    }
    // Of several pieces some may be written already: all or nothing.
    if (waiting.length > 0 || running.length > 1) return false;
    const { words } = this.#views.slots[running[0]!.slot]!;
    // Whoever changes `queued` first decides: we, or the helper that begins. It answers in both cases.
    return Atomics.compareExchange(words, STATE, QUEUED, CANCELLED) === QUEUED;
  }

  close(done: DriverDone): void {
    if (this.#lost !== undefined) return done('io-error', this.#lost);
    this.#closing = done;
    // Before the wake-up, which makes helpers look at it.
    Atomics.store(this.#views.control, STOP, 1);
    this.#views.wake(this.#options.threads);
    this.poll();
  }

  /** Looks for answers; to be called when a helper has woken the disk's thread. */
  poll(): void {
    const finished = this.#running.filter(
      // The state before the answer and the data that it announces.
      ({ slot }) => Atomics.load(this.#views.slots[slot]!.words, STATE) === FINISHED,
    );
    if (finished.length > 0) this.#host?.batch(() => this.#collect(finished));
    const closing = this.#closing;
    if (closing !== undefined && Atomics.load(this.#views.control, STOPPED) >= this.#options.threads) {
      this.#closing = undefined;
      closing('ok');
    }
  }

  /** The helpers died, and those that did not were ended. Nothing that they had, or will be asked for, completes otherwise. */
  lost(problem: string): void {
    this.#lost = problem;
    const pieces = [...this.#running, ...this.#waiting];
    this.#running = [];
    this.#waiting = [];
    this.#host?.batch(() => {
      for (const piece of pieces) this.#pieceDone(piece, 'io-error', problem, 0);
    });
    this.#closing?.('io-error', problem);
    this.#closing = undefined;
  }

  #control(kind: PortKind, value: number, done: Job['done']): void {
    const job: Job = { operation: undefined, done, left: 1, status: 'ok', problem: undefined };
    this.#enqueue([
      { job, kind, offset: value, length: 0, segments: [], foreign: false, slot: -1, block: -1 },
    ]);
  }

  /** Cuts an operation into what fits a slot. */
  #pieces(job: Job, operation: DriverOperation): readonly Piece[] {
    const { kind, offset, length } = operation;
    const base = { job, kind, slot: -1, block: -1 };
    const segments = joinSegments(operation.segments);
    const foreign = segments.some(({ buffer }) => buffer !== this.#options.memory);
    if (!foreign && segments.length <= MAX_SEGMENTS) return [{ ...base, offset, length, segments, foreign }];
    const pieces: Piece[] = [];
    if (foreign) {
      for (let at = 0; at < length; at += BOUNCE_BLOCK_BYTES) {
        const bytes = Math.min(BOUNCE_BLOCK_BYTES, length - at);
        pieces.push({
          ...base,
          offset: offset + at,
          length: bytes,
          segments: sliceSegments(segments, at, bytes),
          foreign,
        });
      }
      return pieces;
    }
    let at = offset;
    for (let first = 0; first < segments.length; first += MAX_SEGMENTS) {
      const part = segments.slice(first, first + MAX_SEGMENTS);
      const bytes = segmentBytes(part);
      pieces.push({ ...base, offset: at, length: bytes, segments: part, foreign });
      at += bytes;
    }
    return pieces;
  }

  #enqueue(pieces: readonly Piece[]): void {
    if (this.#lost === undefined) {
      this.#waiting.push(...pieces);
      this.#feed();
    } else for (const piece of pieces) this.#pieceDone(piece, 'io-error', this.#lost, 0);
  }

  /** Fills free slots, in order: a piece that needs a bounce block holds up those behind it. */
  #feed(): void {
    for (;;) {
      const piece = this.#waiting[0];
      if (piece === undefined || this.#freeSlots.length === 0) return;
      if (piece.foreign && this.#freeBlocks.length === 0) return;
      this.#waiting.shift();
      this.#start(piece);
    }
  }

  #start(piece: Piece): void {
    piece.slot = this.#freeSlots.pop()!;
    const slot = this.#views.slots[piece.slot]!;
    slot.words[KIND] = KINDS.indexOf(piece.kind);
    slot.words[COPIED] = 0;
    slot.numbers[OFFSET] = piece.offset;
    slot.numbers[LENGTH] = piece.length;
    if (piece.foreign) {
      piece.block = this.#freeBlocks.pop()!;
      const buffer = this.#block(piece);
      if (piece.kind === 'write') gather(piece.segments, buffer);
      this.copied.copies++;
      this.copied.copiedBytes += piece.length;
      slot.words[SEGMENTS] = 1;
      this.#views.setSegment(slot, 0, piece.block * BOUNCE_BLOCK_BYTES, piece.length, true);
    } else {
      slot.words[SEGMENTS] = piece.segments.length;
      for (const [index, segment] of piece.segments.entries()) {
        this.#views.setSegment(slot, index, segment.byteOffset, segment.length, false);
      }
    }
    // The push publishes it together with the rest of the slot.
    slot.words[STATE] = QUEUED;
    this.#running.push(piece);
    this.#views.push(piece.slot);
  }

  #block(piece: Piece): Uint8Array {
    const start = piece.block * BOUNCE_BLOCK_BYTES;
    return this.#views.bounce.subarray(start, start + piece.length);
  }

  #collect(finished: readonly Piece[]): void {
    this.#running = this.#running.filter((piece) => !finished.includes(piece));
    for (const piece of finished) {
      const slot = this.#views.slots[piece.slot]!;
      const status = STATUSES[slot.words[STATUS]!]!;
      const problem = problemOf(slot);
      const size = slot.numbers[LENGTH]!;
      if (slot.words[COPIED]! > 0) {
        this.copied.copies++;
        this.copied.copiedBytes += slot.words[COPIED]!;
      }
      if (piece.foreign) {
        if (piece.kind === 'read' && status === 'ok') scatter(this.#block(piece), piece.segments);
        this.#freeBlocks.push(piece.block);
      }
      slot.words[STATE] = FREE;
      this.#freeSlots.push(piece.slot);
      this.#feed();
      this.#pieceDone(piece, status, problem, size);
    }
  }

  /** The first failure of a piece is that of the operation. */
  #pieceDone(piece: Piece, status: BlockStatus, problem: string | undefined, size: number): void {
    const { job } = piece;
    if (job.status === 'ok' && status !== 'ok') {
      job.status = status;
      job.problem = problem;
    }
    if (--job.left === 0) job.done(job.status, job.problem, size);
  }
}

function problemOf(slot: PortSlot): string | undefined {
  const length = slot.words[SEGMENTS]!;
  return length === 0 ? undefined : String.fromCharCode(...slot.text.subarray(0, length));
}
