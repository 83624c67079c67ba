/** The lines that a guest program writes (tools/bench/programs/runtime.c), and what the subjects note of them. */

/** The beginning of each line that counts. */
export const MARKER = '@bench ';

/** A line of the guest's output that was seen from outside. */
export interface Mark {
  /** From the marker on. */
  readonly line: string;
  /** On any clock, as long as it is the same for all marks. */
  readonly timeMs: number;
  /** Guest instructions until then, where the subject counts them. */
  readonly instructions?: number;
  /** CPU time of the thread that runs the guest, where the host tells. */
  readonly threadMs?: number;
  readonly others?: Others;
}

/** A look at the whole machine. */
export interface Others {
  readonly timeMs: number;
  /** What all cores together have worked for others than the subject; only differences mean something. */
  readonly busyMs: number;
}

export interface ProgramRun {
  readonly program: string;
  readonly checksum: string;
  /** By the clock of the host, from the line before the program's work to the line after it. */
  readonly timeMs: number;
  /** The same by the guest's CLOCK_MONOTONIC. */
  readonly guestMs: number;
  readonly instructions?: number;
  readonly threadMs?: number;
  /** Cores that something else kept busy meanwhile, on average. */
  readonly otherCores?: number;
}

const END = /^@bench end (\S+) ([0-9a-f]{16}) (\d+)$/;

function difference(to: number | undefined, from: number | undefined): number | undefined {
  return to === undefined || from === undefined ? undefined : to - from;
}

export function otherCoresBetween(from: Others | undefined, to: Others | undefined): number | undefined {
  if (from === undefined || to === undefined || to.timeMs <= from.timeMs) return undefined;
  return Math.max(0, to.busyMs - from.busyMs) / (to.timeMs - from.timeMs);
}

/** One run for each program that began and ended. */
export function runsOf(marks: readonly Mark[]): ProgramRun[] {
  return marks.flatMap((end) => {
    const [, program, checksum, microseconds] = END.exec(end.line) ?? [];
    if (program === undefined || checksum === undefined) return [];
    const start = marks.find(({ line }) => line === `${MARKER}start ${program}`);
    if (start === undefined) return [];
    const instructions = difference(end.instructions, start.instructions);
    const threadMs = difference(end.threadMs, start.threadMs);
    const otherCores = otherCoresBetween(start.others, end.others);
    return [
      {
        program,
        checksum,
        timeMs: end.timeMs - start.timeMs,
        guestMs: Number(microseconds) / 1000,
        ...(instructions === undefined ? {} : { instructions }),
        ...(threadMs === undefined ? {} : { threadMs }),
        ...(otherCores === undefined ? {} : { otherCores }),
      },
    ];
  });
}
