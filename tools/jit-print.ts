/**
 * `npx tsx tools/jit-print.ts FILE [SYMBOL|ADDRESS] [options]` or `--hex BYTES`: what the translator makes of guest code. Prints
 * the guest's instructions by trace, their IR, and the function's WebAssembly.
 *
 *   FILE           an ELF file, for example build/bench/programs/64/sha256
 *   SYMBOL         a function in it (default: the list of all, with their figures)
 *   --hex BYTES    code instead of a file
 *   --bits 32|64   for --hex (default 64)
 *   --offset N     place in the page, for --hex (default 0)
 *   --no-ir --no-wasm --no-code
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { disassemble } from './fuzz/disassemble.ts';
import { functionsIn } from './jit/elf.ts';
import type { GuestFunction } from './jit/elf.ts';
import { staticRegion } from './jit/static-region.ts';
import { printStatements } from '../src/ir/print.ts';
import { compileRegions } from '../src/jit/compile.ts';
import { functionsOf } from '../src/wasmgen/text.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  allowNegative: true,
  options: {
    hex: { type: 'string' },
    bits: { type: 'string', default: '64' },
    offset: { type: 'string', default: '0' },
    ir: { type: 'boolean', default: true },
    wasm: { type: 'boolean', default: true },
    code: { type: 'boolean', default: true },
  },
});

interface Figures {
  readonly instructions: number;
  readonly operations: number;
  readonly bytes: number;
}

function figuresOf({ bytes, address, bits }: GuestFunction): Figures {
  const region = staticRegion(bytes, address & 0xfff, bits);
  const [compiled] = functionsOf(compileRegions([region]));
  const instructions = region.blocks.reduce((sum, block) => sum + block.instructions.length, 0);
  return { instructions, operations: compiled?.operations ?? 0, bytes: compiled?.bytes ?? 0 };
}

function line({ instructions, operations, bytes }: Figures): string {
  const per = (count: number): string => (count / Math.max(1, instructions)).toFixed(1);
  return `${instructions} instructions, ${operations} wasm operations (${per(operations)} each), ${bytes} bytes (${per(bytes)} each)`;
}

async function print(guest: GuestFunction): Promise<void> {
  const { bytes, address, bits } = guest;
  const region = staticRegion(bytes, address & 0xfff, bits);
  const page = address - (address & 0xfff);
  const text = new Map(
    (await disassemble(bytes, address, bits)).split('\n').map((row): [number, string] => {
      const [at = '', , instruction = ''] = row.split('\t');
      return [Number.parseInt(at, 16), instruction.trim()];
    }),
  );
  console.log(`${guest.name}: ${line(figuresOf(guest))}`);
  region.plan.traces.forEach((trace, i) => {
    const entry = trace.entry < 0 ? '' : `, entry ${trace.entry}`;
    console.log(`\ntrace ${i}${entry}`);
    for (const block of trace.blocks) {
      if (values.code) console.log(`  block ${(page + block.offset).toString(16)}`);
      block.instructions.forEach(({ offset }, number) => {
        if (values.code)
          console.log(`    ${(page + offset).toString(16)}  ${text.get(page + offset) ?? '?'}`);
        if (values.ir) console.log(printStatements(block.bodies[number]!, '        ').join('\n'));
      });
    }
  });
  if (!values.wasm) return;
  for (const { locals, lines } of functionsOf(compileRegions([region]))) {
    console.log(`\n(func (param i32 i32) (result i32) (local ${locals.join(' ')})`);
    console.log(lines.map((row) => `  ${row}`).join('\n'));
  }
}

function fromHex(hex: string): GuestFunction {
  const bytes = Uint8Array.from(hex.replace(/\s/g, '').match(/../g) ?? [], (byte) =>
    Number.parseInt(byte, 16),
  );
  return { name: 'code', address: Number(values.offset), bytes, bits: values.bits === '32' ? 32 : 64 };
}

const [file, wanted] = positionals;
if (values.hex !== undefined) await print(fromHex(values.hex));
else if (file === undefined) {
  console.error('jit-print: name an ELF file, or give code by --hex.');
  process.exitCode = 2;
} else {
  const functions = functionsIn(readFileSync(file));
  const found = functions.find(
    ({ name, address }) => name === wanted || address === Number.parseInt(wanted ?? '', 16),
  );
  if (found !== undefined) await print(found);
  else {
    for (const guest of functions) {
      console.log(`${guest.address.toString(16)} ${guest.name.padEnd(24)} ${line(figuresOf(guest))}`);
    }
  }
}
