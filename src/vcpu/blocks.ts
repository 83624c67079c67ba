/** Decodes guest code into blocks (layout/vcpu.ts: BLOCK, RECORD) for one vCPU. */
import type { CpuFeature } from '../base/cpu-features.ts';
import type { Views } from '../base/views.ts';
import { Decoder, isLinkable, MAX_LENGTH, type Decoded } from '../isa/decoder.ts';
import { HANDLER_END } from '../isa/forms.ts';
import { pairHandler } from '../isa/pairs.ts';
import { PAGE_SIZE, RAM_BASE, SCRATCH_BLOCK_OFFSET } from '../layout/map.ts';
import {
  BLOCK,
  BLOCK_TAIL_BYTES,
  BLOCK_TAIL_OFFSET,
  MAX_BLOCK_INSTRUCTIONS,
  MODE_DEBUG,
  MODE_FLAT,
  RECORD,
  SEG_CS,
  VCPU,
} from '../layout/vcpu.ts';
import type { CoreExports } from './link.ts';

/** Arena bytes that the longest block can need. */
const MAX_BLOCK_BYTES = BLOCK.size + (MAX_BLOCK_INSTRUCTIONS + 1) * RECORD.size;

export class BlockDecoder {
  readonly #views: Views;
  readonly #core: CoreExports;
  readonly #cpu: number;
  readonly #decoder: Decoder;
  /** Called after all blocks were forgotten because the arena was full. */
  onFlush: () => void = () => {};
  /** Holds an instruction whose bytes come from two pages. */
  readonly #joined = new Uint8Array(2 * MAX_LENGTH);

  constructor(views: Views, core: CoreExports, cpu: number, features: ReadonlySet<CpuFeature>) {
    this.#decoder = new Decoder(features);
    this.#views = views;
    this.#core = core;
    this.#cpu = cpu;
  }

