/**
 * What the translator makes of guest code: its instructions by trace, their statements, and the function's WebAssembly.
 *
 *   npx tsx tools/jit-print.ts FILE [SYMBOL|ADDRESS] [options]     a function of an ELF file, as build/bench/programs/64/sha256
 *   npx tsx tools/jit-print.ts --hex BYTES [options]               code given by hand
 *   npx tsx tools/jit-print.ts --stats FILE [ADDRESS] [options]    a region of a machine that ran with --info jit --stats FILE
 *
 * Without a symbol or an address: the list of all, with their figures.
 *
 *   --bits 16|32|64   for --hex (default 64)
 *   --offset N     place in the page, for --hex (default 0)
 *   --passes       statements as described and behind each pass, not only behind the last
 *   --no-ir --no-wasm --no-code
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { HotRegion, Profile } from '../src/control/regions.ts';
import { Decoder } from '../src/isa/decoder.ts';
import type { Region } from '../src/jit/region.ts';
import { regionOf } from '../src/jit/translate.ts';
import { MODE_CODE32, MODE_CODE64, MODE_CODE_MASK } from '../src/layout/vcpu.ts';
import { disassemble } from './fuzz/disassemble.ts';
import { functionsIn } from './jit/elf.ts';
import { figuresOf, figuresText, regionText } from './jit/region-text.ts';
import { staticRegion } from './jit/static-region.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  allowNegative: true,
  options: {
    hex: { type: 'string' },
    stats: { type: 'string' },
    bits: { type: 'string', default: '64' },
    offset: { type: 'string', default: '0' },
    passes: { type: 'boolean', default: false },
    ir: { type: 'boolean', default: true },
    wasm: { type: 'boolean', default: true },
    code: { type: 'boolean', default: true },
  },
});

/** Something that can be printed. */
interface Named {
  readonly name: string;
  readonly region: Region;
  /** The bytes of its page. */
  readonly page: Uint8Array;
}

function fail(message: string): never {
  console.error(`jit-print: ${message}`);
  process.exit(2);
}

const BITS: Readonly<Record<string, 16 | 32>> = { 16: 16, 32: 32 };

function bitsOf(mode: number): 16 | 32 | 64 {
  const code = mode & MODE_CODE_MASK;
  return code === MODE_CODE64 ? 64 : code === MODE_CODE32 ? 32 : 16;
}

/** objdump's text by offset in the page; block by block, as what lies between may be no code. */
async function codeOf({ region, page }: Named): Promise<Map<number, string>> {
  const text = new Map<number, string>();
  for (const { offset, end } of region.blocks) {
    const rows = await disassemble(page.subarray(offset, end), region.page + offset, bitsOf(region.mode));
    for (const row of rows.split('\n')) {
      const [at = '', , instruction = ''] = row.split('\t');
      if (instruction !== '') text.set(Number.parseInt(at, 16) - region.page, instruction.trim());
    }
  }
  return text;
}

async function print(named: Named): Promise<void> {
  const { name, region } = named;
  const lines = regionText(region, {
    ...(values.code ? { code: await codeOf(named) } : {}),
    ir: !values.ir ? 'none' : values.passes ? 'all' : 'last',
    wasm: values.wasm,
  });
  console.log([`${name}: ${figuresText(figuresOf(region))}`, ...lines].join('\n'));
}

function bytesOf(hex: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.from(hex.replace(/\s/g, ''), 'hex'));
}

/** A function's bytes, as all of it that lies in its first page. */
function fromBytes(name: string, bytes: Uint8Array, address: number, bits: 16 | 32 | 64): Named {
  const offset = address & 0xfff;
  const page = new Uint8Array(4096);
  page.set(bytes.subarray(0, 4096 - offset), offset);
  return { name, region: { ...staticRegion(bytes, offset, bits), page: address - offset }, page };
}

function fromProfile({ page, mode, leaders, wanted, linear, code = '' }: HotRegion): Named {
  const bytes = bytesOf(code);
  const region = regionOf(new Decoder(), { bytes, address: page, mode, leaders, wanted });
  return { name: `page ${page.toString(16)}, seen at ${linear}`, region, page: bytes };
}

async function printHot(file: string, address: string | undefined): Promise<void> {
  const stats = JSON.parse(readFileSync(file, 'utf8')) as { info?: { profile?: Profile } };
  const profile = stats.info?.profile ?? fail(`${file} has no profile: run tools/vm.ts with --info jit.`);
  const hot = profile.regions.filter(({ code }) => code !== undefined);
  const wanted = hot.filter(({ page }) => page === Number.parseInt(address ?? '', 16));
  for (const region of wanted) await print(fromProfile(region));
  if (wanted.length > 0) return;
  for (const region of hot) {
    const share = ((100 * region.samples) / profile.samples).toFixed(1).padStart(5);
    const { name, region: formed } = fromProfile(region);
    console.log(`${share} %  ${name}, ${region.kind}: ${figuresText(figuresOf(formed))}`);
  }
}

const [first, second] = positionals;
if (values.stats !== undefined) await printHot(values.stats, first);
else if (values.hex !== undefined) {
  await print(fromBytes('code', bytesOf(values.hex), Number(values.offset), BITS[values.bits] ?? 64));
} else if (first === undefined) fail('name an ELF file, or give code by --hex, or --stats FILE.');
else {
  const functions = functionsIn(readFileSync(first)).map(({ name, bytes, address, bits }) => ({
    address,
    named: fromBytes(name, bytes, address, bits),
  }));
  const found = functions.find(
    ({ named, address }) => named.name === second || address === Number.parseInt(second ?? '', 16),
  );
  if (found !== undefined) await print(found.named);
  else {
    for (const { address, named } of functions) {
      console.log(`${address.toString(16)} ${named.name.padEnd(24)} ${figuresText(figuresOf(named.region))}`);
    }
  }
}
