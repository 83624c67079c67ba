/** A region as text: the guest's code by trace, its statements as they were described and after each pass, and its WebAssembly. */
import { Builder } from '../../src/ir/builder.ts';
import { printStatements } from '../../src/ir/print.ts';
import { PASSES } from '../../src/ir/simplify.ts';
import { describeInstruction } from '../../src/isa/semantics/index.ts';
import { compileRegions } from '../../src/jit/compile.ts';
import type { Region } from '../../src/jit/region.ts';
import { InstructionSite } from '../../src/jit/site.ts';
import { functionsOf } from '../../src/wasmgen/text.ts';

/** What an instruction's statements are behind a pass that changed them. */
export interface Stage {
  readonly name: string;
  readonly lines: readonly string[];
}

/** The stages of a region's instructions by their offset in the page; the last is what is emitted. */
export function stagesOf({ blocks, mode }: Region): Map<number, Stage[]> {
  // One builder and the order of the blocks, so that temporaries have the numbers that they have in the region.
  const builder = new Builder();
  const all = new Map<number, Stage[]>();
  for (const instruction of blocks.flatMap(({ instructions }) => instructions)) {
    describeInstruction(builder, new InstructionSite(instruction, mode));
    let list = builder.take();
    const stages: Stage[] = [{ name: 'described', lines: printStatements(list) }];
    for (const { name, run } of PASSES) {
      list = run(list, () => builder.temp('i64'));
      const lines = printStatements(list);
      if (lines.join('\n') !== stages.at(-1)?.lines.join('\n')) stages.push({ name, lines });
    }
    all.set(instruction.offset, stages);
  }
  return all;
}

export interface TextOptions {
  /** Text of each instruction, by its offset in the page. */
  readonly code?: ReadonlyMap<number, string>;
  /** Statements: behind the last pass only, or behind each. */
  readonly ir: 'none' | 'last' | 'all';
  readonly wasm: boolean;
}

export function regionText(region: Region, { code, ir, wasm }: TextOptions): string[] {
  const stages = stagesOf(region);
  const at = (offset: number): string => (region.page + offset).toString(16);
  const lines = region.plan.traces.flatMap((trace, i) => [
    '',
    `trace ${i}${trace.entry < 0 ? '' : `, entry ${trace.entry}`}`,
    ...trace.blocks.flatMap((block) => [
      ...(code === undefined ? [] : [`  block ${at(block.offset)}`]),
      ...block.instructions.flatMap(({ offset }) => [
        ...(code === undefined ? [] : [`    ${at(offset)}  ${code.get(offset) ?? '?'}`]),
        ...stagesText(stages.get(offset) ?? [], ir),
      ]),
    ]),
  ]);
  if (!wasm) return lines;
  const functions = functionsOf(compileRegions([region])).flatMap(({ locals, lines: body }) => [
    '',
    `(func (param i32 i32) (result i32) (local ${locals.join(' ')})`,
    ...body.map((row) => `  ${row}`),
  ]);
  return [...lines, ...functions];
}

function stagesText(stages: readonly Stage[], ir: TextOptions['ir']): string[] {
  const indented = (lines: readonly string[]): string[] => lines.map((line) => `          ${line}`);
  if (ir === 'none') return [];
  if (ir === 'last') return indented(stages.at(-1)?.lines ?? []);
  return stages.flatMap(({ name, lines }) => [`        ${name}`, ...indented(lines)]);
}

export interface RegionFigures {
  readonly instructions: number;
  readonly operations: number;
  readonly bytes: number;
}

export function figuresOf(region: Region): RegionFigures {
  const [compiled] = functionsOf(compileRegions([region]));
  const instructions = region.blocks.reduce((sum, block) => sum + block.instructions.length, 0);
  return { instructions, operations: compiled?.operations ?? 0, bytes: compiled?.bytes ?? 0 };
}

export function figuresText({ instructions, operations, bytes }: RegionFigures): string {
  const per = (count: number): string => (count / Math.max(1, instructions)).toFixed(1);
  return `${instructions} instructions, ${operations} wasm operations (${per(operations)} each), ${bytes} bytes (${per(bytes)} each)`;
}
