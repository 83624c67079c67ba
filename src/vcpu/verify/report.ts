/** A disagreement as text: what differs, the guest code that ran with its IR, and the region's WebAssembly. */
import type { Region } from '../../jit/region.ts';
import type { PageRequest } from '../../jit/translate.ts';
import type { Instruction } from '../../jit/site.ts';
import type { Statement } from '../../ir/ir.ts';
import { printStatements } from '../../ir/print.ts';
import { instructionText } from '../../isa/text.ts';
import { MODE_CODE32, MODE_CODE64, MODE_CODE_MASK, VCPU } from '../../layout/vcpu.ts';
import { functionsOf } from '../../wasmgen/text.ts';
import type { CpuState } from './cpu-state.ts';
import type { Disagreements } from './verifier.ts';

export interface ReportParts {
  readonly request: PageRequest;
  readonly region: Region;
  readonly module: Uint8Array;
  /** (E/R)IP of the page's start. */
  readonly linearPage: bigint;
  readonly entry: number;
  readonly retired: number;
  /** (E/R)IP of the instructions that ran. */
  readonly path: readonly bigint[];
  readonly before: CpuState;
  readonly differences: Disagreements;
}

/** A report goes into a dialog and into an issue: what is longer than this is shortened. */
const MOST_LINES = 3000;
const MOST_ROWS = 64;
const NAMES = 'rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15'.split(' ');

export function reportText(parts: ReportParts): string {
  const { request, linearPage, entry, retired } = parts;
  const at = linearPage + BigInt(entry);
  return [
    'Translated code and the interpreter disagree.',
    '',
    `Region: ${bitsOf(request.mode)}-bit code (mode ${request.mode.toString(16)}h), physical page ${request.address.toString(16)}h, ` +
      `entered at ${at.toString(16)}h; ${count(retired, 'instruction')}.`,
    '',
    ...differenceLines(parts.differences),
    '',
    'Registers before',
    ...registerLines(parts.before),
    '',
    'Guest code in the order in which it ran, with its IR',
    ...pathLines(parts),
    '',
    'WebAssembly of the region',
    ...wasmLines(parts.module),
    '',
  ].join('\n');
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

function bitsOf(mode: number): number {
  const code = mode & MODE_CODE_MASK;
  return code === MODE_CODE64 ? 64 : code === MODE_CODE32 ? 32 : 16;
}

function differenceLines({ state, memory, other }: Disagreements): string[] {
  const rows = [
    ...state.map(({ name, translated, interpreted }) => [name, translated, interpreted]),
    ...memory.map(({ address, translated, interpreted }) => [
      `memory ${address.toString(16)}h`,
      translated.toString(16).padStart(2, '0'),
      interpreted.toString(16).padStart(2, '0'),
    ]),
  ];
  if (rows.length === 0) return [...other];
  return [...other, ...table([['What differs', 'translated', 'interpreted'], ...shortened(rows, MOST_ROWS)])];
}

function shortened(rows: readonly string[][], most: number): string[][] {
  return rows.length <= most ? [...rows] : [...rows.slice(0, most), [`and ${rows.length - most} more`]];
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join('  ')
      .trimEnd(),
  );
}

function registerLines({ words }: CpuState): string[] {
  const at = VCPU.at.regs >>> 2;
  const texts = NAMES.map((name, i) => {
    const value = (BigInt(words[at + i * 2 + 1]!) << 32n) | BigInt(words[at + i * 2]!);
    return `${name.padEnd(3)} ${value.toString(16).padStart(16, '0')}`;
  });
  return [0, 4, 8, 12].map((from) => texts.slice(from, from + 4).join('  '));
}

/** Each instruction as often as it ran; its IR where it runs first. */
function pathLines({ region, request, linearPage, path }: ReportParts): string[] {
  const known = new Map<number, { readonly instruction: Instruction; readonly body: readonly Statement[] }>();
  for (const { blocks } of region.plan.traces) {
    for (const { instructions, bodies } of blocks) {
      instructions.forEach((instruction, i) =>
        known.set(instruction.offset, { instruction, body: bodies[i] ?? [] }),
      );
    }
  }
  const shown = new Set<number>();
  const lines = path.flatMap((rip): string[] => {
    const offset = Number(BigInt.asUintN(64, rip - linearPage));
    const found = known.get(offset);
    const address = rip.toString(16).padStart(16, '0');
    if (found === undefined) return [`${address}  outside the region`];
    const { instruction, body } = found;
    const bytes = [...request.bytes.subarray(offset, offset + instruction.length)]
      .map((byte) => byte.toString(16).padStart(2, '0'))
      .join(' ');
    const head = `${address}  ${bytes.padEnd(30)}  ${instructionText(instruction, linearPage)}`;
    if (shown.has(offset)) return [head];
    shown.add(offset);
    return [head, ...printStatements(body, '        ')];
  });
  return cut(lines);
}

function wasmLines(module: Uint8Array): string[] {
  return cut(
    functionsOf(module).flatMap(({ locals, lines }) => [
      `(func (param i32 i32) (result i32) (local ${locals.join(' ')})`,
      ...lines.map((line) => `  ${line}`),
    ]),
  );
}

function cut(lines: readonly string[]): string[] {
  if (lines.length <= MOST_LINES) return [...lines];
  return [...lines.slice(0, MOST_LINES), `... and ${lines.length - MOST_LINES} lines more`];
}
