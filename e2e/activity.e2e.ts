/** ioeventfd in the page: flipped under load, with its effect on the counters, and measured both ways. */
import { expect, test } from './virtab-page.ts';
import type { VirtabPage } from './virtab-page.ts';

const PROMPT = 'root@virtab:~#';

/** The value beside a chart, per second: `1.23 k/s` is 1230. */
async function chart(virtab: VirtabPage, label: string): Promise<number> {
  const text = await virtab.page.locator('.chart', { hasText: label }).locator('.chart-value').innerText();
  const [, value, unit] = /^([\d.]+) ?([kM]?)/.exec(text) ?? [];
  return Number(value) * (unit === 'M' ? 1e6 : unit === 'k' ? 1e3 : 1);
}

test('ioeventfd flips under load: kicks become synchronous exits and back, and both are measured', async ({
  virtab,
  serve,
}) => {
  const site = await serve();
  const { page } = virtab;
  await page.goto(`${site.url}?drive=file=work.img,size=16M&append=console%3DttyS0+cryptomgr.notests`);
  await virtab.button('Allow it').click();
  await virtab.waitForOutput(PROMPT, 90_000);
  await virtab.button('Activity').click();
  const flip = page.getByRole('radiogroup', { name: 'ioeventfd of work.img' });

  await virtab.type('echo 0 > /sys/block/vda/queue/read_ahead_kb\n');
  await virtab.type(
    'while [ ! -e /tmp/enough ]; do echo 3 > /proc/sys/vm/drop_caches; dd if=/dev/vda of=/dev/null bs=4k count=1000 2> /dev/null; done &\n',
  );
  await flip.getByText('on', { exact: true }).click();
  await expect.poll(() => chart(virtab, 'Kicks')).toBeGreaterThan(50);
  await expect.poll(() => chart(virtab, 'Synchronous exits')).toBe(0);
  await flip.getByText('off', { exact: true }).click();
  await expect.poll(() => chart(virtab, 'Synchronous exits')).toBeGreaterThan(50);
  await expect.poll(() => chart(virtab, 'Kicks')).toBe(0);
  expect(await chart(virtab, 'Disk and network')).toBeGreaterThan(0);
  await virtab.lookAt('activity');
  await virtab.type('touch /tmp/enough\n');
  await expect.poll(() => chart(virtab, 'Synchronous exits')).toBe(0);

  await virtab.type('\n');
  await virtab.button('Measure it').click();
  const table = page.getByRole('table');
  await expect(table).toBeVisible({ timeout: 60_000 });
  await expect(table.getByRole('row', { name: /Kicks by doorbell/ })).toContainText(/doorbell02\.0\d k/);
  await table.scrollIntoViewIfNeeded();
  await virtab.lookAt('measured');
  await expect(flip.getByRole('radio', { name: 'off' })).toBeChecked();

  // What QEMU's monitor would tell, with both ways of the kicks in it.
  const topic = page.getByLabel('info', { exact: true });
  const info = page.getByLabel('What info tells');
  await topic.selectOption('exits');
  await expect(info).toContainText(/virtio-blk0 kick +thread \w+ +ordered +0 +\d+ +\d+ +[\d.]+\n/);
  await expect(info).toContainText(/virtio-blk0 kick +thread \w+ +posted +0 +\d+ +- +-/);
  await info.scrollIntoViewIfNeeded();
  await virtab.lookAt('info');
  await topic.selectOption('ioeventfd');
  await expect(info).toContainText(
    'virtio-blk0: ioeventfd=off, off: Switched off: each kick waits for the device.',
  );
  await topic.selectOption('block');
  await expect(info).toContainText('work.img, raw, 16 MiB, read-write');

  await virtab.button('Settings').click();
  const disk = page.getByRole('region', { name: 'Disk work.img' });
  await expect(disk).toContainText('Switched off: each kick waits for the device.');
  await disk.scrollIntoViewIfNeeded();
  await virtab.lookAt('disk-settings');
});

test('the panel says which translated code the guest is busy with', async ({ virtab, serve }) => {
  const site = await serve();
  const { page } = virtab;
  await page.goto(`${site.url}?jit=on&append=console%3DttyS0+cryptomgr.notests`);
  await virtab.waitForOutput(PROMPT, 90_000);
  await virtab.type('md5sum /dev/zero &\n');
  await virtab.button('Activity').click();
  const table = page.getByRole('table', { name: /looks\. Translated code/ });
  // Behind the rows for halts and the interpreter: a page of busybox that does nothing but md5.
  const hottest = table.locator('tbody tr').nth(2);
  // On a busy computer it takes more than one look until it is translated.
  await expect(async () => {
    await virtab.button('Look for 5 s').click();
    await expect(hottest).toContainText(/64-bit, \d+ instructions/);
    expect(Number.parseFloat(await hottest.locator('td').innerText())).toBeGreaterThan(25);
  }).toPass();
  await table.scrollIntoViewIfNeeded();
  await virtab.lookAt('hottest');
});
