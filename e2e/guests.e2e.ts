/** Debian's programs on our CPU and our disks, in the smallest measure; docs/guests.md says how to run all of it. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, test } from '@playwright/test';
import { startVirtab } from '../tools/io/virtab.ts';
import { verifyDisks } from '../tools/io/verify.ts';
import { root } from '../tools/runner/stale.ts';
import { prepareGuest, recordedOutput, sections, SCRIPTS_OF, vmArguments } from '../tools/userspace/suite.ts';

const log = (line: string): void => console.log(line);

/** The console of a guest that powers off. */
function consoleOf(args: readonly string[]): Promise<string> {
  const child = spawn(process.execPath, ['--import', 'tsx', 'tools/vm.ts', ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', () => resolve(output));
  });
}

test.describe('Debian amd64', () => {
  // Packages are fetched and unpacked the first time, and others may use the machine.
  test.setTimeout(600_000);

  test('bash, coreutils and python3 print what they print on a real CPU', async () => {
    const guest = await prepareGuest('short', 'amd64', SCRIPTS_OF.short, log);
    if (!guest.ok) throw new Error(guest.error);
    const output = sections(await consoleOf([...vmArguments(guest.value, 'off'), '--timeout', '500']));
    expect(output.get('bash.sh')).toBe(readFileSync(recordedOutput('bash.sh'), 'utf8'));
    expect(output.get('coreutils.sh')).toBe(readFileSync(recordedOutput('coreutils.sh'), 'utf8'));
    expect(output.get('python.py')).toBe(readFileSync(recordedOutput('python.py'), 'utf8'));
  });

  test('fio verifies what it wrote to ext4 and raw disks while ioeventfd is flipped', async () => {
    // Throws at the first thing that is wrong.
    await verifyDisks(
      { architecture: 'amd64', start: startVirtab('on'), jobs: [8], sizeKib: 512, fileMib: 8 },
      log,
    );
  });
});
