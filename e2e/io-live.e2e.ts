/** What changes while the guest runs: its disks' media, sizes and caches, their drivers, and ioeventfd under load. */
import { expect, test } from './guest-tab.ts';
import type { Guest } from './guest-tab.ts';

test.setTimeout(300_000);

const MIB = 1024 * 1024;

/** Configuration interrupts that the guest's driver of the first virtio function has taken. */
async function configInterrupts(guest: Guest): Promise<number> {
  return Number(await guest.run("awk '/virtio0-config/ { print $2 }' /proc/interrupts"));
}

/** In sectors, as the guest's driver sees it. */
async function expectCapacity(guest: Guest, disk: string, sectors: number): Promise<void> {
  await expect
    .poll(async () => Number(await guest.run(`cat /sys/block/${disk}/size`)), { timeout: 60_000 })
    .toBe(sectors);
}

/** What the guest calls the disk, as the page says. */
async function guestName(guest: Guest, name: string): Promise<string> {
  const text = await guest.page.locator('.card', { hasText: name }).locator('.setting-option').innerText();
  return text.replace('/dev/', '');
}

test('a disk that grows tells the guest with one configuration interrupt, and the new room can be used', async ({
  tab,
  serve,
}) => {
  const site = await serve();
  const guest = await (await tab()).boot(site.url, { drive: 'file=root.img,size=8M' });
  const before = await guest.run(
    'dd if=/dev/urandom of=/dev/vda bs=64k count=128 conv=fsync 2>/dev/null; md5sum < /dev/vda',
  );
  const interrupts = await configInterrupts(guest);
  await expectCapacity(guest, 'vda', (8 * MIB) / 512);
  await guest.button('Disks').click();
  await guest.button('Grow root.img').click();
  await guest.page.getByLabel('Size', { exact: true }).fill('16M');
  await guest.page.getByRole('dialog').getByRole('button', { name: 'Grow' }).click();
  await expectCapacity(guest, 'vda', (16 * MIB) / 512);
  expect(await configInterrupts(guest)).toBe(interrupts + 1);
  await expect(guest.page.locator('.card', { hasText: 'root.img' })).toContainText('16 MiB');
  await guest.lookAt('disk-grown');
  await guest.run('dd if=/dev/urandom of=/dev/vda bs=64k seek=128 count=128 conv=fsync 2>/dev/null');
  expect(await guest.run('dd if=/dev/vda bs=64k count=128 2>/dev/null | md5sum')).toBe(before);
  const all = await guest.run('echo 3 > /proc/sys/vm/drop_caches; md5sum < /dev/vda');
  await guest.page.reload();
  await guest.allow();
  await guest.waitForOutput('root@virtab:~#', 90_000);
  expect(await guest.run('md5sum < /dev/vda')).toBe(all);
});

test('a medium that is taken out fails what the guest wants, and another one takes its place', async ({
  tab,
  serve,
}) => {
  const site = await serve();
  const guest = await (
    await tab()
  ).boot(site.url, { drive: 'file=one.img,size=8M,id=d,if=none', device: 'virtio-blk-pci,drive=d' });
  await guest.run('echo one | dd of=/dev/vda conv=fsync 2>/dev/null');
  const interrupts = await configInterrupts(guest);
  // In the midst of writing.
  await guest.send(
    'while dd if=/dev/zero of=/dev/vda bs=64k seek=1 count=100 oflag=direct 2>/dev/null; do :; done; echo stop""ped\n',
  );
  await guest.button('Disks').click();
  await expect(guest.page.locator('.card', { hasText: 'one.img' })).toContainText('not flushed yet');
  await guest.button('Detach one.img').click();
  await guest.button('Detach it now').click();
  await guest.waitForOutput('stopped');
  await expectCapacity(guest, 'vda', 0);
  expect(await configInterrupts(guest)).toBe(interrupts + 1);
  expect(await guest.run('head -c 3 /dev/vda | wc -c')).toBe('0');

  await guest.button('New empty disk').click();
  await guest.page.getByRole('dialog').getByLabel('Name').fill('two.img');
  await guest.page.getByLabel('Size', { exact: true }).fill('4M');
  await guest.button('Create').click();
  const second = await guestName(guest, 'two.img');
  await expectCapacity(guest, second, (4 * MIB) / 512);
  expect(
    await guest.run(`echo two | dd of=/dev/${second} conv=fsync 2>/dev/null; head -c 3 /dev/${second}; echo`),
  ).toBe('two');

  // The first one kept what was flushed.
  await guest.button('Attach one.img').click();
  const first = await guestName(guest, 'one.img');
  await expectCapacity(guest, first, (8 * MIB) / 512);
  expect(await guest.run(`head -c 3 /dev/${first}; echo`)).toBe('one');
  expect(first).not.toBe(second);
});

