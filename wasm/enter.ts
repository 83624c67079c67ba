/** ENTER: APM vol. 3. */
import { REG_RBP, REG_RSP, SEG_SS, STATUS_FAULT, STATUS_NEXT } from './generated/layout';
import { faulted, getReg, in64BitMode, segEffective, setReg, setRegMasked, setStackPointer } from './cpu';
import { misaligned, ownAccess, prepareWrite, readValue } from './mmu';
import { segmentLinear } from './segments';
import { canPushHere, pushHere, stackMask } from './stack';

/** A value of the frame chain, at `pointer` in the stack segment; test `faulted` after it. */
function readFrame(cpu: usize, pointer: u64, bytes: i32): u64 {
  let linear = segEffective(cpu, SEG_SS) + pointer;
  if (!in64BitMode(cpu)) {
    const checked = segmentLinear(cpu, SEG_SS, pointer, bytes, 0);
    if (checked == -1) return 0;
    linear = checked;
  }
  return readValue(cpu, linear, bytes, SEG_SS, ownAccess(cpu));
}

/** Everything that is read or written, and the new stack pointer's byte, is checked before the first push. */
export function enter(cpu: usize, bytes: i32, size: i32, level: i32): i32 {
  size &= 0xffff;
  level &= 31;
  const mask = stackMask(cpu);
  const chain = getReg(cpu, REG_RBP);
  if (!canPushHere(cpu, level + 1, bytes, 0)) return STATUS_FAULT;
  for (let i = 1; i < level; i++) {
    readFrame(cpu, (chain - i * bytes) & mask, bytes);
    if (faulted(cpu)) return STATUS_FAULT;
  }
  let frame = (getReg(cpu, REG_RSP) - bytes) & mask;
  // Above the stack's width, the frame pointer keeps the upper bits of the stack pointer.
  if (mask == 0xffff) frame |= getReg(cpu, REG_RSP) & ~mask;
  const top = (frame - level * bytes - size) & mask;
  let linear = segEffective(cpu, SEG_SS) + top;
  if (!in64BitMode(cpu)) {
    const checked = segmentLinear(cpu, SEG_SS, top, 1, 1);
    if (checked == -1) return STATUS_FAULT;
    linear = checked;
  }
  if (misaligned(cpu, linear, bytes, ownAccess(cpu))) return STATUS_FAULT;
  if (prepareWrite(cpu, linear, 1, SEG_SS, ownAccess(cpu), false) == 0) return STATUS_FAULT;

  let sp = pushHere(cpu, getReg(cpu, REG_RSP), bytes, chain);
  for (let i = 1; i < level; i++) {
    sp = pushHere(cpu, sp, bytes, readFrame(cpu, (chain - i * bytes) & mask, bytes));
  }
  if (level > 0) pushHere(cpu, sp, bytes, frame);
  if (bytes == 2) setRegMasked(cpu, REG_RBP, frame, 0xffff);
  else setReg(cpu, REG_RBP, bytes == 4 ? frame & 0xffffffff : frame);
  setStackPointer(cpu, top, mask);
  return STATUS_NEXT;
}
