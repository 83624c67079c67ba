/**
 * The suite of recorded vectors, wherever it runs: Vitest under Node and the browser test call this. No Node here.
 * Every case is replayed in long mode, all but 64-bit code in legacy mode too; differences that are known are counted out.
 */
import { coverage } from '../../src/interp/vectors-coverage.ts';
import type { Coverage } from '../../src/interp/vectors-coverage.ts';
import type { Group } from '../../src/interp/vectors-file.ts';
import { decodeFile } from '../../src/interp/vectors-file.ts';
import { KNOWN_DIFFERENCES } from '../../src/interp/vectors-known.ts';
import type { PlatformKind } from '../../src/interp/vectors-platform.ts';
import type { Difference, Replay } from '../../src/interp/vectors-replay.ts';
import { CaseState } from '../../src/interp/vectors-state.ts';
import { createReplay } from './machine.ts';

/** So many differences of one group, and of one file, are written out. */
const SHOWN = 20;

/** Files without code that legacy mode could run are left out there. */
export function platformsOf(file: string): readonly PlatformKind[] {
  return file.startsWith('64') ? ['long'] : ['long', 'legacy'];
}

export class VectorSuite {
  readonly #replays: Readonly<Record<PlatformKind, Replay>>;
  readonly #groups = new Map<string, readonly Group[]>();
  readonly #matched = new Set<string>();

  constructor(core: Uint8Array<ArrayBuffer>, interpreter: Uint8Array<ArrayBuffer>) {
    this.#replays = {
      long: createReplay(core, interpreter, 'long'),
      legacy: createReplay(core, interpreter, 'legacy'),
    };
  }

  /** `bytes`: the file, decompressed. */
  add(file: string, bytes: Uint8Array): void {
    this.#groups.set(file, decodeFile(bytes, new CaseState()));
  }

  get groupCount(): number {
    return [...this.#groups.values()].reduce((sum, groups) => sum + groups.length, 0);
  }

  get caseCount(): number {
    return [...this.#groups.values()].flat().reduce((sum, { cases }) => sum + cases.length, 0);
  }

  /** Replays one file: the differences that nobody has accounted for, as text; empty if there are none. */
  unknownDifferences(file: string, kind: PlatformKind): string {
    const groups = this.#groups.get(file);
    if (groups === undefined) return `${file} was not added`;
    const all = groups.flatMap((group) => this.#replays[kind].replay(group, SHOWN));
    const unknown = all.filter((difference) => !this.#isKnown(difference));
    const lines = unknown.slice(0, SHOWN).map(({ text }) => text);
    if (unknown.length > SHOWN) lines.push(`... ${unknown.length} in all`);
    return lines.join('\n');
  }

  coverage(): Coverage {
    return coverage([...this.#groups.values()].flat());
  }

  /** Reasons of the known differences that nothing has shown so far. */
  goneDifferences(): readonly string[] {
    return KNOWN_DIFFERENCES.map(({ reason }) => reason).filter((reason) => !this.#matched.has(reason));
  }

  #isKnown(difference: Difference): boolean {
    const known = KNOWN_DIFFERENCES.find(
      ({ group, text }) => group.test(difference.group) && text.test(difference.text),
    );
    if (known) this.#matched.add(known.reason);
    return known !== undefined;
  }
}
