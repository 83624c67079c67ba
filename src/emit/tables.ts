/** Where the tables in the vCPU block (layout/map.ts) have the entry for an address. */
import {
  BLOCK_HASH_ENTRIES,
  BLOCK_HASH_OFFSET,
  JUMP_LINKS,
  JUMP_LINKS_OFFSET,
  REGION_CACHE_ENTRIES,
  REGION_CACHE_OFFSET,
  RETURN_LINKS,
  RETURN_LINKS_OFFSET,
  TLB_ENTRIES,
} from '../layout/map.ts';
import { LINK, REGION_CACHE, TLB_ENTRY } from '../layout/vcpu.ts';
import type { Code } from '../wasmgen/code.ts';

/** Takes a linear address (i64), leaves the offset of its entry in a TLB. */
export function emitTlbOffset(code: Code): void {
  code.op('i32.wrap_i64');
  code.i32Const(12 - Math.log2(TLB_ENTRY.size)).op('i32.shr_u');
  code.i32Const((TLB_ENTRIES - 1) * TLB_ENTRY.size).op('i32.and');
}

/** Takes a physical address (i32), which goes into a local; leaves its hash, of which tables take low bits (`blockHash`). */
export function emitHash(code: Code, physical: number): void {
  code.tee(physical).get(physical).i32Const(12).op('i32.shr_u').op('i32.xor');
}

/** Takes a hash, leaves the address of its entry in the region cache. */
export function emitRegionCacheEntry(code: Code, cpu: number): void {
  code.i32Const(REGION_CACHE_ENTRIES - 1).op('i32.and');
  code.i32Const(Math.log2(REGION_CACHE.size)).op('i32.shl');
  code.get(cpu).op('i32.add').i32Const(REGION_CACHE_OFFSET).op('i32.add');
}

/** Takes a hash, leaves the first block of its chain. */
export function emitBlockChain(code: Code, cpu: number): void {
  code.i32Const(BLOCK_HASH_ENTRIES - 1).op('i32.and');
  code.i32Const(2).op('i32.shl').get(cpu).op('i32.add').memory('i32.load', BLOCK_HASH_OFFSET);
}

/** 2^32 divided by the golden ratio: neighbouring products differ most in their high bits. */
const FIBONACCI = 0x9e3779b1;

/** Takes an address that code jumps to (i64), leaves that of its link. */
export function emitJumpLink(code: Code, cpu: number): void {
  code
    .op('i32.wrap_i64')
    .i32Const(FIBONACCI | 0)
    .op('i32.mul');
  code
    .i32Const(32 - Math.log2(JUMP_LINKS * LINK.size))
    .op('i32.shr_u')
    .i32Const(-LINK.size)
    .op('i32.and');
  code.get(cpu).op('i32.add').i32Const(JUMP_LINKS_OFFSET).op('i32.add');
}

/** Takes where a return address lies in the stack (i64), leaves the address of its link. */
export function emitReturnLink(code: Code, cpu: number): void {
  // Words of the stack are mostly 8 bytes.
  code
    .op('i32.wrap_i64')
    .i32Const(Math.log2(LINK.size / 8))
    .op('i32.shl');
  code.i32Const((RETURN_LINKS - 1) * LINK.size).op('i32.and');
  code.get(cpu).op('i32.add').i32Const(RETURN_LINKS_OFFSET).op('i32.add');
}
