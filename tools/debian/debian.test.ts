/** Debian's kernels in CI: the cloud kernel and the 32-bit one; debian-verify.test.ts has the first under verify, `npm run test:kernels` all four in all
 * ways. */
import { describe, expect, it } from 'vitest';
import { answerIn, bootDebian, suspiciousLines } from './boot.ts';
import { debianGuest } from './guests.ts';

const LIMIT_MS = 240_000;

it.each([
  ['cloud-amd64', /^6\.1\.0-\d+-cloud-amd64 x86_64$/],
  ['686', /^6\.1\.0-\d+-686 i686$/],
] as const)(
  'Debian %s boots to a shell without a complaint and powers off',
  { timeout: LIMIT_MS + 60_000 },
  async (flavour, release) => {
    const guest = await debianGuest(flavour, () => undefined);
    if (!guest.ok) throw new Error(guest.error);
    const boot = await bootDebian(guest.value, { jit: 'on', limitMs: LIMIT_MS });
    expect(boot).toMatchObject({ ended: 'power-off', report: [], tainted: '0', suspicious: [] });
    expect(boot.release).toMatch(release);
  },
);

it.each([
  'echo answer: $(uname)\r\nanswer: Linux\r\n',
  '\x1b[6n[   16.0] clocksource: Long readout interval\r\necho answer: $(uname)\r\nanswer: Linux\r\n',
])('the answer of the shell is found in %j', (text) => {
  expect(answerIn(text)).toBe('Linux');
});

describe('a line of the kernel log', () => {
  it.each([
    '[    1.2] unchecked MSR access error: RDMSR from 0x1b0',
    '[    3.25] clocksource: timekeeping watchdog on CPU0: Marking clocksource "tsc" as unstable',
    '[    0.1] WARNING: CPU: 0 PID: 0 at kernel/foo.c:12',
    '[   12.0] irq 11: nobody cared (try booting with the "irqpoll" option)',
  ])('%s is suspicious', (line) => {
    expect(suspiciousLines(line)).toEqual([line]);
  });

  it.each([
    '[    3.4] PCI: Using host bridge windows from ACPI; if necessary, use "pci=nocrs" and report a bug',
    '[   12.9] AMD-Vi: AMD IOMMUv2 functionality not available on this system - This is not a bug.',
    '[    1.0] Booting paravirtualized kernel on KVM',
  ])('%s is not', (line) => {
    expect(suspiciousLines(line)).toEqual([]);
  });
});
