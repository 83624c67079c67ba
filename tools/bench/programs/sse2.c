/* Floating point by SSE2: a Mandelbrot set (scalar), a product of matrices (packed), conversions, square roots. */
#include "runtime.h"

const char program_name[] = "sse2";

enum { SIZE = 64 };
static double a[SIZE][SIZE], b[SIZE][SIZE], c[SIZE][SIZE];

typedef double pair __attribute__((vector_size(16)));

static u32 mandelbrot(double cx, double cy) {
  double x = 0, y = 0;
  u32 n = 0;
  while (n < 100 && x * x + y * y < 4) {
    double next = x * x - y * y + cx;
    y = 2 * x * y + cy;
    x = next;
    n++;
  }
  return n;
}

static void multiply(void) {
  for (u32 i = 0; i < SIZE; i++) {
    for (u32 j = 0; j < SIZE; j += 2) {
      pair sum = {0, 0};
      for (u32 k = 0; k < SIZE; k++) sum += (pair){a[i][k], a[i][k]} * *(pair *)&b[k][j];
      *(pair *)&c[i][j] = sum;
    }
  }
}

static u64 bits(double value) {
  u64 result;
  memcpy(&result, &value, sizeof result);
  return result;
}

u64 program(u32 scale) {
  u64 seed = 7, sum = MIX_START;
  for (u32 i = 0; i < SIZE; i++) {
    for (u32 j = 0; j < SIZE; j++) {
      a[i][j] = (double)(s32)random_next(&seed) / 0x40000000;
      b[i][j] = (double)(s32)random_next(&seed) / 0x40000000;
    }
  }
  for (u32 pass = 0; pass < scale * 3; pass++) {
    u32 count = 0;
    for (s32 y = -60; y < 60; y++) {
      for (s32 x = -120; x < 40; x++) count += mandelbrot(x / 64.0, (y + (s32)(pass & 3)) / 64.0);
    }
    sum = mix(sum, count);
    for (int i = 0; i < 4; i++) {
      multiply();
      double trace = 0;
      for (u32 j = 0; j < SIZE; j++) trace += __builtin_sqrt(c[j][j] < 0 ? -c[j][j] : c[j][j]);
      a[pass % SIZE][i] = trace / (s32)(count | 1);
      sum = mix(sum, bits(trace));
    }
  }
  return sum;
}
