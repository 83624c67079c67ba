/* 64-bit arithmetic: products, quotients, shifts and comparisons; in 32-bit code ADC, SBB, SHLD and the compiler's division. */
#include "runtime.h"

const char program_name[] = "wide";

/* Montgomery-free: x^e mod m by shift and add, m below 2^63. */
static u64 multiply_modulo(u64 a, u64 b, u64 m) {
  u64 result = 0;
  while (b != 0) {
    if (b & 1) {
      result += a;
      if (result >= m) result -= m;
    }
    a <<= 1;
    if (a >= m) a -= m;
    b >>= 1;
  }
  return result;
}

static u64 greatest_divisor(u64 a, u64 b) {
  while (b != 0) {
    u64 rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

static u64 rotate(u64 x, u32 by) { return x << by | x >> (64 - by); }

u64 program(u32 scale) {
  u64 sum = MIX_START, x = 0x9e3779b97f4a7c15ull, y = 1;
  for (u32 pass = 0; pass < scale * 8000; pass++) {
    for (u32 i = 0; i < 100; i++) {
      x = rotate(x, 23) * 0xbf58476d1ce4e5b9ull + y;
      y = (y ^ x >> 31) - (x << 7);
      y += (s64)x < (s64)y ? x : y >> 3;
    }
    sum = mix(sum, multiply_modulo(x >> 2, y >> 2, 0x7fffffffffffffe7ull));
    sum = mix(sum, greatest_divisor(x, y >> 20));
    sum = mix(sum, (u64)((s64)x / (s64)(y >> 33 | 1)));
  }
  return sum;
}
