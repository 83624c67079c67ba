/* Floating point by the x87: five bodies under gravity, and a Newton iteration, in 80-bit precision. */
#include "runtime.h"

const char program_name[] = "x87";

typedef long double real;

static struct {
  real x[3], v[3], mass;
} bodies[5];

static void step(real dt) {
  for (int i = 0; i < 5; i++) {
    for (int j = i + 1; j < 5; j++) {
      real d[3], square = 0;
      for (int k = 0; k < 3; k++) {
        d[k] = bodies[i].x[k] - bodies[j].x[k];
        square += d[k] * d[k];
      }
      real magnitude = dt / (square * __builtin_sqrtl(square));
      for (int k = 0; k < 3; k++) {
        bodies[i].v[k] -= d[k] * bodies[j].mass * magnitude;
        bodies[j].v[k] += d[k] * bodies[i].mass * magnitude;
      }
    }
  }
  for (int i = 0; i < 5; i++) {
    for (int k = 0; k < 3; k++) bodies[i].x[k] += dt * bodies[i].v[k];
  }
}

static u64 bits(real value) {
  u64 mantissa;
  memcpy(&mantissa, &value, sizeof mantissa);
  return mantissa;
}

u64 program(u32 scale) {
  u64 seed = 6, sum = MIX_START;
  for (int i = 0; i < 5; i++) {
    for (int k = 0; k < 3; k++) {
      bodies[i].x[k] = (real)(s32)random_next(&seed) / 0x8000000;
      bodies[i].v[k] = (real)(s32)random_next(&seed) / 0x80000000;
    }
    bodies[i].mass = (real)(random_next(&seed) >> 8) / 0x1000000;
  }
  for (u32 i = 0; i < scale * 12000; i++) step(0.0009765625L);
  for (int i = 0; i < 5; i++) {
    for (int k = 0; k < 3; k++) sum = mix(sum, bits(bodies[i].x[k]));
  }
  /* 1 / n without division, and the sine as a series: constants, comparisons, conversions. */
  real total = 0;
  for (u32 n = 2; n < scale * 5000; n++) {
    real guess = 1.0L / 0x100000, x = (real)(s32)(n & 1023) / 256, term = x, sine = x;
    for (int i = 0; i < 24 && guess * n < 0.999999L; i++) guess = guess * (2 - n * guess);
    for (int i = 2; i < 20; i += 2) {
      term = -term * x * x / (real)(i * (i + 1));
      sine += term;
    }
    total += guess + (sine < 0 ? -sine : sine);
  }
  return mix(sum, bits(total));
}
