/** Every state that is not a running guest: each says what happened and what to do. */
import { rmSync, writeFileSync } from 'node:fs';
import { pvhKernel } from '../src/machine/pvh-kernel.ts';
import { ECHO, POWER_OFF, print, SPIN, TRIPLE_FAULT } from './tiny-guest.ts';
import { expect, test } from './virtab-page.ts';
import { wrongVcpu } from './wrong-vcpu.ts';

test('without headers and service workers the page says which headers are missing', async ({
  virtab,
  serve,
}) => {
  const site = await serve({ isolated: false });
  // As in Firefox's private windows and where a site may not store anything.
  await virtab.page.addInitScript(() => {
    Object.defineProperty(Navigator.prototype, 'serviceWorker', { value: undefined });
  });
  await virtab.page.goto(site.url);
  await expect(virtab.notice).toHaveAttribute('data-kind', 'no-isolation');
  await expect(virtab.notice).toContainText('Cross-Origin-Opener-Policy: same-origin');
  await virtab.lookAt('no-isolation');
});

test('an old browser is told what it lacks', async ({ virtab, serve }) => {
  const site = await serve();
  await virtab.page.addInitScript(() => {
    WebAssembly.validate = () => false;
  });
  await virtab.page.goto(site.url);
  await expect(virtab.notice).toHaveAttribute('data-kind', 'missing-features');
  await expect(virtab.notice).toContainText('WebAssembly SIMD');
  await virtab.lookAt('missing-features');
});

test('without a default guest the page asks for a kernel', async ({ virtab, serve }) => {
  const site = await serve({ guestFolder: '/nonexistent' });
  await virtab.page.goto(site.url);
  await expect(virtab.notice).toHaveAttribute('data-kind', 'no-guest');
  await virtab.lookAt('no-guest');
  await virtab.button('Choose a guest').click();
  await expect(virtab.page.getByRole('dialog')).toBeVisible();
  await virtab.lookAt('guest-dialog');
  await virtab.button('Start this guest').click();
  await expect(virtab.page.getByRole('alert')).toHaveText('Choose a kernel first.');
});

test('while the guest is loaded the page says what, how much of it, and what comes next', async ({
  virtab,
  serve,
}) => {
  const site = await serve();
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  await virtab.page.route('**/guest/initrd.img', async (route) => {
    await released;
    await route.continue();
  });
  await virtab.page.goto(site.url);
  const steps = virtab.page.getByRole('region', { name: 'Boot progress' }).getByRole('listitem');
  await expect(steps.filter({ hasText: 'Kernel' })).toContainText('13.5 MiB');
  await expect(steps.filter({ hasText: 'Processor' })).toHaveAttribute('data-phase', 'waiting');
  await expect(virtab.status).toHaveText('Loading');
  await virtab.lookAt('loading');
  release();
  await virtab.waitForOutput('Linux version');
});

test('a kernel that is none is refused with the reason', async ({ virtab, serve }, testInfo) => {
  const kernel = testInfo.outputPath('vmlinuz');
  writeFileSync(kernel, Buffer.alloc(4096, 0x5a));
  const site = await serve({ files: new Map([['/kernel', kernel]]) });
  await virtab.page.goto(`${site.url}?kernel=kernel`);
  await expect(virtab.notice).toHaveAttribute('data-kind', 'bad-kernel');
  await expect(virtab.notice).toContainText('neither a Linux nor a multiboot header');
  await expect(virtab.status).toHaveText('Cannot start');
  await virtab.lookAt('bad-kernel');
});

test('a kernel that the server does not have is named', async ({ virtab, serve }) => {
  const site = await serve();
  await virtab.page.goto(`${site.url}?kernel=missing`);
  await expect(virtab.notice).toHaveAttribute('data-kind', 'not-found');
  await expect(virtab.notice).toContainText('missing could not be read: the server answered 404');
});

test('too little memory for the kernel says how much is needed', async ({ virtab, serve }) => {
  const site = await serve();
  await virtab.page.goto(`${site.url}?m=32`);
  await expect(virtab.notice).toHaveAttribute('data-kind', 'memory-too-small');
  await virtab.lookAt('memory-too-small');
});

test('memory that the browser refuses is said to be refused', async ({ virtab, serve }) => {
  const site = await serve();
  await virtab.page.addInitScript(() => {
    WebAssembly.Memory = function refuse() {
      throw new RangeError('could not allocate memory');
    } as unknown as typeof WebAssembly.Memory;
  });
  await virtab.page.goto(`${site.url}?m=1G`);
  await expect(virtab.notice).toHaveAttribute('data-kind', 'memory-refused');
  await expect(virtab.notice).toContainText('1024 MiB');
  await virtab.lookAt('memory-refused');
});

