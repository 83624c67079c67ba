/** Debian's kernel on virtio in the browser: disks in real storage, networks between tabs, and what goes wrong with them. */
import { expect, PROMPT, test } from './guest-tab.ts';

test.setTimeout(300_000);

const WRITE =
  'dd if=/dev/urandom of=/dev/vda bs=64k count=100 seek=3 conv=fsync 2>/dev/null; md5sum < /dev/vda';

test('a disk holds after a reload what the guest wrote and flushed', async ({ tab, serve }) => {
  const site = await serve();
  const guest = await (await tab()).boot(site.url, { drive: 'file=root.img,size=16M' });
  const written = await guest.run(WRITE);
  expect(written).toMatch(/^[\da-f]{32} {2}-$/);
  await guest.page.reload();
  await guest.allow();
  await guest.waitForOutput(PROMPT, 90_000);
  expect(await guest.run('md5sum < /dev/vda')).toBe(written);
  expect(
    await guest.run(
      'dmesg | grep -iE "virtio|vda|error|warn" | grep -vE "virtio_blk|Command line|Kernel command"',
    ),
  ).toBe('');
});

for (const [name, append, chip] of [
  ['MSI-X', '', 'PCI-MSI'],
  ['INTx', 'pci=nomsi', 'IO-APIC'],
  ['the legacy interface', 'virtio_pci.force_legacy=1', 'PCI-MSI'],
  ['the legacy interface and INTx', 'virtio_pci.force_legacy=1 pci=nomsi', 'IO-APIC'],
] as const) {
  test(`a disk with four queues works with ${name}`, async ({ tab, serve }) => {
    const site = await serve();
    const guest = await (
      await tab()
    ).boot(
      site.url,
      {
        drive: 'file=root.img,size=16M,if=none,id=d',
        device: 'virtio-blk-pci,drive=d,num-queues=4,serial=S1',
      },
      append,
    );
    const written = await guest.run(WRITE);
    expect(await guest.run('echo 3 > /proc/sys/vm/drop_caches; md5sum < /dev/vda')).toBe(written);
    expect(await guest.run('grep virtio0 /proc/interrupts')).toContain(chip);
    expect(await guest.run('echo $(cat /sys/block/vda/serial)')).toBe('S1');
  });
}

/** Bit 29: VIRTIO_F_EVENT_IDX (virtio 1.2, chapter 6). */
const EVENT_IDX = 'cut -c30 /sys/bus/virtio/devices/virtio0/features';

for (const [eventIdx, offered] of [
  ['on', '1'],
  ['off', '0'],
] as const) {
  test(`event_idx=${eventIdx}: ${offered} is negotiated, and what is written is read back`, async ({
    tab,
    serve,
  }) => {
    const site = await serve();
    const guest = await (
      await tab()
    ).boot(site.url, {
      drive: 'file=root.img,size=16M,if=none,id=d',
      device: `virtio-blk-pci,drive=d,event_idx=${eventIdx}`,
    });
    expect(await guest.run(EVENT_IDX)).toBe(offered);
    const written = await guest.run(WRITE);
    expect(await guest.run('echo 3 > /proc/sys/vm/drop_caches; md5sum < /dev/vda')).toBe(written);
  });
}

test('a guest that may get four CPUs uses four queues, each with a vector of its own', async ({
  tab,
  serve,
}) => {
  const site = await serve();
  const guest = await (
    await tab()
  ).boot(
    site.url,
    {
      drive: 'file=root.img,size=16M,if=none,id=d',
      device: 'virtio-blk-pci,drive=d,num-queues=4',
    },
    'possible_cpus=4',
  );
  expect(await guest.run('echo $(ls /sys/block/vda/mq)')).toBe('0 1 2 3');
  expect(await guest.run("echo $(grep -o 'virtio0-req.*' /proc/interrupts)")).toBe(
    'virtio0-req.0 virtio0-req.1 virtio0-req.2 virtio0-req.3',
  );
  const { ioeventfd } = await guest.deviceInfo();
  expect(ioeventfd[0]!.queues.map(({ state }) => state)).toEqual([
    'assigned',
    'assigned',
    'assigned',
    'assigned',
  ]);
  const written = await guest.run(WRITE);
  expect(await guest.run('echo 3 > /proc/sys/vm/drop_caches; md5sum < /dev/vda')).toBe(written);
});