test('a write cache that the guest switches off makes each write durable when it completes', async ({
  tab,
  serve,
}) => {
  const site = await serve();
  const guest = await (await tab()).boot(site.url, { drive: 'file=root.img,size=8M' });
  const medium = async () =>
    (await guest.deviceInfo()).disks.find(({ drive }) => drive === 'virtio0')!.medium!;
  const write = 'dd if=/dev/urandom of=/dev/vda bs=4k count=8 oflag=direct 2>/dev/null';
  await guest.run(write);
  const cached = await medium();
  await guest.run('echo "write through" > /sys/block/vda/cache_type');
  const flushes = (await medium()).driver.flushes;
  await guest.run(write);
  const through = await medium();
  expect([cached.writeCache, cached.dirty]).toEqual([true, true]);
  expect([through.writeCache, through.dirty]).toEqual([false, false]);
  expect(through.driver.flushes - flushes).toBeGreaterThanOrEqual(8);
  await guest.run('echo "write back" > /sys/block/vda/cache_type');
  await guest.run(write);
  const again = await medium();
  expect([again.writeCache, again.dirty]).toEqual([true, true]);
});

test('a driver that lets go of its device and takes it again at any time loses nothing that it flushed', async ({
  tab,
  serve,
}) => {
  const site = await serve();
  const guest = await (await tab()).boot(site.url, { drive: 'file=root.img,size=16M' });
  const sum = await guest.run(
    'dd if=/dev/urandom of=/dev/vda bs=64k count=128 conv=fsync 2>/dev/null; dd if=/dev/vda bs=64k count=128 2>/dev/null | md5sum',
  );
  // A node of our own: whoever opens /dev/vda while the driver is away makes a file of that name there.
  await guest.run(
    'node() { rm -f /tmp/disk; mknod /tmp/disk b $(tr : " " < /sys/block/$(ls /sys/bus/virtio/devices/virtio0/block)/dev); }',
  );
  // Each round resets the device in the midst of what another process writes behind the first 8 MiB.
  await guest.run(
    [
      'cd /sys/bus/virtio/drivers/virtio_blk;',
      'for round in 1 2 3 4 5 6 7 8 9 10 11 12; do node;',
      '(while dd if=/dev/urandom of=/tmp/disk bs=32k seek=256 count=64 oflag=direct 2>/dev/null; do :; done) &',
      'usleep $((round * 7000)); echo virtio0 > unbind; wait; echo virtio0 > bind; done; cd; node',
    ].join(' '),
    120_000,
  );
  expect(
    await guest.run(
      'echo 3 > /proc/sys/vm/drop_caches; dd if=/tmp/disk bs=64k count=128 2>/dev/null | md5sum',
    ),
  ).toBe(sum);
  const { ioeventfd } = await guest.deviceInfo();
  expect(ioeventfd.map(({ queues }) => queues.map(({ state }) => state))[0]).toEqual(['assigned']);
});

test('ioeventfd is flipped in the settings under load: no request is lost and no byte is wrong', async ({
  tab,
  serve,
}) => {
  const site = await serve();
  const guest = await (await tab()).boot(site.url, { drive: 'file=work.img,size=32M' });
  // Each of four writes its own part, reads it back past the cache, and compares.
  await guest.run(
    [
      'worker() { rounds=0; bad=0; while [ ! -e /tmp/enough ]; do',
      'dd if=/dev/urandom of=/tmp/f$1 bs=4k count=32 2>/dev/null;',
      'dd if=/tmp/f$1 of=/dev/vda bs=4k seek=$(($1 * 2048)) conv=notrunc oflag=direct 2>/dev/null || bad=$((bad + 1));',
      'dd if=/dev/vda bs=4k skip=$(($1 * 2048)) count=32 iflag=direct 2>/dev/null | cmp -s - /tmp/f$1 || bad=$((bad + 1));',
      'rounds=$((rounds + 1)); done; echo "worker $1 rounds $rounds bad $bad" >> /tmp/log; }',
    ].join(' '),
  );
  await guest.run('for n in 0 1 2 3; do worker $n & done > /dev/null 2>&1');
  await guest.button('Settings').click();
  const disk = guest.page.getByRole('region', { name: 'Disk work.img' });
  const flip = disk.getByRole('radiogroup', { name: 'ioeventfd' });
  for (const setting of Array.from({ length: 20 }, (_, n) => (n % 2 === 0 ? 'off' : 'on'))) {
    await flip.getByText(setting, { exact: true }).click();
    await expect(flip.getByRole('radio', { name: setting, exact: true })).toBeChecked();
    await guest.page.waitForTimeout(150);
  }
  await expect(disk).toContainText('Switched on.');
  await guest.run('touch /tmp/enough; wait', 120_000);
  const log = await guest.run('sort /tmp/log');
  expect(log.match(/worker \d rounds [1-9]\d* bad 0/g)).toHaveLength(4);
  const { disks, ioeventfd } = await guest.deviceInfo();
  const device = ioeventfd.find(({ queues }) => queues.some(({ kicks }) => kicks > 0))!;
  expect([device.setting, device.enabled, device.queues[0]!.state]).toEqual(['on', true, 'assigned']);
  expect(device.synchronousKicks).toBeGreaterThan(10);
  expect(device.queues[0]!.kicks).toBeGreaterThan(10);
  // Reads and writes that the guest's driver has seen completed, and those in flight.
  const [reads, writes, inFlight] = (await guest.run("awk '{ print $1, $5, $9 }' /sys/block/vda/stat"))
    .split(' ')
    .map(Number);
  const counted = disks.find(({ medium }) => medium?.name === 'work.img')!.medium!.queues[0]!;
  expect([inFlight, counted.inFlight, counted.errors, counted.cancelled]).toEqual([0, 0, 0, 0]);
  expect([counted.reads, counted.writes]).toEqual([reads, writes]);
});