  /**
   * Decodes the block at host address `host` (in RAM), which is `rip`, and makes it findable. Gives its address, or 0 if its
   * first instruction goes on in the next page, or if the limit of CS ends in this one: see `decodeOne`.
   */
  decodeBlock(host: number): number {
    const { u8, u16, u32 } = this.#views;
    const cpu = this.#cpu >>> 2;
    const mode = u32[cpu + (VCPU.at.mode >>> 2)]!;
    if (this.#insideLimit() < PAGE_SIZE - (host & (PAGE_SIZE - 1))) return 0;
    const block = this.#room();
    const pageEnd = (host & -PAGE_SIZE) + PAGE_SIZE;
    let at = host;
    let record = block + BLOCK.size;
    let count = 0;
    /** Of the instruction in front, if it is not the second of a pair. */
    let free = HANDLER_END;
    const most = mode & MODE_DEBUG ? 1 : MAX_BLOCK_INSTRUCTIONS;
    while (count < most) {
      const offset = at & (PAGE_SIZE - 1);
      const decoded = this.#decoder.decode(u8, at, pageEnd, offset, mode);
      if (decoded.length === 0) break;
      this.#writeRecord(record, decoded, offset);
      const pair = pairHandler(free, decoded.handler);
      free = pair === 0 ? decoded.handler : HANDLER_END;
      if (pair !== 0) u16[(record - RECORD.size + RECORD.at.handler) >>> 1] = pair;
      record += RECORD.size;
      at += decoded.length;
      count++;
      if (decoded.ends || at === pageEnd) break;
    }
    if (count === 0) return 0;
    const bytes = at - host;
    this.#writeEnd(record, (host & (PAGE_SIZE - 1)) + bytes, mode);
    const gpa = host - RAM_BASE;
    this.#writeHeader(block, gpa, mode, count, bytes);
    this.#core.markCode(this.#cpu, gpa, bytes);
    this.#core.insertBlock(this.#cpu, block);
    this.#count(VCPU.at.countBlocksDecoded, 1);
    this.#count(VCPU.at.countInstructionsDecoded, count);
    return block;
  }

  /**
   * Decodes the instruction at `rip` into the scratch block, which is never found again: `first` is the host
   * address of its first byte, `second` that of the next page's start, or 0 while that is not known.
   * Gives the scratch block's address, or 0 if the instruction needs the next page.
   */
  decodeOne(first: number, second: number): number {
    const { u8, u32 } = this.#views;
    const mode = u32[(this.#cpu + VCPU.at.mode) >>> 2]!;
    const offset = first & (PAGE_SIZE - 1);
    const room = PAGE_SIZE - offset;
    const inside = this.#insideLimit();
    let decoded: Decoded;
    if (second === 0) {
      decoded = this.#decoder.decode(u8, first, first + Math.min(room, inside), offset, mode);
      if (decoded.length === 0 && inside > room) return 0;
    } else {
      const joined = this.#joined;
      const head = Math.min(room, MAX_LENGTH);
      joined.set(u8.subarray(first, first + head));
      joined.set(u8.subarray(second, second + MAX_LENGTH), head);
      decoded = this.#decoder.decode(joined, 0, Math.min(head + MAX_LENGTH, inside), offset, mode);
    }
    if (decoded.length === 0) decoded = this.#decoder.beyondLimit();
    const block = this.#cpu + SCRATCH_BLOCK_OFFSET;
    this.#writeRecord(block + BLOCK.size, decoded, offset);
    this.#writeEnd(block + BLOCK.size + RECORD.size, offset + decoded.length, mode);
    this.#writeHeader(block, first - RAM_BASE, mode, 1, decoded.length);
    this.#count(VCPU.at.countInstructionsDecoded, 1);
    return block;
  }

  /**
   * Makes what `decodeOne` decoded findable if it goes on in the next page, whose start is `second`: its second half is compared
   * each time it runs. Gives the address of the block to run.
   */
  keepCrossing(second: number): number {
    const { u8, u16, u32 } = this.#views;
    const scratch = this.#cpu + SCRATCH_BLOCK_OFFSET;
    const offset = u32[(scratch + BLOCK.at.address) >>> 2]! & (PAGE_SIZE - 1);
    const bytes = offset + u16[(scratch + BLOCK.at.bytes) >>> 1]! - PAGE_SIZE;
    const mode = u32[(scratch + BLOCK.at.mode) >>> 2]!;
    if (bytes <= 0 || mode & MODE_DEBUG) return scratch;
    const block = this.#room();
    const end = block + BLOCK_TAIL_OFFSET + BLOCK_TAIL_BYTES;
    u8.copyWithin(block, scratch, scratch + BLOCK_TAIL_OFFSET);
    u8.fill(0, block + BLOCK_TAIL_OFFSET, end);
    u8.copyWithin(block + BLOCK_TAIL_OFFSET, second, second + bytes);
    this.#core.markCode(this.#cpu, u32[(block + BLOCK.at.address) >>> 2]!, PAGE_SIZE - offset);
    u32[(this.#cpu + VCPU.at.arenaNext) >>> 2] = end;
    this.#core.insertBlock(this.#cpu, block);
    return block;
  }

  /** Where the arena has room for any block; forgets all others if need be. */
  #room(): number {
    const { u32 } = this.#views;
    const next = (this.#cpu + VCPU.at.arenaNext) >>> 2;
    if (u32[next]! + MAX_BLOCK_BYTES > u32[(this.#cpu + VCPU.at.arenaEnd) >>> 2]!) {
      this.#core.flushBlocks(this.#cpu);
      this.onFlush();
    }
    return u32[next]!;
  }

  /** Bytes from `rip` on that the limit of CS covers. */
  #insideLimit(): number {
    const { u32 } = this.#views;
    const mode = u32[(this.#cpu + VCPU.at.mode) >>> 2]!;
    if ((mode & MODE_FLAT) !== 0) return Infinity;
    const limit = u32[(this.#cpu + VCPU.at.segLimit + SEG_CS * 4) >>> 2]!;
    return limit - u32[(this.#cpu + VCPU.at.rip) >>> 2]! + 1;
  }

  #writeHeader(block: number, gpa: number, mode: number, count: number, bytes: number): void {
    const { u16, u32 } = this.#views;
    u32[(block + BLOCK.at.address) >>> 2] = gpa;
    u32[(block + BLOCK.at.mode) >>> 2] = mode;
    u32[(block + BLOCK.at.hashNext) >>> 2] = 0;
    u32[(block + BLOCK.at.pageNext) >>> 2] = 0;
    u16[(block + BLOCK.at.count) >>> 1] = count;
    u16[(block + BLOCK.at.bytes) >>> 1] = bytes;
    u32[(block + BLOCK.at.heat) >>> 2] = 0;
    u32[(block + BLOCK.at.region) >>> 2] = 0;
  }

  /** A word at a time, as this is on the way to every new block. */
  #writeRecord(record: number, decoded: Decoded, offset: number): void {
    const { u32 } = this.#views;
    const { handler, length, reg, rm, index, flags } = decoded;
    const at = record >>> 2;
    u32[at] = (handler | (offset << 16) | (length << 28)) >>> 0;
    u32[at + 1] = (reg | (rm << 8) | (index << 16) | (flags << 24)) >>> 0;
    u32[at + (RECORD.at.disp >>> 2)] = decoded.disp;
    u32[at + (RECORD.at.imm >>> 2)] = decoded.imm;
  }

  /** The end record: an unconditional branch to the instruction at `offset`, linked if that is in the page. */
  #writeEnd(record: number, offset: number, mode: number): void {
    const { u32 } = this.#views;
    const linkable = offset < PAGE_SIZE && isLinkable(mode);
    const at = record >>> 2;
    u32[at] = HANDLER_END | ((offset & (PAGE_SIZE - 1)) << 16);
    u32[at + 1] = linkable ? 1 << 8 : 0;
    u32[at + (RECORD.at.disp >>> 2)] = offset;
    u32[at + (RECORD.at.imm >>> 2)] = 0;
  }

  #count(counter: number, by: number): void {
    const { u32 } = this.#views;
    const low = (this.#cpu + counter) >>> 2;
    const sum = u32[low]! + by;
    u32[low] = sum;
    if (sum > 0xffffffff) u32[low + 1]!++;
  }
}
