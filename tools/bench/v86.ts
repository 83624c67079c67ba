/** v86 from its npm package, in the same Chromium as Virtab. It has no 64-bit mode. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { V86 } from 'v86';
import { launchChromium } from '../runner/chromium.ts';
import { serveSite, SITE_FOLDER } from '../runner/site.ts';
import { root } from '../runner/stale.ts';
import { cpuBetween, sampleCpu } from './cpu-time.ts';
import { firmware } from './guests.ts';
import { ThreadClock } from './thread-clock.ts';
import { MEMORY_MIB, TIMEOUT_MS } from './subject.ts';
import type { Boot, Measurement, Subject } from './subject.ts';

export interface V86Options {
  readonly jit: boolean;
  /** v86 then yields by scheduler.postTask instead of a worker's message. */
  readonly scheduling: boolean;
}

/** v86 looks for this in the page's address. */
const SCHEDULING = 'use-scheduling-api';

declare global {
  interface Window {
    benchV86?: V86;
    benchLine?: (line: string) => Promise<void>;
  }
}

async function measure(boot: Boot, { jit, scheduling }: V86Options): Promise<Measurement> {
  const started = performance.now();
  const { bios, vgaBios } = await firmware();
  const build = join(root, 'node_modules', 'v86', 'build');
  const files = new Map([
    ['/v86/libv86.mjs', join(build, 'libv86.mjs')],
    ['/v86/v86.wasm', join(build, 'v86.wasm')],
    ['/v86/bios.bin', bios],
    ['/v86/vgabios.bin', vgaBios],
    ['/v86/kernel', boot.kernel],
    ['/v86/initrd', boot.initrd],
  ]);
  const [site, browser] = await Promise.all([serveSite({ folder: SITE_FOLDER, files }), launchChromium()]);
  try {
    const page = await browser.newPage();
    const crashed = new Promise<never>((_, reject) =>
      page.on('crash', () => reject(new Error('the page crashed'))),
    );
    crashed.catch(() => undefined);
    const threads = new ThreadClock(process.pid);
    await page.exposeFunction('benchLine', (line: string) => threads.note(line));
    // Any page of the same origin will do.
    await page.goto(`${site.url}favicon.svg${scheduling ? `?${SCHEDULING}` : ''}`);
    // No named function in here: the loader marks those with a helper that the page does not have.
    await page.evaluate(
      async ({ base, memory, commandLine, disableJit }) => {
        const module = (await import(`${base}libv86.mjs`)) as { V86: typeof V86 };
        await new Promise<void>((resolve) => {
          window.benchV86 = new module.V86({
            wasm_path: `${base}v86.wasm`,
            memory_size: memory,
            bios: { url: `${base}bios.bin` },
            vga_bios: { url: `${base}vgabios.bin` },
            bzimage: { url: `${base}kernel` },
            initrd: { url: `${base}initrd` },
            cmdline: commandLine,
            disable_jit: disableJit,
            disable_speaker: true,
            autostart: false,
          });
          window.benchV86.add_listener('emulator-loaded', () => resolve());
        });
      },
      {
        base: `${site.url}v86/`,
        memory: MEMORY_MIB * 2 ** 20,
        commandLine: boot.commandLine,
        disableJit: !jit,
      },
    );
    const before = sampleCpu(process.pid, false);
    const startMs = performance.now() - started;
    const finished = page.evaluate(
      async ({ until, timeout, marker }) => {
        const emulator = window.benchV86;
        if (emulator === undefined) throw new Error('v86 is not there');
        // The counter has 32 bits, and starts at 0.
        let instructions = 0;
        let last = 0;
        let seen = '';
        let current = '';
        const marks: { line: string; timeMs: number; instructions: number }[] = [];
        const prompt = new Promise<boolean>((resolve) => {
          emulator.add_listener('serial0-output-byte', (byte) => {
            seen = (seen + String.fromCharCode(byte)).slice(-4096);
            if (seen.endsWith(until)) resolve(true);
            current = byte === 10 ? current : current + String.fromCharCode(byte);
            if (byte !== 10) return;
            const at = marker === undefined ? -1 : current.indexOf(marker);
            if (at >= 0) {
              const now = emulator.get_instruction_counter();
              instructions += (now - last) >>> 0;
              last = now;
              const line = current.slice(at).trimEnd();
              marks.push({ line, timeMs: performance.now(), instructions });
              void window.benchLine?.(line);
            }
            current = '';
          });
          setTimeout(() => resolve(false), timeout);
        });
        const poll = setInterval(() => {
          const now = emulator.get_instruction_counter();
          instructions += (now - last) >>> 0;
          last = now;
        }, 250);
        const reset = performance.now();
        await emulator.run();
        const reached = await prompt;
        const timeMs = performance.now() - reset;
        instructions += (emulator.get_instruction_counter() - last) >>> 0;
        clearInterval(poll);
        await emulator.stop();
        return { reached, timeMs, instructions, seen, marks };
      },
      { until: boot.until, timeout: boot.timeoutMs ?? TIMEOUT_MS, marker: boot.marker },
    );
    const { reached, timeMs, instructions, seen, marks } = await Promise.race([finished, crashed]);
    const cpu = cpuBetween(before, sampleCpu(process.pid, false));
    if (!reached) throw new Error(`the guest did not reach its prompt; last output: ${seen.slice(-300)}`);
    return {
      timeMs,
      startMs,
      ...(cpu === undefined ? {} : { cpu }),
      instructions,
      details: {},
      marks: threads.withTimes(marks),
    };
  } finally {
    await browser.close();
    site.close();
  }
}

export function v86(options: V86Options): Subject {
  const { jit, scheduling } = options;
  return {
    id: jit ? (scheduling ? 'v86-scheduling' : 'v86') : 'v86-interpreter',
    name: jit ? (scheduling ? 'v86, scheduling API' : 'v86') : 'v86, disable_jit',
    bits: [32],
    describe: () => {
      const { version } = JSON.parse(
        readFileSync(join(root, 'node_modules', 'v86', 'package.json'), 'utf8'),
      ) as { version: string };
      const page = scheduling ? `, page address with ?${SCHEDULING}` : '';
      return Promise.resolve(
        `v86 ${version}: ${MEMORY_MIB} MiB, disable_jit: ${!jit}${page}, in Chromium, Debian's SeaBIOS`,
      );
    },
    measure: (boot) => measure(boot, options),
  };
}