test('an address that asks for the impossible is explained, and can be left out', async ({
  virtab,
  serve,
}) => {
  const site = await serve();
  await virtab.page.goto(`${site.url}?smp=2`);
  await expect(virtab.notice).toHaveAttribute('data-kind', 'bad-address');
  await expect(virtab.notice).toContainText('smp');
  await virtab.lookAt('bad-address');
  await virtab.button('Start without it').click();
  await expect(virtab.page).toHaveURL(site.url);
  await virtab.waitForOutput('Linux version');
});

test('a triple fault shows rip and a report that can be copied', async ({
  virtab,
  serve,
  context,
}, testInfo) => {
  const kernel = testInfo.outputPath('vmlinux');
  writeFileSync(kernel, pvhKernel([...print('about to fail\r\n'), ...TRIPLE_FAULT]));
  const site = await serve({ files: new Map([['/kernel', kernel]]) });
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await virtab.page.goto(`${site.url}?kernel=kernel`);
  await expect(virtab.notice).toHaveAttribute('data-kind', 'triple-fault');
  await expect(virtab.notice).toContainText('triple fault at rip 0x');
  await virtab.waitForOutput('about to fail');
  await virtab.page.getByText('Report', { exact: true }).click();
  await virtab.lookAt('triple-fault');
  await virtab.button('Copy report').click();
  await expect(virtab.button('Copied')).toBeVisible();
  const report = await virtab.page.evaluate(() => navigator.clipboard.readText());
  expect(report).toMatch(/^Triple fault\n/);
  expect(report).toContain('RIP=');
  expect(report).toContain('\n\nqemu-system-x86_64 ');
  expect(report).toMatch(/\ninstructions \d+, /);
  expect(report).toMatch(/\nVirtab \d+\.\d+\.\d+.*\nMozilla.*Chrome/);
});

test('a translation that is wrong stops the guest under verify, with a report that can be read', async ({
  virtab,
  serve,
  context,
}, testInfo) => {
  const kernel = testInfo.outputPath('vmlinux');
  // mov ecx, 1000000h; xor eax, eax; 1: add eax, 5; dec ecx; jnz 1b: it is still running when it is translated
  const loop = [0xb9, 0x00, 0x00, 0x00, 0x01, 0x31, 0xc0, 0x83, 0xc0, 0x05, 0x49, 0x75, 0xfa];
  writeFileSync(kernel, pvhKernel([...print('before\r\n'), ...loop, ...print('after\r\n'), ...SPIN]));
  const { folder, files } = await wrongVcpu();
  const site = await serve({ files: new Map([['/kernel', kernel], ...files]) });
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await virtab.page.goto(`${site.url}?kernel=kernel&jit=verify`);
  await expect(virtab.notice).toHaveAttribute('data-kind', 'translation-wrong', { timeout: 60_000 });
  await expect(virtab.status).toHaveText('Crashed');
  await expect(virtab.notice).toContainText('This is a fault of Virtab, not of your guest.');
  expect(await virtab.consoleText()).toContain('before');
  expect(await virtab.consoleText()).not.toContain('after');

  const shown = virtab.notice.getByLabel('Report');
  await expect(shown).toBeHidden();
  await virtab.notice.getByText('Report', { exact: true }).click();
  await virtab.lookAt('translation-wrong');
  await expect(shown).toBeInViewport({ ratio: 1 });
  const text = await shown.innerText();
  expect(text).toMatch(/^rax +[0-9a-f]{16} +[0-9a-f]{16}$/m);
  expect(text).toMatch(/^[0-9a-f]{16} {2}83 c0 05 +add eax, 5h$/m);
  expect(text).toContain('WebAssembly of the region\n(func');
  expect(text).toMatch(/RIP=[0-9a-f]{16}/);
  // Its length is scrolled inside the report, not with the page.
  expect(await shown.evaluate((node) => node.scrollHeight > node.clientHeight)).toBe(true);
  const isPageStill = await virtab.page.evaluate(
    () => document.documentElement.scrollHeight <= document.documentElement.clientHeight,
  );
  expect(isPageStill).toBe(true);

  await virtab.button('Copy report').click();
  await expect(virtab.button('Copied')).toBeVisible();
  expect(await virtab.page.evaluate(() => navigator.clipboard.readText())).toBe(text);
  rmSync(folder, { recursive: true });
});

test('a guest that powers off leaves its last words and can start again', async ({
  virtab,
  serve,
}, testInfo) => {
  const kernel = testInfo.outputPath('vmlinux');
  writeFileSync(kernel, pvhKernel([...print('good bye\r\n'), ...POWER_OFF, ...SPIN]));
  const site = await serve({ files: new Map([['/kernel', kernel]]) });
  await virtab.page.goto(`${site.url}?kernel=kernel`);
  await expect(virtab.notice).toHaveAttribute('data-kind', 'power-off');
  await virtab.waitForOutput('good bye');
  await virtab.lookAt('power-off');
  await virtab.button('Start again').click();
  await expect.poll(async () => (await virtab.consoleText()).split('good bye').length - 1).toBe(2);
});

