/**
 * The vCPU's end of the compile worker. Jobs go out by message at once; answers are messages too, which arrive only when the
 * vCPU's thread returns to its event loop, so the worker says by ATTENTION_COMPILED that it is worth a turn.
 */
import type { CpuFeature } from '../base/cpu-features.ts';
import { vcpuAddress } from '../layout/map.ts';
import { ATTENTION_COMPILED, VCPU } from '../layout/vcpu.ts';
import type { CompiledJob, CompileJob, Compiler } from '../vcpu/compiler.ts';

/** The first message to the compile worker. */
export interface CompilerSetup {
  readonly memory: WebAssembly.Memory;
  /** Of the vCPU that is told when an answer is on its way. */
  readonly index: number;
  readonly features: ReadonlySet<CpuFeature>;
  /** One shared word: the number of answers so far. */
  readonly answered: Int32Array<SharedArrayBuffer>;
}

/** What the compile worker answers. */
export type CompilerAnswer = CompiledJob | { readonly error: string };

/** An answer is on its way: the vCPU's thread is to take a turn of its event loop when its stay ends. */
export function askForTurn(words: Int32Array, index: number): void {
  // Behind the message that it is for: most turns that begin because of the bit find it.
  Atomics.or(words, (vcpuAddress(index) + VCPU.at.attention) >>> 2, ATTENTION_COMPILED);
}

export class RemoteCompiler implements Compiler {
  /** One in work and one waiting: the worker need not wait for us. */
  readonly capacity = 2;
  /** Every wait is interpreted, and what comes meanwhile makes the next batch. */
  readonly patience = 1;
  readonly #port: MessagePort;
  readonly #turns = new MessageChannel();
  readonly #words: Int32Array;
  readonly #index: number;
  /** Answers that the worker has sent, and those of them that are here. */
  readonly #answered = new Int32Array(new SharedArrayBuffer(4));
  #received = 0;
  #done: CompiledJob[] = [];
  #error: string | undefined;
  #afterTurn: () => void = () => {};

  constructor(port: MessagePort, setup: Omit<CompilerSetup, 'answered'>) {
    this.#port = port;
    this.#words = new Int32Array(setup.memory.buffer);
    this.#index = setup.index;
    port.addEventListener('message', ({ data }: MessageEvent<CompilerAnswer>) => {
      this.#received++;
      if ('error' in data) this.#error = data.error;
      else this.#done.push(data);
    });
    port.addEventListener('messageerror', () => {
      this.#error = 'an answer of the compile worker could not be read';
    });
    port.start();
    this.#turns.port1.addEventListener('message', () => this.#afterTurn());
    this.#turns.port1.start();
    port.postMessage({ ...setup, answered: this.#answered } satisfies CompilerSetup);
  }

  submit(job: CompileJob): void {
    this.#port.postMessage(
      job,
      job.pages.map(({ bytes }) => bytes.buffer),
    );
  }

  take(): readonly CompiledJob[] {
    if (this.#error !== undefined) throw new Error(this.#error);
    const done = this.#done;
    this.#done = [];
    return done;
  }

  /** One turn of this thread's event loop. What is on its way and has not come with it is worth another one, after the next stay. */
  async turn(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#afterTurn = resolve;
      this.#turns.port2.postMessage(0);
    });
    if (Atomics.load(this.#answered, 0) !== this.#received) askForTurn(this.#words, this.#index);
  }

  /** Nothing is sent or received any more. */
  close(): void {
    this.#port.close();
    this.#turns.port1.close();
  }
}
