/** `npm run bench -- echo`: how soon a key shows in the console of the page while the guest is busy, and how the page's frames do. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Page } from '@playwright/test';
import type { VirtabWindow } from '../../src/main.ts';
import { buildGuest } from '../guest/build-guest.ts';
import { GUEST_FOLDER } from '../guest/folders.ts';
import { launchChromium } from '../runner/chromium.ts';
import { ensureSite, serveSite, SITE_FOLDER } from '../runner/site.ts';
import { root } from '../runner/stale.ts';
import { choose, fail, log, readCount } from './command-line.ts';
import { describeHost, load, loadWarning } from './host.ts';
import { table } from './report.ts';
import { percentile } from './statistics.ts';

interface Activity {
  readonly id: string;
  readonly name: string;
  /** Typed at the shell before the keys that are measured. */
  readonly command: string;
}

const ACTIVITIES: readonly Activity[] = [
  { id: 'idle', name: 'at the prompt', command: '' },
  { id: 'loop', name: 'busy loop in the background', command: 'while :; do :; done &\n' },
  // As a compiler's driver and make do; what it writes goes nowhere, so that the echo is the only output.
  {
    id: 'processes',
    name: 'new processes in the background',
    command: 'while :; do gzip -c /bin/busybox | md5sum; ls -R /bin; done > /dev/null 2>&1 &\n',
  },
];

const PROMPT = 'root@virtab:~#';
const BOOT_MS = 180_000;
const ECHO_MS = 30_000;
/** Keys are this far apart, and a little more each time, so that they do not keep step with the guest's timer. */
const PAUSE_MS = 120;

const HELP = `npm run bench -- echo [options]
  --keys N           keys typed under each load (default 60)
  --activities A,B   of ${ACTIVITIES.map(({ id }) => id).join(', ')} (default all, and the boot)
  --jit on|off       (default on)
  --output FOLDER    where the JSON and the table go (default build/bench)
`;

/** What the page notes: times of keys, of the output that answers them, of the frame after that, and of all frames. */
interface Notes {
  readonly keys: number[];
  readonly echoes: number[];
  readonly painted: number[];
  readonly frames: number[];
}

declare global {
  interface Window {
    benchNotes?: Notes;
    /** Notes a frame and asks for the next. */
    benchFrame?: (time: number) => void;
  }
}

/** From now on the page notes frames, and once the machine is there, keys and echoes. */
async function watch(page: Page): Promise<void> {
  // No named function in here: the loader marks those with a helper that the page does not have.
  await page.evaluate(() => {
    const notes: Notes = { keys: [], echoes: [], painted: [], frames: [] };
    window.benchNotes = notes;
    document.addEventListener('keydown', (event) => void notes.keys.push(event.timeStamp), true);
    (window as VirtabWindow).virtab?.machine?.on('serialOutput', () => {
      if (notes.echoes.length === notes.keys.length) return;
      notes.echoes.push(performance.now());
      // The first callback runs before the frame that shows it is painted, a task after that behind it.
      requestAnimationFrame(() => setTimeout(() => void notes.painted.push(performance.now())));
    });
    window.benchFrame = (time) => {
      notes.frames.push(time);
      if (window.benchFrame !== undefined) requestAnimationFrame(window.benchFrame);
    };
    requestAnimationFrame(window.benchFrame);
  });
}

async function takeNotes(page: Page): Promise<Notes> {
  return await page.evaluate(() => {
    const { keys, echoes, painted, frames } = window.benchNotes!;
    return {
      keys: keys.splice(0),
      echoes: echoes.splice(0),
      painted: painted.splice(0),
      frames: frames.splice(0),
    };
  });
}

export interface EchoFigures {
  readonly activity: string;
  readonly keys: number;
  /** From the key's time stamp to the guest's answer reaching the page, in ms. */
  readonly echoMs: { readonly median: number; readonly p95: number; readonly max: number };
  /** To the frame that shows it. */
  readonly paintedMs: { readonly median: number; readonly p95: number; readonly max: number };
  readonly framesPerSecond: number;
  readonly longestFrameMs: number;
}

function spread(values: readonly number[]): EchoFigures['echoMs'] {
  return { median: percentile(values, 50), p95: percentile(values, 95), max: Math.max(...values) };
}