test('a second tab with the same disk is refused', async ({ tab, serve }) => {
  const site = await serve();
  await (await tab()).boot(site.url, { drive: 'file=root.img,size=16M' });
  const second = await tab();
  await second.page.goto(`${site.url}?drive=file%3Droot.img`);
  await second.allow();
  await expect(second.notice).toHaveAttribute('data-kind', 'bad-disk', { timeout: 60_000 });
  await expect(second.notice).toContainText('in use by another machine');
});

test('a reset in the midst of writing leaves a machine that boots again from the same disk', async ({
  tab,
  serve,
}) => {
  const site = await serve();
  const guest = await (await tab()).boot(site.url, { drive: 'file=root.img,size=16M' });
  await guest.send(
    'while true; do dd if=/dev/urandom of=/dev/vda bs=256k count=40 oflag=direct 2>/dev/null; done\n',
  );
  await guest.page.waitForTimeout(1500);
  await guest.button('Reset').click();
  await expect
    .poll(async () => (await guest.consoleText()).split('BusyBox v').length - 1, { timeout: 90_000 })
    .toBe(2);
  await expect.poll(async () => (await guest.consoleText()).trimEnd().endsWith(PROMPT)).toBe(true);
  const written = await guest.run(WRITE);
  expect(await guest.run('echo 3 > /proc/sys/vm/drop_caches; md5sum < /dev/vda')).toBe(written);
});

test('a disk that finds no room pauses the machine, and goes on when there is some', async ({
  profile,
  tab,
  serve,
}) => {
  const site = await serve();
  const guest = await tab();
  await guest.page.goto(`${site.url}?kernel=none`);
  // The browser counts the size of a file, not what it holds: only the last sector of this disk is behind the file's end.
  await guest.page.evaluate(async () => {
    const folder = await (
      await navigator.storage.getDirectory()
    ).getDirectoryHandle('disks', { create: true });
    const file = await (await folder.getFileHandle('odd.img', { create: true })).createWritable();
    await file.truncate(16 * 1024 * 1024 + 1);
    await file.close();
  });
  await guest.boot(site.url, { drive: 'file=odd.img' });
  const devtools = await profile.newCDPSession(guest.page);
  const { origin } = new URL(site.url);
  const { usage } = await devtools.send('Storage.getUsageAndQuota', { origin });
  await devtools.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: usage });
  await guest.send(
    'yes | head -c 512 > y; dd if=y of=/dev/vda seek=32768 conv=fsync 2>/dev/null; echo over""-all\n',
  );
  await expect(guest.status).toHaveText('Paused', { timeout: 60_000 });
  await devtools.send('Storage.overrideQuotaForOrigin', { origin });
  await guest.button('Resume').click();
  await guest.waitForOutput('over-all', 90_000);
  expect(await guest.run('tail -c 512 /dev/vda | cmp - y && echo same')).toBe('same');
});

for (const ioeventfd of ['on', 'off']) {
  test(`guests in two tabs ping each other and copy a file, ioeventfd=${ioeventfd}`, async ({
    tab,
    serve,
  }) => {
    const site = await serve();
    const options = {
      netdev: 'hubport,id=n,hubid=5',
      device: `virtio-net-pci,netdev=n,ioeventfd=${ioeventfd}`,
    };
    const server = await (await tab()).boot(site.url, options);
    await server.run('ip addr add 10.0.0.1/24 dev eth0; ip link set eth0 up');
    const client = await (await tab()).boot(site.url, options);
    await client.run('ip addr add 10.0.0.2/24 dev eth0; ip link set eth0 up');
    expect(await client.run('ping -c 3 10.0.0.1')).toContain('3 packets transmitted, 3 packets received');
    const sum = await server.run(
      'mkdir w; dd if=/dev/urandom of=w/f bs=64k count=64 2>/dev/null; httpd -h w; md5sum < w/f',
    );
    expect(await client.run('wget -q -O - http://10.0.0.1/f | md5sum', 120_000)).toBe(sum);
  });
}
