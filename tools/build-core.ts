/**
 * Builds `build/core.wasm` from `wasm/` (AssemblyScript) and checks what comes out against
 * `src/layout/core-abi.ts`. The layout reaches AssemblyScript as `wasm/generated/layout.ts`, so
 * that an offset is defined in one place only.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { main as compileAssemblyScript } from 'assemblyscript/asc';
import { CORE_CONTROL, CORE_FUNCTIONS, HOST_IMPORTS, signatureOf } from '../src/layout/core-abi.ts';
import type { CoreFunction } from '../src/layout/core-abi.ts';
import * as access from '../src/layout/access.ts';
import * as exceptions from '../src/layout/exceptions.ts';
import * as exits from '../src/layout/exits.ts';
import * as ioeventfd from '../src/layout/ioeventfd.ts';
import * as machine from '../src/layout/machine.ts';
import * as map from '../src/layout/map.ts';
import * as registers from '../src/layout/registers.ts';
import * as sse from '../src/layout/sse.ts';
import * as vcpu from '../src/layout/vcpu.ts';
import { readWasm } from './wasm-sections.ts';
import type { WasmSignature } from './wasm-sections.ts';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const layoutFile = join(root, 'wasm/generated/layout.ts');
const outputFile = join(root, 'build/core.wasm');

/** Pages of 64 KiB that a memory32 can have: the module imports whatever the machine has allocated. */
const MAXIMUM_PAGES = 65536;

/** The types that the exports for the run loop have, after `cpu`; `reset` and the like return nothing. */
const CONTROL_SIGNATURES: Record<(typeof CORE_CONTROL)[number], WasmSignature> = {
  reset: { params: ['i32'], results: [] },
  updateMode: { params: ['i32'], results: [] },
  flushTlb: { params: ['i32', 'i32'], results: [] },
  flushBlocks: { params: ['i32'], results: [] },
  dropLinks: { params: ['i32'], results: [] },
  markCode: { params: ['i32', 'i32', 'i32'], results: [] },
  insertBlock: { params: ['i32', 'i32'], results: [] },
  invalidateCode: { params: ['i32', 'i32', 'i32'], results: [] },
  interruptVector: { params: ['i32', 'i32'], results: ['i32'] },
  nonMaskableInterrupt: { params: ['i32'], results: ['i32'] },
  swapBack: { params: ['i32', 'i32', 'i32'], results: [] },
  swapForward: { params: ['i32', 'i32', 'i32'], results: [] },
  kick: { params: ['i32', 'i32', 'i32', 'i32', 'i64'], results: ['i32'] },
  translateDebug: { params: ['i32', 'i64'], results: ['i32'] },
};

interface StructLike {
  readonly at: Readonly<Record<string, number>>;
  readonly size: number;
}

function isStruct(value: unknown): value is StructLike {
  return typeof value === 'object' && value !== null && 'at' in value && 'size' in value;
}

function constant(name: string, type: 'i32' | 'u32' | 'usize', value: number): string {
  return `// @ts-ignore: decorator\n@inline export const ${name}: ${type} = ${value};\n`;
}

/** Constants become `NAME`, fields of a structure `STRUCT_field`, its size `STRUCT_SIZE`. */
function layoutSource(): string {
  let source = '// Written by tools/build-core.ts from src/layout.\n';
  // Masks: `~` of one must not reach into the upper half of a u64.
  for (const [name, value] of Object.entries(registers)) source += constant(name, 'u32', value);
  for (const module of [map, machine, ioeventfd, vcpu, access, exits, sse, exceptions]) {
    for (const [name, value] of Object.entries<unknown>(module)) {
      if (typeof value === 'number') {
        source += constant(name, value > 0x7fffffff ? 'u32' : 'i32', value);
      } else if (isStruct(value)) {
        for (const [field, offset] of Object.entries(value.at)) {
          source += constant(`${name}_${field}`, 'usize', offset);
        }
        source += constant(`${name}_SIZE`, 'i32', value.size);
      }
    }
  }
  return source;
}

function compile(): Promise<boolean> {
  const flags =
    `--importMemory --noExportMemory --sharedMemory --initialMemory 1 --maximumMemory ${MAXIMUM_PAGES} ` +
    '--enable threads --enable simd --enable bulk-memory --runtime stub --use abort= -O3 --noAssert --converge';
  const options = [join(root, 'wasm/index.ts'), '--outFile', outputFile, ...flags.split(' ')];
  return compileAssemblyScript(options, { stdout: process.stdout, stderr: process.stderr }).then(
    ({ error }) => !error,
  );
}

function sameSignature(actual: WasmSignature | undefined, expected: WasmSignature): boolean {
  return JSON.stringify(actual) === JSON.stringify(expected);
}

function show(signature: WasmSignature | undefined): string {
  return signature ? `(${signature.params.join(' ')}) -> (${signature.results.join(' ')})` : 'missing';
}

/** Everything in which the module breaks the contract of core-abi.ts and docs/core.md. */
function violations(bytes: Uint8Array): string[] {
  const module = readWasm(bytes);
  const problems: string[] = [];
  if (module.hasData) problems.push('has a data section');
  if (module.hasStart) problems.push('has a start function');
  if (!module.sharedMemoryImported) problems.push('does not import a shared memory as env.memory');

  const expected = new Map<string, WasmSignature>(Object.entries(CONTROL_SIGNATURES));
  for (const [name, abi] of Object.entries<CoreFunction>(CORE_FUNCTIONS)) {
    expected.set(name, signatureOf(abi));
  }
  for (const name of CORE_CONTROL) if (!expected.has(name)) problems.push(`no signature for ${name}`);
  for (const [name, signature] of expected) {
    const actual = module.exports.get(name);
    if (!sameSignature(actual, signature)) {
      problems.push(`${name}: ${show(actual)}, not ${show(signature)}`);
    }
  }
  for (const name of module.exports.keys()) {
    if (!expected.has(name)) problems.push(`exports ${name}, which the contract does not know`);
  }
  const hostNames = new Set<string>(HOST_IMPORTS);
  for (const [from, name] of module.functionImports) {
    if (from !== 'host' || !hostNames.has(name)) problems.push(`imports ${from}.${name}`);
  }
  return problems;
}

mkdirSync(dirname(layoutFile), { recursive: true });
mkdirSync(dirname(outputFile), { recursive: true });
writeFileSync(layoutFile, layoutSource());
if (!(await compile())) process.exit(1);
const bytes = readFileSync(outputFile);
const problems = violations(bytes);
for (const problem of problems) console.error(`core.wasm ${problem}`);
if (problems.length > 0) process.exit(1);
console.log(`build/core.wasm: ${bytes.length} bytes`);
