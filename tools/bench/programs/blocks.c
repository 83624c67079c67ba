/* Strided and block memory: copies, fills and sums by words, a transposition with page-sized strides, a filter over an image. */
#include "runtime.h"

const char program_name[] = "blocks";

enum { SIDE = 512 };

static u32 image[SIDE][SIDE], other[SIDE][SIDE];

static void transpose(void) {
  for (u32 y = 0; y < SIDE; y++) {
    for (u32 x = 0; x < SIDE; x++) other[x][y] = image[y][x];
  }
}

static void blur(void) {
  for (u32 y = 1; y < SIDE - 1; y++) {
    for (u32 x = 1; x < SIDE - 1; x++) {
      image[y][x] = (other[y][x] * 4 + other[y - 1][x] + other[y + 1][x] + other[y][x - 1] + other[y][x + 1]) >> 3;
    }
  }
}

static u32 strided(u32 stride) {
  const u32 *words = &image[0][0];
  u32 sum = 0;
  for (u32 start = 0; start < stride; start++) {
    for (u32 i = start; i < SIDE * SIDE; i += stride) sum = sum * 3 + words[i];
  }
  return sum;
}

static void copy(u8 *to, const u8 *from, u32 bytes) {
  for (u32 i = 0; i < bytes; i++) to[i] = from[i];
}

u64 program(u32 scale) {
  u64 seed = 4, sum = MIX_START;
  for (u32 y = 0; y < SIDE; y++) {
    for (u32 x = 0; x < SIDE; x++) image[y][x] = random_next(&seed);
  }
  /* Kept from the compiler, which would otherwise call memmove. */
  void (*volatile copy_bytes)(u8 *, const u8 *, u32) = copy;
  for (u32 pass = 0; pass < scale * 4; pass++) {
    transpose();
    blur();
    copy_bytes((u8 *)&other[0][0] + 3, (const u8 *)&image[0][0], SIDE * SIDE * 2);
    image[pass % SIDE][5] ^= other[7][pass % SIDE];
    for (u32 stride = 1; stride < 2000; stride = stride * 7 + 1) sum = mix(sum, strided(stride));
  }
  return sum;
}
