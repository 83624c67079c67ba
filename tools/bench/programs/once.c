/*
 * Code that is written and run once: functions of some dozen instructions with new constants, each called one time, at
 * addresses that were code before. What a translator wastes its time on.
 */
#include "runtime.h"

const char program_name[] = "once";

typedef u32 function(void);

static u8 *put32(u8 *at, u32 value) {
  for (int i = 0; i < 4; i++) *at++ = (u8)(value >> 8 * i);
  return at;
}

/* mov eax, c; then add, xor, rol, imul and a conditional jump over an increment; ret. */
static u8 *make_function(u8 *at, u64 *seed) {
  *at++ = 0xb8, at = put32(at, random_next(seed));
  for (u32 i = 0; i < 8; i++) {
    *at++ = 0x05, at = put32(at, random_next(seed));
    *at++ = 0x35, at = put32(at, random_next(seed));
    *at++ = 0xc1, *at++ = 0xc0, *at++ = 1 + (u8)(random_next(seed) & 15);
    *at++ = 0x69, *at++ = 0xc0, at = put32(at, random_next(seed) | 1);
    *at++ = 0xa9, at = put32(at, 1u << (random_next(seed) & 31));
    *at++ = 0x74, *at++ = 0x05, *at++ = 0x05, at = put32(at, i);
  }
  *at++ = 0xc3;
  return at;
}

u64 program(u32 scale) {
  enum { AREA = 65536 };
  u64 seed = 8, sum = MIX_START;
  u8 *area = code_pages(AREA), *at = area;
  for (u32 i = 0; i < scale * 1500; i++) {
    if (at + 512 > area + AREA) at = area;
    function *made = (function *)at;
    at = make_function(at, &seed);
    sum = mix(sum, made());
  }
  return sum;
}
