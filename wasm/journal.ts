/**
 * `-jit verify` (docs/jit.md): what was in RAM before each store of a run, so that the run can be taken back. An entry is host address and
 * size (u32 each), the bytes padded to 8, then the length of the whole entry (u32, padded to 8), by which it is found from behind.
 */
import { RAM_BASE, VCPU_journal, VCPU_journalEnd, VCPU_journalNext } from './generated/layout';

// @ts-ignore: decorator
@inline const HEAD: usize = 8;
// @ts-ignore: decorator
@inline const TAIL: usize = 8;

// @ts-ignore: decorator
@inline export function isNoting(cpu: usize): bool {
  return load<u32>(cpu, VCPU_journal) != 0;
}

/** Traps if there is no room: nothing has been written then, and the verifier repeats the run with fewer instructions. */
function note(cpu: usize, host: usize, size: usize): void {
  const entry = <usize>load<u32>(cpu, VCPU_journalNext);
  const length = HEAD + ((size + 7) & ~7) + TAIL;
  if (entry + length > <usize>load<u32>(cpu, VCPU_journalEnd)) unreachable();
  store<u32>(entry, <u32>host);
  store<u32>(entry, <u32>size, 4);
  store<u64>(entry + length - TAIL - 8, 0);
  memory.copy(entry + HEAD, host, size);
  store<u64>(entry + length - TAIL, length);
  store<u32>(cpu, <u32>(entry + length), VCPU_journalNext);
}

/** Before `size` bytes of RAM at `host` are written. */
// @ts-ignore: decorator
@inline export function noteWrite(cpu: usize, host: usize, size: usize): void {
  if (isNoting(cpu)) note(cpu, host, size);
}

export function journal(cpu: usize, host: usize, size: usize): void {
  // The scratch stands for what the core writes itself.
  if (host >= <usize>RAM_BASE) noteWrite(cpu, host, size);
}

/** Exchanges an entry's bytes with those in memory; gives its end. */
function swap(entry: usize): usize {
  const size = <usize>load<u32>(entry, 4);
  let host = <usize>load<u32>(entry);
  let at = entry + HEAD;
  const end = at + size;
  for (; at + 8 <= end; at += 8, host += 8) {
    const value = load<u64>(at);
    store<u64>(at, load<u64>(host));
    store<u64>(host, value);
  }
  for (; at < end; at++, host++) {
    const value = load<u8>(at);
    store<u8>(at, load<u8>(host));
    store<u8>(host, value);
  }
  return entry + HEAD + ((size + 7) & ~7) + TAIL;
}

/** Takes a run back, the last store first: its entries then hold what it had written. */
export function swapBack(cpu: usize, from: usize, to: usize): void {
  while (to > from) {
    to -= <usize>load<u32>(to - TAIL);
    swap(to);
  }
}

/** Repeats the stores of a run that was taken back. */
export function swapForward(cpu: usize, from: usize, to: usize): void {
  while (from < to) from = swap(from);
}
