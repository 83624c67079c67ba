/** One run of a machine from start to its end, with the figures that the runner writes down. */
import { isLegal } from '../control/commands.ts';
import type { MachineInfo } from '../control/info.ts';
import type { MachineStats } from '../control/stats.ts';
import type { MachineStatus } from '../control/status.ts';
import type { VcpuFigures } from '../control/figures.ts';
import { Machine } from './machine.ts';
import type { MachineParts } from './machine.ts';
import { MarkedLines } from './marked-lines.ts';
import { OutputWatch } from './output-watch.ts';

export interface SessionOptions {
  readonly parts: MachineParts;
  /** Output that ends the run. */
  readonly until?: string;
  /** Lines of output with this text are noted in the result. */
  readonly marker?: string;
  /** Look where the vCPU's time goes; `info` has it. */
  readonly profile?: boolean;
  readonly onOutput: (bytes: Uint8Array) => void;
  /** What the user must know; the machine goes on. */
  readonly onWarning?: (message: string) => void;
}

export interface Mark {
  /** From the marker on. */
  readonly line: string;
  /** From reset. */
  readonly timeMs: number;
  readonly instructions?: number;
}

/** Can be sent from the runner's page to the runner. */
export interface SessionResult {
  /** How it ended: by itself (`status` says how), because `until` was seen, or because it was told to. */
  readonly ended: 'by-itself' | 'until' | 'told';
  readonly status: MachineStatus;
  readonly stats?: MachineStats;
  readonly figures?: VcpuFigures;
  /** Disks, devices, exits: what `info` tells. */
  readonly info?: MachineInfo;
  /** Registers at the end of a run that did not end by itself. */
  readonly registers?: string;
  /** In ms. */
  readonly startToResetMs?: number;
  readonly resetToFirstOutputMs?: number;
  readonly resetToUntilMs?: number;
  readonly runMs?: number;
  readonly marks: readonly Mark[];
}

export class Session {
  readonly #machine: Machine;
  readonly #options: SessionOptions;
  #firstOutput: number | undefined;
  #untilSeen: number | undefined;
  readonly #marks: Mark[] = [];
  /** Typed before the machine ran. */
  #early: Uint8Array[] = [];
  #finish: ((ended: SessionResult['ended']) => void) | undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#machine = new Machine(options.parts);
  }

  get machine(): Machine {
    return this.#machine;
  }

  async run(): Promise<SessionResult> {
    const watch = this.#options.until === undefined ? undefined : new OutputWatch(this.#options.until);
    const { marker } = this.#options;
    const marks = marker === undefined ? undefined : new MarkedLines(marker, (line) => this.#mark(line));
    const end = new Promise<SessionResult['ended']>((resolve) => {
      this.#finish = resolve;
    });
    this.#machine.subscribe((event) => {
      switch (event.kind) {
        case 'serialOutput':
          this.#firstOutput ??= performance.now();
          marks?.push(event.bytes);
          this.#options.onOutput(event.bytes);
          if (this.#untilSeen === undefined && watch?.push(event.bytes) === true) {
            this.#untilSeen = performance.now();
            this.#finish?.('until');
          }
          break;
        case 'status':
          if (event.status.state === 'running') this.#sendEarly();
          if (event.status.state === 'paused' && event.status.problem !== undefined)
            this.#options.onWarning?.(event.status.problem.message);
          if (['off', 'shutdown', 'crashed'].includes(event.status.state)) this.#finish?.('by-itself');
          break;
        case 'warning':
          this.#options.onWarning?.(`${event.subject}: ${event.message}`);
          break;
        case 'reset':
        case 'stats':
          break;
      }
    });
    if (this.#options.profile === true) this.#machine.startProfile();
    await this.#machine.execute({ kind: 'start' });
    const ended = await end;
    const endTime = performance.now();
    // A pause brings registers and figures into memory; then the machine may go.
    await this.#machine.execute({ kind: 'pause' });
    const result = this.#result(ended, endTime, await this.#machine.info());
    await this.#machine.execute({ kind: 'stop' });
    return result;
  }

  /** Input for COM1; what comes before the machine runs waits until it does. */
  send(bytes: Uint8Array): void {
    if (isLegal('serialInput', this.#machine.status.state)) {
      void this.#machine.execute({ kind: 'serialInput', bytes });
    } else this.#early.push(bytes);
  }

  #sendEarly(): void {
    const early = this.#early;
    this.#early = [];
    for (const bytes of early) void this.#machine.execute({ kind: 'serialInput', bytes });
  }

  /** Ends the run. */
  end(): void {
    this.#finish?.('told');
  }

  #mark(line: string): void {
    const instructions = this.#machine.readStats()?.instructions;
    this.#marks.push({
      line,
      timeMs: performance.now() - (this.#machine.times.powerOn ?? Number.NaN),
      ...(instructions === undefined ? {} : { instructions }),
    });
  }

  #result(ended: SessionResult['ended'], endTime: number, info: MachineInfo | undefined): SessionResult {
    const { times, status, figures } = this.#machine;
    const stats = this.#machine.readStats();
    const registers = ended === 'by-itself' ? undefined : this.#machine.describe();
    // The first power-on counts: a guest that resets itself has long printed something.
    const reset = times.powerOn;
    const since = (time: number | undefined): number | undefined =>
      time === undefined || reset === undefined ? undefined : time - reset;
    return withoutUndefined({
      ended,
      status,
      stats,
      figures,
      info,
      registers,
      startToResetMs: reset === undefined ? undefined : reset - times.start,
      resetToFirstOutputMs: since(this.#firstOutput),
      resetToUntilMs: since(this.#untilSeen),
      runMs: since(endTime),
      marks: this.#marks,
    });
  }
}

type Defined<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

function withoutUndefined<T extends object>(value: T): Defined<T> {
  return Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== undefined)) as Defined<T>;
}
