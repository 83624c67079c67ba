/** Builds core.wasm and interpreter.wasm when their sources have changed. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { isStale, root } from './stale.ts';

interface WasmBuild {
  readonly output: string;
  readonly tool: string;
  readonly inputs: readonly string[];
}

const BUILDS: readonly WasmBuild[] = [
  {
    output: 'build/core.wasm',
    tool: 'tools/build-core.ts',
    inputs: ['wasm', 'src/layout', 'tools/build-core.ts'],
  },
  {
    output: 'build/interpreter.wasm',
    tool: 'tools/build-interpreter.ts',
    inputs: [
      'src/base',
      'src/layout',
      'src/ir',
      'src/isa',
      'src/interp',
      'src/wasmgen',
      'tools/build-interpreter.ts',
    ],
  },
];

/** stdout is the guest's: what a tool prints goes to stderr. */
function runTool(tool: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--import', 'tsx', tool], { cwd: root, stdio: ['ignore', 2, 2] });
    child.on('error', reject);
    child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`${tool} failed`))));
  });
}

/**
 * Builds what is missing, and with `rebuild` also what is older than its sources (which takes up to a minute and may
 * meet sources in the middle of an edit, so that the runner only warns).
 */
export async function ensureWasm(rebuild: boolean): Promise<void> {
  for (const { output, tool, inputs } of BUILDS) {
    const isMissing = !existsSync(join(root, output));
    if (!isMissing && !isStale(output, inputs)) continue;
    if (isMissing || rebuild) {
      process.stderr.write(`building ${output}\n`);
      await runTool(tool);
    } else process.stderr.write(`${output} is older than its sources: npx tsx ${tool} builds it\n`);
  }
}
