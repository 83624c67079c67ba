/** Who translates and compiles for a vCPU: its own thread, or the compile worker (workers/remote-compiler.ts). */
import type { CpuFeature } from '../base/cpu-features.ts';
import { Decoder } from '../isa/decoder.ts';
import { MAX_WAIT } from './tiering.ts';
import {
  PLAIN,
  translatePages,
  type PageRequest,
  type PageResult,
  type TranslationOptions,
} from '../jit/translate.ts';

export interface CompileJob {
  readonly id: number;
  readonly pages: readonly PageRequest[];
}

export interface CompiledJob {
  readonly id: number;
  readonly pages: readonly PageResult[];
  readonly module: WebAssembly.Module | undefined;
  /** Of the module. */
  readonly bytes: number;
  readonly translateMs: number;
  /** V8's part, with the first call of each function where that was made. */
  readonly compileMs: number;
}

export interface Compiler {
  /** Jobs that may be under way. */
  readonly capacity: number;
  /** Budget expiries (60 us) that an incomplete batch waits for company while nothing is under way. */
  readonly patience: number;
  submit(job: CompileJob): void;
  /** What has been finished since the last call. */
  take(): readonly CompiledJob[];
}

export function compileJob(
  decoder: Decoder,
  { id, pages }: CompileJob,
  now: () => number,
  options: TranslationOptions = PLAIN,
): CompiledJob {
  const started = now();
  const translation = translatePages(decoder, pages, options);
  const translated = now();
  const { bytes } = translation;
  const module = bytes && new WebAssembly.Module(bytes);
  return {
    id,
    pages: translation.pages,
    module,
    bytes: bytes?.length ?? 0,
    translateMs: translated - started,
    compileMs: now() - translated,
  };
}

/** In place: the vCPU stands still meanwhile. */
export class InPlaceCompiler implements Compiler {
  readonly capacity = 1;
  readonly patience = MAX_WAIT;
  readonly #decoder: Decoder;
  readonly #now: () => number;
  readonly #options: TranslationOptions;
  #done: CompiledJob[] = [];

  constructor(features: ReadonlySet<CpuFeature>, now: () => number, options: TranslationOptions = PLAIN) {
    this.#decoder = new Decoder(features);
    this.#now = now;
    this.#options = options;
  }

  submit(job: CompileJob): void {
    this.#done.push(compileJob(this.#decoder, job, this.#now, this.#options));
  }

  take(): readonly CompiledJob[] {
    const done = this.#done;
    this.#done = [];
    return done;
  }
}
