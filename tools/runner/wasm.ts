/** Builds core.wasm and interpreter.wasm when their sources have changed. */
import { spawn } from 'node:child_process';
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
    inputs: ['src/base', 'src/layout', 'src/ir', 'src/isa', 'src/interp', 'src/wasmgen', 'tools/build-interpreter.ts'],
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

export async function ensureWasm(): Promise<void> {
  for (const { output, tool, inputs } of BUILDS) if (isStale(output, inputs)) await runTool(tool);
}
