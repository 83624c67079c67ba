/** v86 with its IDE disk, which is an array in the page's memory: the fastest that it has. It keeps nothing. */
import { join } from 'node:path';
import type { V86 } from 'v86';
import { firmware } from '../bench/guests.ts';
import { launchChromium } from '../runner/chromium.ts';
import { serveSite, SITE_FOLDER } from '../runner/site.ts';
import { root } from '../runner/stale.ts';
import type { IoMachine, IoMachineOptions } from './machine.ts';

declare global {
  interface Window {
    ioV86?: V86;
    ioOutput?: (text: string) => Promise<void>;
  }
}

export async function startV86(options: IoMachineOptions): Promise<IoMachine> {
  const { bios, vgaBios } = await firmware();
  const build = join(root, 'node_modules', 'v86', 'build');
  const files = new Map([
    ['/v86/libv86.mjs', join(build, 'libv86.mjs')],
    ['/v86/v86.wasm', join(build, 'v86.wasm')],
    ['/v86/bios.bin', bios],
    ['/v86/vgabios.bin', vgaBios],
    ['/v86/kernel', options.kernel],
    ['/v86/initrd', options.initrd],
    ['/v86/disk', options.disks[0] ?? ''],
  ]);
  const [site, browser] = await Promise.all([serveSite({ folder: SITE_FOLDER, files }), launchChromium()]);
  const page = await browser.newPage();
  page.on('crash', () => options.onOutput(undefined));
  await page.exposeFunction('ioOutput', (text: string) => options.onOutput(text));
  await page.goto(`${site.url}favicon.svg`);
  await page.evaluate(
    async ({ base, memory, commandLine }) => {
      const module = (await import(`${base}libv86.mjs`)) as { V86: typeof V86 };
      const emulator = new module.V86({
        wasm_path: `${base}v86.wasm`,
        memory_size: memory,
        bios: { url: `${base}bios.bin` },
        vga_bios: { url: `${base}vgabios.bin` },
        bzimage: { url: `${base}kernel` },
        initrd: { url: `${base}initrd` },
        hda: { url: `${base}disk` },
        cmdline: commandLine,
        disable_speaker: true,
        autostart: false,
      });
      await new Promise<void>((resolve) => emulator.add_listener('emulator-loaded', () => resolve()));
      window.ioV86 = emulator;
      let line = '';
      emulator.add_listener('serial0-output-byte', (byte) => {
        line += String.fromCharCode(byte);
        if (byte !== 10) return;
        void window.ioOutput?.(line);
        line = '';
      });
      await emulator.run();
    },
    { base: `${site.url}v86/`, memory: options.memoryMib * 2 ** 20, commandLine: options.commandLine },
  );
  const discard = async (): Promise<void> => {
    await browser.close();
    site.close();
  };
  return {
    // A halted guest's main thread and the worker by which it yields go round: a quarter of a core.
    isRestless: true,
    send: (text) =>
      void page.evaluate((given) => window.ioV86?.serial0_send(given), text).catch(() => undefined),
    end: discard,
    discard,
  };
}
