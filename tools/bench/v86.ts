/**
 * v86 with its JIT off, in the same Chromium. It has no 64-bit mode, so it runs Debian's 686 kernel; that unpacks itself for
 * billions of instructions, of which a window of time is measured.
 */
import { join } from 'node:path';
import type { V86 } from 'v86';
import { launchChromium } from '../runner/chromium.ts';
import { serveSite, SITE_FOLDER } from '../runner/site.ts';
import { root } from '../runner/stale.ts';

export interface V86Run {
  readonly instructions: number;
  readonly nsPerInstruction: number;
}

const WINDOW_MS = 10_000;
/** BIOS and boot loader are over by then. */
const WARM_UP_MS = 4_000;
/** Debian's package seabios, which QEMU's depends on. */
const BIOS = '/usr/share/seabios/bios.bin';

export async function measureV86(kernel: string): Promise<V86Run> {
  const v86 = join(root, 'node_modules', 'v86', 'build');
  const files = new Map([
    ['/v86/libv86.mjs', join(v86, 'libv86.mjs')],
    ['/v86/v86.wasm', join(v86, 'v86.wasm')],
    ['/v86/bios.bin', BIOS],
    ['/v86/vmlinuz', kernel],
  ]);
  const [site, browser] = await Promise.all([serveSite({ folder: SITE_FOLDER, files }), launchChromium()]);
  try {
    const page = await browser.newPage();
    // Any page of the same origin will do.
    await page.goto(`${site.url}favicon.svg`);
    return await page.evaluate(
      async ({ warmUp, window: length, base }) => {
        const module = (await import(`${base}libv86.mjs`)) as { V86: typeof V86 };
        const emulator = new module.V86({
          wasm_path: `${base}v86.wasm`,
          memory_size: 512 * 1024 * 1024,
          bios: { url: `${base}bios.bin` },
          bzimage: { url: `${base}vmlinuz` },
          cmdline: 'console=ttyS0 cryptomgr.notests',
          disable_jit: true,
          disable_speaker: true,
          autostart: true,
        });
        await new Promise<void>((resolve) => {
          emulator.add_listener('emulator-ready', () => resolve());
        });
        // No named function in here: the loader marks those with a helper that the page does not have.
        await new Promise((resolve) => setTimeout(resolve, warmUp));
        // The counter has 32 bits.
        let instructions = 0;
        let last = emulator.get_instruction_counter();
        const started = performance.now();
        while (performance.now() - started < length) {
          await new Promise((resolve) => setTimeout(resolve, 100));
          const now = emulator.get_instruction_counter();
          instructions += (now - last) >>> 0;
          last = now;
        }
        const elapsed = performance.now() - started;
        await emulator.stop();
        return { instructions, nsPerInstruction: (elapsed * 1e6) / instructions };
      },
      { warmUp: WARM_UP_MS, window: WINDOW_MS, base: `${site.url}v86/` },
    );
  } finally {
    await browser.close();
    site.close();
  }
}
