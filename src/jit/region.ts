/** What a region covers: basic blocks of one physical page, cut at the places where blocks were entered. */
import type { Decoder } from '../isa/decoder.ts';
import { formOf } from '../isa/forms.ts';
import { PAGE_SIZE } from '../layout/map.ts';
import { MAX_BLOCK_INSTRUCTIONS } from '../layout/vcpu.ts';
import { planRegion, type Plan } from './plan.ts';
import type { Instruction, InstructionTail } from './site.ts';

export interface RegionBlock {
  /** Offset in the page. */
  readonly offset: number;
  readonly instructions: readonly Instruction[];
  /** Offset behind the last instruction. */
  readonly end: number;
}

export interface Region {
  readonly mode: number;
  /** Physical address of the page. */
  readonly page: number;
  /** By rising offset. */
  readonly blocks: readonly RegionBlock[];
  readonly plan: Plan;
}

/** A region's function selects its entry by a byte. */
export const MAX_REGION_BLOCKS = 255;
const MAX_REGION_INSTRUCTIONS = 1000;

/**
 * Decodes the blocks that start at `leaders` (page offsets, rising) of the page that `bytes` holds at
 * `pageStart`, and `tail` bytes of the next page behind it. A leader whose first instruction cannot be translated is left out.
 */
export function formRegion(
  decoder: Decoder,
  bytes: Uint8Array,
  pageStart: number,
  mode: number,
  leaders: readonly number[],
  wanted: ReadonlySet<number> = new Set(),
  page = 0,
  tail = 0,
): Region {
  const starts = new Set(leaders);
  const blocks: RegionBlock[] = [];
  let total = 0;
  for (const offset of leaders) {
    if (blocks.length === MAX_REGION_BLOCKS || total >= MAX_REGION_INSTRUCTIONS) break;
    const instructions: Instruction[] = [];
    let at = offset;
    while (
      instructions.length < MAX_BLOCK_INSTRUCTIONS &&
      at < PAGE_SIZE &&
      (at === offset || !starts.has(at))
    ) {
      const decoded = decoder.decode(bytes, pageStart + at, pageStart + PAGE_SIZE + tail, at, mode);
      const form = decoded.length > 0 ? formOf(decoded.handler) : undefined;
      if (!form) break;
      const { length, reg, rm, index, flags, disp, imm, ends } = decoded;
      const instruction = { form, offset: at, length, reg, rm, index, flags, disp, imm, ends };
      at += length;
      instructions.push(
        at > PAGE_SIZE
          ? {
              ...instruction,
              tail: tailOf(bytes, pageStart + PAGE_SIZE, at - PAGE_SIZE, page + instruction.offset),
            }
          : instruction,
      );
      if (ends) break;
    }
    if (instructions.length === 0) continue;
    total += instructions.length;
    blocks.push({ offset, instructions, end: at });
  }
  return { mode, page, blocks, plan: planRegion(blocks, mode, wanted) };
}

function tailOf(bytes: Uint8Array, start: number, length: number, address: number): InstructionTail {
  const word = (from: number): bigint =>
    bytes
      .subarray(start + from, start + Math.max(from, Math.min(from + 8, length)))
      .reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  return { address, bytes: length, low: word(0), high: word(8) };
}
