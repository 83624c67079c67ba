/** The cloud kernel under `-jit verify`: everything that it runs translated is interpreted as well, and compared. */
import { expect, it } from 'vitest';
import { bootDebian } from './boot.ts';
import { debianGuest } from './guests.ts';

/** One that works takes a tenth of it. */
const LIMIT_MS = 600_000;
const TIMEOUT = { timeout: LIMIT_MS + 60_000 };

async function bootCloud(vcpu?: string): ReturnType<typeof bootDebian> {
  const guest = await debianGuest('cloud-amd64', () => undefined);
  if (!guest.ok) throw new Error(guest.error);
  return await bootDebian(guest.value, {
    jit: 'verify',
    limitMs: LIMIT_MS,
    ...(vcpu === undefined ? {} : { vcpu }),
  });
}

it(
  'Debian cloud-amd64 boots to a shell and powers off, all its translated code compared',
  TIMEOUT,
  async () => {
    const boot = await bootCloud();
    expect(boot).toMatchObject({ ended: 'power-off', report: [], tainted: '0', suspicious: [] });
    expect(boot.verified / boot.instructions).toBeGreaterThan(0.8);
  },
);

it(
  'a boot in which translated code goes wrong ends there, and says which instruction it was',
  TIMEOUT,
  async () => {
    const { ended, report } = await bootCloud('../debian/wrong-vcpu.ts');
    expect(ended).toBe('translation-wrong');
    expect(report.slice(0, 4)).toEqual([
      'Translated code and the interpreter came to different results. This is a fault of Virtab, not of your guest.',
      'The machine stands in front of that code; the report has both results and the code. Please attach it to an issue.',
      '',
      'Translated code and the interpreter disagree.',
    ]);
    expect(report).toContainEqual(expect.stringMatching(/^rax +00000000ffffffff +0000000000000001$/));
    expect(report).toContainEqual(expect.stringMatching(/^[0-9a-f]{16} {2}19 c0 +sbb eax, eax$/));
  },
);
