/** Threads and tabs that are gone in the midst of writing: what the guest had flushed is there. */
import { createHash } from 'node:crypto';
import { expect, PROMPT, test } from './guest-tab.ts';
import type { Guest } from './guest-tab.ts';
import { keepWorkers, pass, takeAway } from './workers.ts';

test.setTimeout(400_000);

const DISK = { drive: 'file=root.img,size=16M' };

/**
 * Writes `block 00000001` and so on, each flushed before its number is printed, while another process writes to the upper half
 * without flushing. Returns when so many are promised.
 */
async function writeBlocks(guest: Guest, count: number): Promise<void> {
  await guest.send(
    [
      '(while :; do dd if=/dev/urandom of=/dev/vda bs=64k seek=128 count=100 conv=notrunc 2>/dev/null; done) &',
      "i=0; while :; do i=$((i+1)); printf 'block %08d' $i | dd of=/dev/vda bs=512 seek=$i conv=notrunc,fsync 2>/dev/null && echo kept $i; done\n",
    ].join(' '),
  );
  await guest.waitForOutput(`\nkept ${count}\n`, 120_000);
}

/** The last block whose flush the guest has seen completed. */
async function promised(guest: Guest): Promise<number> {
  const text = await guest.consoleText();
  return Number([...text.matchAll(/\nkept (\d+)\n/g)].at(-1)![1]);
}

/** What the first `count` blocks have to hold. */
function expectedSum(count: number): string {
  const blocks = Array.from({ length: count }, (_, index) => `block ${String(index + 1).padStart(8, '0')}\n`);
  return createHash('md5').update(blocks.join('')).digest('hex');
}

async function sumOf(guest: Guest, count: number): Promise<string> {
  const loop = `i=0; while [ $i -lt ${count} ]; do i=$((i+1)); dd if=/dev/vda bs=512 skip=$i count=1 2>/dev/null | head -c 14; echo; done`;
  return (await guest.run(`(${loop}) | md5sum`, 120_000)).slice(0, 32);
}

test('a tab that is closed in the midst of writing leaves everything that the guest had flushed', async ({
  tab,
  serve,
}) => {
  const site = await serve();
  const guest = await (await tab()).boot(site.url, DISK);
  await writeBlocks(guest, 40);
  const count = await promised(guest);
  await guest.page.close();
  const next = await (await tab()).boot(site.url, DISK);
  expect(await sumOf(next, count)).toBe(expectedSum(count));
});

test('a tab that crashes in the midst of writing leaves everything that the guest had flushed', async ({
  tab,
  serve,
}) => {
  const site = await serve();
  const guest = await (await tab()).boot(site.url, DISK);
  await writeBlocks(guest, 40);
  const count = await promised(guest);
  const crashed = guest.page.waitForEvent('crash');
  await guest.page.goto('chrome://crash').catch(() => undefined);
  await crashed;
  const next = await (await tab()).boot(site.url, DISK);
  expect(await sumOf(next, count)).toBe(expectedSum(count));
});

for (const { worker, message } of [
  { worker: 'disk', message: 'The thread “disk” stopped working, and with it the machine’s disks.' },
  { worker: 'vcpu 0', message: 'The processor of the machine stopped working.' },
]) {
  test(`when the browser takes the thread “${worker}” away, the machine says so, and starts again with what was flushed`, async ({
    tab,
    serve,
  }) => {
    const site = await serve();
    const guest = await tab();
    await keepWorkers(guest.page);
    await guest.page.clock.install();
    await guest.boot(site.url, DISK);
    await writeBlocks(guest, 20);
    await takeAway(guest.page, worker);
    // The guest may promise more as long as its processor runs.
    await pass(guest.page, 70);
    await expect(guest.notice).toHaveAttribute('data-kind', 'worker-lost', { timeout: 30_000 });
    await expect(guest.notice).toContainText(message);
    const count = await promised(guest);
    await guest.lookAt(`lost-${worker.replace(' ', '')}`);
    await guest.button('Start again').click();
    await expect
      .poll(async () => (await guest.consoleText()).trimEnd().endsWith(PROMPT), { timeout: 120_000 })
      .toBe(true);
    expect(await sumOf(guest, count)).toBe(expectedSum(count));
  });
}
