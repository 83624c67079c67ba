/** The helper's side of `aio=threads`: carries out what the disk's thread has put into the port, with a file of its own. */
import { SyncFileIo } from './sync-file.ts';
import type { Outcome, SyncFile } from './sync-file.ts';
import {
  CANCELLED,
  COPIED,
  FINISHED,
  KIND,
  KINDS,
  LENGTH,
  MAX_PROBLEM,
  OFFSET,
  PortViews,
  QUEUED,
  RUNNING,
  SEGMENTS,
  STATE,
  STATUS,
  STATUSES,
  STOP,
  STOPPED,
  WAKE,
} from './thread-port.ts';
import type { PortSlot } from './thread-port.ts';

export interface ThreadServerOptions {
  readonly port: SharedArrayBuffer;
  /** The memory that the segments' addresses count in. */
  readonly memory: SharedArrayBuffer;
  readonly file: SyncFile;
  readonly readOnly: boolean;
  readonly sharedViews: boolean;
  /** Wakes the disk's thread, which then calls `poll()` of its driver. */
  readonly wake: () => void;
}

export class ThreadServer {
  readonly #options: ThreadServerOptions;
  readonly #views: PortViews;
  readonly #io: SyncFileIo;

  constructor(options: ThreadServerOptions) {
    this.#options = options;
    this.#views = new PortViews(options.port);
    this.#io = new SyncFileIo(options.file, options.sharedViews);
  }

  /** Works until the disk's thread says stop, then closes the file. Blocks: for a worker that does nothing else. */
  run(): void {
    const { control } = this.#views;
    while (Atomics.load(control, STOP) === 0) {
      // Before the look at the ring, so that whatever comes after that look keeps us awake.
      const seen = Atomics.load(control, WAKE);
      if (!this.step()) this.#views.sleep(seen);
    }
    this.finish();
  }

  /** After the stop: closes the file and tells the disk's thread. */
  finish(): void {
    this.#io.close();
    // After the close: the disk's thread may then open or remove the file.
    Atomics.add(this.#views.control, STOPPED, 1);
    this.#options.wake();
  }

  /** Carries out one slot; false if there is none. */
  step(): boolean {
    const index = this.#views.pop();
    if (index < 0) return false;
    const slot = this.#views.slots[index]!;
    // Whoever changes `queued` first decides: we, or the disk's thread that cancels.
    if (Atomics.compareExchange(slot.words, STATE, QUEUED, RUNNING) === CANCELLED) {
      this.#answer(slot, { status: 'cancelled' });
    } else {
      const copiedBefore = this.#io.copied.copiedBytes;
      const outcome = this.#run(slot);
      slot.words[COPIED] = this.#io.copied.copiedBytes - copiedBefore;
      this.#answer(slot, outcome);
    }
    return true;
  }

  #run(slot: PortSlot): Outcome {
    const kind = KINDS[slot.words[KIND]!]!;
    const offset = slot.numbers[OFFSET]!;
    if (this.#options.readOnly && kind !== 'read' && kind !== 'flush' && kind !== 'size') {
      return { status: 'unsupported' };
    }
    switch (kind) {
      case 'flush':
        return this.#io.flush();
      case 'resize':
        return this.#io.resize(offset);
      case 'size': {
        const { size, outcome } = this.#io.size();
        slot.numbers[LENGTH] = size;
        return outcome;
      }
      default:
        return this.#io.run({
          kind,
          offset,
          length: slot.numbers[LENGTH]!,
          segments: this.#views.segments(slot, this.#options.memory),
        });
    }
  }

  #answer(slot: PortSlot, outcome: Outcome): void {
    slot.words[STATUS] = STATUSES.indexOf(outcome.status);
    const problem = (outcome.problem ?? '').slice(0, MAX_PROBLEM);
    for (let index = 0; index < problem.length; index++) slot.text[index] = problem.charCodeAt(index);
    slot.words[SEGMENTS] = problem.length;
    // The data and the answer before the state, which makes the disk's thread look at them.
    Atomics.store(slot.words, STATE, FINISHED);
    this.#options.wake();
  }
}