function figuresOf(activity: string, { keys, echoes, painted, frames }: Notes): EchoFigures {
  const after = (times: readonly number[]): number[] => times.map((time, i) => time - keys[i]!);
  const gaps = frames.slice(1).map((time, i) => time - frames[i]!);
  return {
    activity,
    keys: keys.length,
    echoMs: spread(after(echoes)),
    paintedMs: spread(after(painted)),
    framesPerSecond: (gaps.length * 1000) / gaps.reduce((sum, gap) => sum + gap, 0),
    longestFrameMs: Math.max(...gaps),
  };
}

async function waitForText(page: Page, text: string): Promise<void> {
  await page.waitForFunction(
    (wanted) => (window as VirtabWindow).virtab?.consoleText().includes(wanted) === true,
    text,
    { timeout: BOOT_MS, polling: 100 },
  );
}

async function typeKeys(page: Page, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    await page.keyboard.press('abcdefghij'.charAt(i % 10));
    await page.waitForFunction((wanted) => window.benchNotes!.painted.length >= wanted, i + 1, {
      timeout: ECHO_MS,
      polling: 10,
    });
    await page.waitForTimeout(PAUSE_MS + ((i * 7) % 20));
  }
}

export async function benchEcho(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      keys: { type: 'string', default: '60' },
      activities: { type: 'string' },
      jit: { type: 'string', default: 'on' },
      output: { type: 'string', default: join(root, 'build', 'bench') },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return;
  }
  const keys = readCount('keys', values.keys);
  const activities = choose(ACTIVITIES, values.activities);
  const warning = loadWarning();
  if (warning !== undefined) log(`WARNING: ${warning}`);
  await ensureSite();
  const guest = await buildGuest(log);
  if (!guest.ok) fail(guest.error);
  const host = await describeHost();
  const started = new Date().toISOString();
  const loadBefore = load();
  const figures: EchoFigures[] = [];
  let boot: { readonly framesPerSecond: number; readonly longestFrameMs: number } | undefined;
  const site = await serveSite({ folder: SITE_FOLDER, guestFolder: GUEST_FOLDER });
  const browser = await launchChromium();
  try {
    for (const { id, name, command } of activities) {
      const page = await browser.newPage();
      await page.goto(`${site.url}?jit=${values.jit}`);
      await waitForText(page, 'Linux version');
      await watch(page);
      await waitForText(page, PROMPT);
      const booted = await takeNotes(page);
      // The first boot fills the browser's caches and is no different otherwise.
      boot ??= figuresOf('boot', { ...booted, keys: [0], echoes: [0], painted: [0] });
      await page.getByLabel('Serial console of the guest').focus();
      await page.keyboard.type(command);
      await page.waitForTimeout(3_000);
      await takeNotes(page);
      await typeKeys(page, keys);
      const result = figuresOf(id, await takeNotes(page));
      figures.push(result);
      log(
        `${name}: echo p95 ${result.echoMs.p95.toFixed(1)} ms, ${result.framesPerSecond.toFixed(1)} frames/s`,
      );
      await page.close();
    }
  } finally {
    await browser.close();
    site.close();
  }
  const ms = (value: number): string => value.toFixed(1);
  const lines = figures.map((row) => [
    ACTIVITIES.find(({ id }) => id === row.activity)?.name ?? row.activity,
    ...[row.echoMs.median, row.echoMs.p95, row.echoMs.max].map(ms),
    ...[row.paintedMs.median, row.paintedMs.p95].map(ms),
    ms(row.framesPerSecond),
    ms(row.longestFrameMs),
  ]);
  if (boot !== undefined) {
    lines.push(['booting', '', '', '', '', '', ms(boot.framesPerSecond), ms(boot.longestFrameMs)]);
  }
  const header = ['ms', 'echo: median', 'p95', 'max', 'painted: median', 'p95', 'frames/s', 'longest frame'];
  const text =
    `${warning === undefined ? '' : `WARNING: ${warning}\n\n`}${started}, commit ${host.commit}. ${host.cores} cores of ${host.cpu}; ` +
    `Chromium ${host.chromium}; -jit ${values.jit}; ${keys} keys each; load average ${loadBefore.toFixed(1)}, ${load().toFixed(1)}.\n\n` +
    `${table(header, lines)}\n`;
  mkdirSync(values.output, { recursive: true });
  writeFileSync(join(values.output, 'echo-latest.md'), text);
  writeFileSync(
    join(values.output, 'echo-latest.json'),
    `${JSON.stringify({ format: 1, started, host, jit: values.jit, figures, boot }, undefined, 2)}\n`,
  );
  process.stdout.write(text);
}
