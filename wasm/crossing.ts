/**
 * Instructions that go on in the next page. What they were decoded from is compared each time, so that neither a write to
 * that page nor another page at its address needs to be noticed.
 */
import {
  BLOCK_TAIL_OFFSET,
  BLOCK_address,
  BLOCK_bytes,
  MODE_FLAT,
  REG_PAGE_RIP,
  SEG_CS,
  STATUS_NEXT,
  STATUS_REPEAT,
  VCPU_exception,
  VCPU_linearMask,
  VCPU_mode,
  VCPU_regs,
} from './generated/layout';
import { dropBlock, invalidatePage } from './blocks';
import { segEffective, segLimit } from './cpu';
import { fetchSlow } from './mmu';

/** Whether the page behind that of rip starts with these `bytes` (1 to 14) bytes, and CS covers them. */
function nextPageStarts(cpu: usize, bytes: u32, low: u64, high: u64): bool {
  const next = load<u64>(cpu, VCPU_regs + REG_PAGE_RIP * 8) + 4096;
  const isFlat = (load<u32>(cpu, VCPU_mode) & MODE_FLAT) != 0;
  if (!isFlat && next + bytes - 1 > <u64>segLimit(cpu, SEG_CS)) return false;
  const linear = (next + segEffective(cpu, SEG_CS)) & load<u64>(cpu, VCPU_linearMask);
  const host = fetchSlow(cpu, linear);
  if (host <= 1) {
    // Raised again by whoever decodes the instruction.
    store<u32>(cpu, 0, VCPU_exception);
    return false;
  }
  const first = load<u64>(host);
  if (bytes < 8) return ((first ^ low) & (((<u64>1) << (bytes * 8)) - 1)) == 0;
  return first == low && ((load<u64>(host, 8) ^ high) & (((<u64>1) << ((bytes - 8) * 8)) - 1)) == 0;
}

export function holdsTail(cpu: usize, block: usize): i32 {
  const bytes = (load<u32>(block, BLOCK_address) & 4095) + <u32>load<u16>(block, BLOCK_bytes) - 4096;
  const tail = block + BLOCK_TAIL_OFFSET;
  if (nextPageStarts(cpu, bytes, load<u64>(tail), load<u64>(tail, 8))) return 1;
  dropBlock(cpu, block);
  return 0;
}

export function checkTail(cpu: usize, gpa: u32, bytes: u32, low: u64, high: u64): i32 {
  if (nextPageStarts(cpu, bytes, low, high)) return STATUS_NEXT;
  // Nothing leads back into the region: the instruction is decoded as it is now.
  invalidatePage(cpu, gpa);
  return STATUS_REPEAT;
}
