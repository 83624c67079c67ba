/**
 * Differences from the recorded CPU that are known and not (yet) removed. The suite fails on any other difference, and
 * names the entries that no longer match anything.
 */
export interface KnownDifference {
  readonly group: RegExp;
  /** In the text of the difference. */
  readonly text: RegExp;
  readonly reason: string;
}

export const KNOWN_DIFFERENCES: readonly KnownDifference[] = [];
