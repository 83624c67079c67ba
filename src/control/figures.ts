/** What a vCPU's thread counts. */

/** What was translated; times in ms. */
export interface JitFigures {
  /** Translated since power-on; instructions are the guest's, bytes WebAssembly. */
  readonly regions: number;
  readonly modules: number;
  readonly bytes: number;
  readonly instructions: number;
  /** Of these, what is installed now. */
  readonly liveRegions: number;
  readonly liveModules: number;
  readonly liveBytes: number;
  /** Modules that had to go for newer ones. */
  readonly evicted: number;
  /** Pages whose code changed before their translation was there; pages translated again after their code changed. */
  readonly dropped: number;
  readonly retranslated: number;
  /** Pages whose regions were merged into one. */
  readonly merged: number;
  /** Hot blocks that were sent back as too many were waiting or their page is written often. */
  readonly postponed: number;
  /** Pages that wait or are being compiled: now, and at most. */
  readonly queue: number;
  readonly longestQueue: number;
  /** Turns of the event loop that answers of the compile worker were worth; 0 without one. */
  readonly turns: number;
  /** In the compiler, which may be another thread. */
  readonly translateMs: number;
  readonly compileMs: number;
  /** On the vCPU's thread. */
  readonly requestMs: number;
  readonly installMs: number;
}

/** Of `-jit verify`. */
export interface VerifyFigures {
  /** Runs of regions that were compared, and their instructions. */
  readonly runs: number;
  readonly instructions: number;
  /** Runs that were repeated as memory changed meanwhile. */
  readonly repeated: number;
  /** Runs that wrote too much to be compared. */
  readonly unverified: number;
}

/** Where the time of the vCPU's thread went, in ms, and how often each EXIT_* came, by its name. */
export interface VcpuFigures {
  readonly decodeMs: number;
  readonly interpretMs: number;
  readonly haltedMs: number;
  readonly jit: JitFigures;
  readonly verify?: VerifyFigures;
  readonly exits: Readonly<Record<string, number>>;
}
