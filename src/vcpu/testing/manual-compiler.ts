/** A compiler that answers when the test says so, as the compile worker does some time later. */
import { DEFAULT_FEATURES } from '../../base/cpu-features.ts';
import { Decoder } from '../../isa/decoder.ts';
import { compileJob, type CompiledJob, type CompileJob, type Compiler } from '../compiler.ts';

export class ManualCompiler implements Compiler {
  readonly capacity = 2;
  readonly patience = 1;
  /** What waits for an answer. */
  readonly jobs: CompileJob[] = [];
  #done: CompiledJob[] = [];

  submit(job: CompileJob): void {
    this.jobs.push(job);
  }

  /** Answers every job; the vCPU installs them when it runs next. */
  answer(): void {
    const decoder = new Decoder(DEFAULT_FEATURES);
    this.#done.push(...this.jobs.splice(0).map((job) => compileJob(decoder, job, () => 0)));
  }

  take(): readonly CompiledJob[] {
    return this.#done.splice(0);
  }
}
