/** The device without an operating system: the bare-metal ring (tools/ring), and beside it the driver without a machine. */
import { inRealTime } from '../bench/priority.ts';
import type { Log } from '../guest/apt.ts';
import { runRing } from '../ring/run.ts';
import type { RingMeasurement, RingOptions } from '../ring/run.ts';
import { buildBlockSite, rawDriverSpeed } from './raw-driver.ts';
import type { Speed } from './raw-driver.ts';

export interface RingRun {
  readonly name: string;
  readonly measurements: readonly RingMeasurement[];
  readonly failure?: string;
}

/** Requests per second of random reads of 4 KiB at depth 16, of one after the other. */
export interface RingPair {
  readonly ring: number;
  readonly driver: number;
}

export interface RingRuns {
  readonly rings: readonly RingRun[];
  readonly driver: readonly Speed[];
  readonly pairs: readonly RingPair[];
}

const RINGS: readonly (RingOptions & { readonly name: string })[] = [
  { name: 'Virtab, JIT, ioeventfd=on', machine: 'virtab-jit', ioeventfd: 'on' },
  { name: 'Virtab, JIT, ioeventfd=off', machine: 'virtab-jit', ioeventfd: 'off' },
  { name: 'QEMU TCG', machine: 'qemu' },
];

/** Of the two in turn. The ring's smaller depths come first and are its warm-up: without them depth 16 is at 90 to 230 thousand, not 300. */
const PAIR: RingOptions = { machine: 'virtab-jit', ioeventfd: 'on', append: 'wait=poll' };
const PAIR_DEPTH = 16;
const PAIRS = 3;

export async function measureRings(realTime: boolean, log: Log): Promise<RingRuns> {
  const rings: RingRun[] = [];
  for (const { name, ...options } of RINGS) {
    log(`== ring, ${name}`);
    try {
      const { measurements } = await inRealTime(realTime, () => runRing(options, log));
      rings.push({ name, measurements });
    } catch (error) {
      rings.push({ name, measurements: [], failure: reasonOf(error) });
      log(reasonOf(error));
    }
  }
  log('== ring and driver in turn');
  await buildBlockSite();
  let driver: readonly Speed[] = [];
  const pairs: RingPair[] = [];
  try {
    for (let index = 0; index < PAIRS; index++) {
      driver = await inRealTime(realTime, () => rawDriverSpeed('opfs'));
      const { measurements } = await inRealTime(realTime, () => runRing(PAIR, log));
      const pair = {
        ring:
          measurements.find(({ op, depth }) => op === 'randread' && depth === PAIR_DEPTH)?.rps ?? Number.NaN,
        driver:
          driver.find(({ name }) => name === `opfs random read depth ${PAIR_DEPTH}`)?.perSecond ?? Number.NaN,
      };
      log(`${pair.ring.toFixed(0)} and ${pair.driver.toFixed(0)} requests/s`);
      pairs.push(pair);
    }
  } catch (error) {
    rings.push({ name: 'in turn with the driver', measurements: [], failure: reasonOf(error) });
    log(reasonOf(error));
  }
  return { rings, driver, pairs };
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
