/** A region from bytes alone: its blocks are found by following the direct branches, as if all of them had run. */
import { Decoder } from '../../src/isa/decoder.ts';
import { formOf } from '../../src/isa/forms.ts';
import { formRegion } from '../../src/jit/region.ts';
import type { Region } from '../../src/jit/region.ts';
import { PAGE_SIZE } from '../../src/layout/map.ts';
import {
  MODE_CODE16,
  MODE_CODE32,
  MODE_CODE64,
  MODE_FLAT,
  MODE_REAL,
  MODE_STACK16,
} from '../../src/layout/vcpu.ts';

const MODES = {
  16: MODE_CODE16 | MODE_REAL | MODE_STACK16,
  32: MODE_CODE32 | MODE_FLAT,
  64: MODE_CODE64 | MODE_FLAT,
};

/**
 * `bytes` lie at `offset` of their page; what is behind its end is not looked at. 16-bit code is that of real mode; `mode` is
 * another one.
 */
export function staticRegion(
  bytes: Uint8Array,
  offset: number,
  bits: 16 | 32 | 64,
  mode: number = MODES[bits],
): Region {
  const page = new Uint8Array(PAGE_SIZE);
  page.set(bytes.subarray(0, PAGE_SIZE - offset), offset);
  const end = Math.min(offset + bytes.length, PAGE_SIZE);
  const decoder = new Decoder();
  const leaders = new Set<number>();
  const work = [offset];
  for (let at = work.pop(); at !== undefined; at = work.pop()) {
    if (at < offset || at >= end || leaders.has(at)) continue;
    leaders.add(at);
    for (let next = at; next < end;) {
      const decoded = decoder.decode(page, next, end, next, mode);
      const form = decoded.length > 0 ? formOf(decoded.handler) : undefined;
      if (form === undefined) break;
      next += decoded.length;
      const isDirect = form.row.operands.some(({ letter }) => letter === 'J');
      if (isDirect) work.push(decoded.disp, next);
      else if (form.row.semantics === 'call') work.push(next);
      if (decoded.ends) break;
    }
  }
  return formRegion(
    decoder,
    page,
    0,
    mode,
    [...leaders].sort((a, b) => a - b),
  );
}
