/** The default guest's boot to its prompt, in Chromium, by the runner. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../runner/stale.ts';

/** The shell of the default guest (tools/guest/initramfs.ts). */
export const PROMPT = 'root@virtab:~#';

export interface OurRun {
  readonly instructions: number;
  /** Both interpreting and decoding. */
  readonly nsPerInstruction: number;
  readonly decodeMs: number;
  readonly resetToPromptMs: number;
  readonly resetToFirstOutputMs: number;
  readonly pageStartMs: number;
}

interface Stats {
  readonly instructions: number;
  readonly decodeMs: number;
  readonly interpretMs: number;
  readonly resetToUntilMs?: number;
  readonly resetToFirstOutputMs: number;
  readonly pageStartMs: number;
}

export async function measureOurs(): Promise<OurRun> {
  const folder = mkdtempSync(join(tmpdir(), 'virtab-bench-'));
  try {
    const file = join(folder, 'stats.json');
    const args = ['--import', 'tsx', 'tools/vm.ts', '--until', PROMPT, '--timeout', '120', '--stats', file];
    await new Promise<void>((resolve, reject) => {
      const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
      child.on('error', reject);
      child.on('exit', (code) =>
        code === 0 ? resolve() : reject(new Error(`the runner ended with ${code}`)),
      );
    });
    const stats = JSON.parse(readFileSync(file, 'utf8')) as Stats;
    if (stats.resetToUntilMs === undefined) throw new Error('the guest did not reach its prompt');
    return {
      instructions: stats.instructions,
      nsPerInstruction: ((stats.decodeMs + stats.interpretMs) * 1e6) / stats.instructions,
      decodeMs: stats.decodeMs,
      resetToPromptMs: stats.resetToUntilMs,
      resetToFirstOutputMs: stats.resetToFirstOutputMs,
      pageStartMs: stats.pageStartMs,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
