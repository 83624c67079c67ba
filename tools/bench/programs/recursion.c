/* Recursion: calls and returns. Fibonacci, Ackermann, and all solutions of the queens' problem. */
#include "runtime.h"

const char program_name[] = "recursion";

#define PLAIN __attribute__((noinline, noclone, optimize("no-optimize-sibling-calls")))

PLAIN static u32 fibonacci(u32 n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }

PLAIN static u32 ackermann(u32 m, u32 n) {
  if (m == 0) return n + 1;
  if (n == 0) return ackermann(m - 1, 1);
  return ackermann(m - 1, ackermann(m, n - 1));
}

PLAIN static u32 queens(u32 all, u32 columns, u32 left, u32 right) {
  if (columns == all) return 1;
  u32 count = 0;
  for (u32 free = all & ~(columns | left | right); free != 0;) {
    u32 bit = free & -free;
    free ^= bit;
    count += queens(all, columns | bit, (left | bit) << 1, (right | bit) >> 1);
  }
  return count;
}

u64 program(u32 scale) {
  u64 sum = MIX_START;
  for (u32 pass = 0; pass < scale * 8; pass++) {
    sum = mix(sum, fibonacci(27));
    sum = mix(sum, ackermann(2, 300));
    sum = mix(sum, ackermann(3, 6));
    sum = mix(sum, queens(0x1ff, 0, 0, 0));
  }
  return sum;
}