/** Keeps the page's workers where a test can reach them. */
function keepWorkers(): void {
  const Original = Worker;
  const workers: Worker[] = [];
  (window as { workers?: Worker[] }).workers = workers;
  window.Worker = class extends Original {
    constructor(...args: ConstructorParameters<typeof Worker>) {
      super(...args);
      workers.push(this);
    }
  };
}

test('a worker that fails is reported and the machine can start again', async ({
  virtab,
  serve,
}, testInfo) => {
  const kernel = testInfo.outputPath('vmlinux');
  writeFileSync(kernel, pvhKernel([...print('alive\r\n'), ...ECHO]));
  const site = await serve({ files: new Map([['/kernel', kernel]]) });
  await virtab.page.addInitScript(keepWorkers);
  await virtab.page.goto(`${site.url}?kernel=kernel`);
  await virtab.waitForOutput('alive');
  await virtab.page.evaluate(() => {
    for (const worker of (window as { workers?: Worker[] }).workers ?? []) {
      worker.dispatchEvent(new ErrorEvent('error', { message: 'failed by the test' }));
    }
  });
  await expect(virtab.notice).toHaveAttribute('data-kind', 'worker-lost');
  await expect(virtab.status).toHaveText('Crashed');
  await virtab.lookAt('worker-lost');
  await virtab.button('Start again').click();
  await expect(virtab.status).toHaveText('Running');
});

test('workers that the browser takes away without a word are missed', async ({ virtab, serve }, testInfo) => {
  const kernel = testInfo.outputPath('vmlinux');
  writeFileSync(kernel, pvhKernel([...print('alive\r\n'), ...ECHO]));
  const site = await serve({ files: new Map([['/kernel', kernel]]) });
  await virtab.page.addInitScript(keepWorkers);
  await virtab.page.clock.install();
  await virtab.page.goto(`${site.url}?kernel=kernel`);
  await virtab.waitForOutput('alive');
  await virtab.page.evaluate(() => {
    for (const worker of (window as { workers?: Worker[] }).workers ?? []) worker.terminate();
  });
  // Chromium lets a worker finish what it does for a moment.
  await expect
    .poll(async () => {
      const before = await virtab.instructions();
      await virtab.page.waitForTimeout(100);
      return (await virtab.instructions()) - before;
    })
    .toBe(0);
  await virtab.page.clock.runFor(20_000);
  await expect(virtab.notice).toHaveAttribute('data-kind', 'worker-lost');
  await expect(virtab.notice).toContainText('shows no sign of life');
});

test('an unsupported file that is dropped gets a sentence', async ({ virtab, serve }, testInfo) => {
  const kernel = testInfo.outputPath('vmlinux');
  writeFileSync(kernel, pvhKernel([...print('alive\r\n'), ...ECHO]));
  const site = await serve({ files: new Map([['/kernel', kernel]]) });
  await virtab.page.goto(`${site.url}?kernel=kernel`);
  await virtab.waitForOutput('alive');
  const transfer = await virtab.page.evaluateHandle(() => {
    const data = new DataTransfer();
    data.items.add(new File([Uint8Array.of(0x51, 0x46, 0x49, 0xfb)], 'disk.qcow2'));
    return data;
  });
  await virtab.page.dispatchEvent('body', 'drop', { dataTransfer: transfer });
  await expect(virtab.notice).toContainText('disk.qcow2 is a qcow2 disk image, which cannot be used yet.');
  await expect(virtab.status).toHaveText('Running');
  await virtab.lookAt('drop-refused');
});

test('in a private window a disk says that it is lost when the window is closed', async ({
  virtab,
  serve,
}, testInfo) => {
  const kernel = testInfo.outputPath('vmlinux');
  writeFileSync(kernel, pvhKernel([...print('alive\r\n'), ...ECHO]));
  const site = await serve({ files: new Map([['/kernel', kernel]]) });
  // Playwright's windows are private ones.
  await virtab.page.goto(`${site.url}?kernel=kernel`);
  await virtab.waitForOutput('alive');
  await virtab.button('Disks').click();
  await virtab.button('New empty disk').click();
  await virtab.page.getByRole('dialog').getByLabel('Name').fill('fleeting');
  await virtab.page.getByLabel('Size', { exact: true }).fill('4M');
  await virtab.button('Create').click();
  await expect(virtab.page.locator('.card', { hasText: 'fleeting' })).toContainText(
    'This is a private window: what is written to this disk is lost when it is closed.',
  );
  await virtab.lookAt('private-window');
});

test('a browser that does not let the page store anything is told so, and shows no blank page', async ({
  virtab,
  serve,
}) => {
  const site = await serve();
  await virtab.page.addInitScript(() => {
    IDBFactory.prototype.open = () => {
      throw new DOMException('The operation is insecure.', 'SecurityError');
    };
  });
  await virtab.page.goto(site.url);
  await expect(virtab.notice).toHaveAttribute('data-kind', 'page-failed');
  await expect(virtab.notice).toContainText('allow this site to store data');
  await expect(virtab.notice).toContainText('The operation is insecure.');
  await virtab.lookAt('page-failed');
});
