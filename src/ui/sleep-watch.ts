/**
 * Notices that the computer slept or the browser froze the page. While it is frozen nothing of the machine runs; the guest's clock is
 * the computer's and steps on afterwards, except for the time that the computer itself slept, which its monotonic clock leaves out.
 */
const LOOK_MS = 1000;
/** A busy computer delays timers too; less than this is nothing to talk about. */
const NOTICEABLE_MS = 10_000;

export interface Gap {
  /** How long nothing ran. */
  readonly awayMs: number;
  /** How much of that the guest's clock did not see. */
  readonly missedMs: number;
}

export interface Clocks {
  /** Goes on with the guest's clock. */
  monotonic(): number;
  /** Time of day. */
  wall(): number;
}

/** The pure part: told the time regularly, it finds the gaps. */
export class GapFinder {
  readonly #clocks: Clocks;
  #monotonic: number;
  #wall: number;

  constructor(clocks: Clocks) {
    this.#clocks = clocks;
    this.#monotonic = clocks.monotonic();
    this.#wall = clocks.wall();
  }

  look(): Gap | undefined {
    const monotonic = this.#clocks.monotonic();
    const wall = this.#clocks.wall();
    const seen = monotonic - this.#monotonic;
    const passed = wall - this.#wall;
    this.#monotonic = monotonic;
    this.#wall = wall;
    // A clock that was set back by its user is no gap.
    const missedMs = Math.max(0, passed - seen);
    const awayMs = Math.max(seen, passed);
    if (awayMs < NOTICEABLE_MS) return undefined;
    return { awayMs, missedMs: missedMs < NOTICEABLE_MS ? 0 : missedMs };
  }
}

export function watchSleep(onGap: (gap: Gap) => void): void {
  const finder = new GapFinder({ monotonic: () => performance.now(), wall: () => Date.now() });
  const look = (): void => {
    const gap = finder.look();
    if (gap !== undefined) onGap(gap);
  };
  setInterval(look, LOOK_MS);
  // A hidden page's timers run once a minute: that is no sleep. Frozen pages get `resume`.
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) look();
  });
}
