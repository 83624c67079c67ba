/** Read-only data that comes in large pieces: a dropped file, later a URL. Small pieces cost as much as large ones. */

/** The bytes asked for, or why there are none. */
export type RangeResult =
  | { readonly ok: true; readonly data: Uint8Array }
  | { readonly ok: false; readonly problem: string };

export interface RangeSource {
  readonly sizeBytes: number;
  /** How many reads it can make use of at once; 1 = `read` answers before it returns. */
  readonly parallel: number;
  /** `end` is at most `sizeBytes`. Calls `done` once, at once or later, on the disk's thread. */
  read(start: number, end: number, done: (result: RangeResult) => void): void;
  close(): void;
}
