/** Debian's cloud kernel in the page, from the address to the prompt and back. */
import { writeFileSync } from 'node:fs';
import { pvhKernel } from '../src/machine/pvh-kernel.ts';
import { print, SPIN } from './tiny-guest.ts';
import { expect, test } from './virtab-page.ts';
import type { VirtabPage } from './virtab-page.ts';

/** The shell of the default guest (tools/guest/initramfs.ts). */
const PROMPT = 'root@virtab:~#';

/** As `stty size` prints them. */
async function rowsAndColumns(virtab: VirtabPage): Promise<string> {
  const text = await virtab.page.locator('.strip-item', { hasText: 'console' }).innerText();
  return text.replace(/console (\d+) × (\d+)/, '$2 $1');
}

test('the default guest boots to a shell, runs commands, pauses, resets and powers off', async ({
  virtab,
  serve,
}) => {
  const site = await serve();
  await virtab.page.goto(site.url);
  await virtab.waitForOutput('Linux version');
  await virtab.lookAt('booting');
  await virtab.waitForOutput(PROMPT, 90_000);

  await virtab.type('echo sum: $((6 * 7)); uname -m\n');
  await virtab.waitForOutput('sum: 42');
  await virtab.waitForOutput('x86_64');
  await virtab.lookAt('prompt');

  // The console's size was on the command line; after a change the guest is told by the button.
  await virtab.type('stty size\n');
  await virtab.waitForOutput(`\n${await rowsAndColumns(virtab)}`);
  const tell = virtab.button('Tell the guest');
  await expect(tell).toHaveAttribute('data-news', 'false');
  await virtab.page.setViewportSize({ width: 1100, height: 700 });
  await expect(tell).toHaveAttribute('data-news', 'true');
  await tell.click();
  await expect(tell).toHaveAttribute('data-news', 'false');
  await virtab.type('stty size\n');
  await virtab.waitForOutput(`\n${await rowsAndColumns(virtab)}`);

  await virtab.button('Pause').click();
  await expect(virtab.status).toHaveText('Paused');
  await virtab.button('Resume').click();
  await virtab.type('echo back\\ again\n');
  await virtab.waitForOutput('back again');

  await virtab.button('Reset').click();
  await expect.poll(async () => (await virtab.consoleText()).split('Linux version').length - 1).toBe(2);
  await expect
    .poll(async () => (await virtab.consoleText()).trimEnd().endsWith(PROMPT), { timeout: 90_000 })
    .toBe(true);

  await virtab.type('poweroff -f\n');
  await expect(virtab.notice).toHaveAttribute('data-kind', 'power-off', { timeout: 30_000 });
  await virtab.lookAt('powered-off');
});

test('an idle guest leaves the processor alone', async ({ virtab, serve }) => {
  const site = await serve();
  await virtab.page.goto(site.url);
  await virtab.waitForOutput(PROMPT, 90_000);
  await virtab.page.waitForTimeout(2000);
  const before = await virtab.instructions();
  await virtab.page.waitForTimeout(2000);
  // A tick now and then; a spinning guest would do hundreds of millions.
  expect((await virtab.instructions()) - before).toBeLessThan(10_000_000);
});

test('a guest reboots when it is told to', async ({ virtab, serve }) => {
  const site = await serve();
  await virtab.page.goto(site.url);
  await virtab.waitForOutput(PROMPT, 90_000);
  await virtab.type('reboot -f\n');
  await expect
    .poll(async () => (await virtab.consoleText()).split('Linux version').length - 1, { timeout: 60_000 })
    .toBe(2);
});

test('the address sets memory, kernel command line and JIT', async ({ virtab, serve }) => {
  const site = await serve();
  await virtab.page.goto(
    `${site.url}?m=300M&append=console%3DttyS0+cryptomgr.notests+virtab.mark%3D7&jit=off`,
  );
  await virtab.waitForOutput(PROMPT, 110_000);
  await virtab.type('cat /proc/cmdline; head -n 1 /proc/meminfo\n');
  await virtab.waitForOutput('\nconsole=ttyS0 cryptomgr.notests virtab.mark=7');
  await virtab.waitForOutput('MemTotal:         2');
  expect(await virtab.regionInstructions()).toBe(0);
});

test('a guest that is translated survives pause and reset in the middle of its boot', async ({
  virtab,
  serve,
}) => {
  const site = await serve();
  await virtab.page.goto(`${site.url}?jit=on`);
  await virtab.waitForOutput('Linux version');
  await virtab.button('Pause').click();
  await expect(virtab.status).toHaveText('Paused');
  await virtab.button('Resume').click();
  // Pages of the boot before are with the compile worker now.
  await virtab.button('Reset').click();
  await expect.poll(async () => (await virtab.consoleText()).split('Linux version').length - 1).toBe(2);
  await expect
    .poll(async () => (await virtab.consoleText()).trimEnd().endsWith(PROMPT), { timeout: 110_000 })
    .toBe(true);
  await virtab.type('seq 1 1000 | md5sum\n');
  await virtab.waitForOutput('53d025127ae99ab79e8502aae2d9bea6');
  await virtab.type('poweroff -f\n');
  await expect(virtab.notice).toHaveAttribute('data-kind', 'power-off', { timeout: 30_000 });
});

for (const { cores, workers } of [
  { cores: 1, workers: 0 },
  { cores: 2, workers: 1 },
]) {
  test(`with ${cores} hardware thread(s) the guest is translated by ${workers === 0 ? 'its own thread' : 'the compile worker'}`, async ({
    virtab,
    serve,
  }, testInfo) => {
    await virtab.page.addInitScript((count) => {
      Object.defineProperty(Navigator.prototype, 'hardwareConcurrency', { get: () => count });
    }, cores);
    const kernel = testInfo.outputPath('vmlinux');
    // mov ecx, 10000000h; 1: dec ecx; jnz 1b
    const loop = [0xb9, 0x00, 0x00, 0x00, 0x10, 0x49, 0x75, 0xfd];
    writeFileSync(kernel, pvhKernel([...loop, ...print('done'), ...SPIN]));
    const site = await serve({ files: new Map([['/kernel', kernel]]) });
    await virtab.page.goto(`${site.url}?kernel=kernel`);
    await virtab.waitForOutput('done');
    expect(await virtab.regionInstructions()).toBeGreaterThan(0x1000_0000);
    const compilers = virtab.page.workers().filter((worker) => worker.url().includes('/compile-'));
    expect(compilers).toHaveLength(workers);
  });
}

for (const { renderer, canvases, texts } of [
  { renderer: 'llvmpipe (LLVM 15.0.6, 256 bits)', canvases: 0, texts: 1 },
  { renderer: 'Apple GPU', canvases: 2, texts: 0 },
]) {
  test(`the console is drawn by ${canvases > 0 ? 'WebGL' : 'the page itself'} where WebGL is by ${renderer}`, async ({
    virtab,
    serve,
  }) => {
    await virtab.page.addInitScript((name) => {
      const prototype: { getParameter: (this: WebGL2RenderingContext, parameter: number) => unknown } =
        WebGL2RenderingContext.prototype;
      const real = prototype.getParameter;
      prototype.getParameter = function (parameter) {
        // UNMASKED_RENDERER_WEBGL.
        return parameter === 0x9246 ? name : real.call(this, parameter);
      };
    }, renderer);
    const site = await serve();
    await virtab.page.goto(site.url);
    await virtab.waitForOutput('Linux version');
    await expect(virtab.page.locator('.xterm-screen canvas')).toHaveCount(canvases);
    await expect(virtab.page.locator('.xterm-rows')).toHaveCount(texts);
  });
}
