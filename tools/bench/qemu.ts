/** The same guest in QEMU with TCG, one CPU, wall clock from start to prompt. */
import { spawn } from 'node:child_process';
import { PROMPT } from './ours.ts';

export interface Guest {
  readonly kernel: string;
  readonly initrd: string;
  readonly commandLine: string;
}

const TIMEOUT_MS = 120_000;

export function measureQemu({ kernel, initrd, commandLine }: Guest): Promise<number> {
  const machine = ['-accel', 'tcg,thread=single', '-m', '512', '-nographic', '-no-reboot', '-nic', 'none'];
  const guest = ['-kernel', kernel, '-initrd', initrd, '-append', commandLine];
  return new Promise((resolve, reject) => {
    const started = performance.now();
    const child = spawn('qemu-system-x86_64', [...machine, ...guest], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const timer = setTimeout(() => child.kill(), TIMEOUT_MS);
    let seen = '';
    let time: number | undefined;
    child.stdout.setEncoding('latin1').on('data', (text: string) => {
      seen = (seen + text).slice(-PROMPT.length - text.length);
      if (time !== undefined || !seen.includes(PROMPT)) return;
      time = performance.now() - started;
      child.kill();
    });
    child.on('error', reject);
    child.on('exit', () => {
      clearTimeout(timer);
      if (time === undefined) reject(new Error('QEMU did not reach the prompt'));
      else resolve(time);
    });
  });
}
