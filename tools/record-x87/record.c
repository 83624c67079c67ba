/*
 * record OUT SEED COUNT [ordinary]: records x87 instructions on this machine's CPU; with "ordinary", with the control
 * word that programs start with and mostly normal numbers. wasm/testing/x87-compare.ts says whether our core does the same.
 *
 * The committed data (AMD family 1Ah, Zen 5) was made with
 *   gcc -O1 -o record record.c && ./record x87.bin 20240607 62 && gzip -9 -n x87.bin
 *   ./record x87-ordinary.bin 20261121 20 ordinary && gzip -9 -n x87-ordinary.bin
 * Intel's CPUs give other C1, PE and last places in the transcendental instructions, and do not push a
 * denormal that FLD loads with DE unmasked.
 *
 * COUNT cases per unit of weight below. Each case is one record of 78 bytes, little endian:
 *
 *    0  u8   opcode (D8-DF)       1  u8   ModRM; below C0h: memory operand
 *    2  u16  control word         4  u16  status word        6  u16  tag word (FNSAVE form)
 *    8  u8   EFLAGS (low byte)    9  u8   length of the memory operand
 *   10  ST0  20  ST1              10 bytes each; ST2-ST7 hold +0
 *   30  memory operand            10 bytes
 * and what the CPU made of it:
 *   40  u16  status word         42  u16  tag word          44  u16 control word
 *   46  u8   EFLAGS (low byte)   47  u8   0
 *   48  ST0  58  ST1  68 memory operand
 */
#include "machine.h"

static uint64_t state;
static uint64_t random64(void) {
  /* xorshift64* */
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return state * 0x2545f4914f6cdd1dull;
}
static unsigned below(unsigned n) { return (unsigned)((random64() >> 33) % n); }

typedef struct { uint16_t se; uint64_t sig; } number;

#define I 0x8000000000000000ull
static const number BOUNDARY[] = {
  {0x0000, 0}, {0x8000, 0}, {0x0000, 1}, {0x8000, 1}, {0x0000, 0x0000123456789abcull}, {0x0000, I - 1}, {0x8000, I - 1},
  {0x0000, I}, {0x0000, ~0ull}, {0x8000, 0xc000000000000001ull}, {0x0001, I}, {0x8001, I}, {0x0001, ~0ull}, {0x0002, I},
  {0x7ffe, ~0ull}, {0xfffe, ~0ull}, {0x7ffe, I}, {0x7ffd, 0xffffffffffffff00ull}, {0x3fff, I}, {0xbfff, I},
  {0x3fff, I + 1}, {0x3ffe, ~0ull}, {0xbfff, I + 1}, {0xbffe, ~0ull}, {0x4000, I}, {0x4000, 0xc000000000000000ull},
  {0x3ffe, I}, {0xbffe, I}, {0x3fff, 0xc000000000000000ull}, {0xbfff, 0xc000000000000000ull}, {0x4000, 0xa000000000000000ull},
  {0x3ffe, I + 1}, {0x3ffd, ~0ull}, {0x7fff, I}, {0xffff, I}, {0x7fff, 0xc000000000000000ull}, {0xffff, 0xc000000000000000ull},
  {0x7fff, 0xffffffffffffffffull}, {0x7fff, 0xc000000000000123ull}, {0xffff, 0xc000000000000123ull}, {0x7fff, 0x8000000000000001ull},
  {0xffff, 0x8000000000000001ull}, {0x7fff, 0xbfffffffffffffffull}, {0x7fff, 0xa000000000000123ull},
  /* unsupported: unnormal, pseudo-infinity, pseudo-NaN */
  {0x3fff, 0x4000000000000000ull}, {0x0001, 1}, {0x7ffe, 0x7fffffffffffffffull}, {0x4000, 0}, {0x7fff, 0}, {0x7fff, 0x4000000000000001ull},
  {0xffff, 1},
  /* the edges of integers */
  {0x403e, I}, {0xc03e, I}, {0x403d, ~0ull}, {0x403d, ~0ull - 1}, {0xc03e, I + 1}, {0x403d, 0xfffffffffffffffeull},
  {0x401e, I}, {0xc01e, I}, {0x401d, 0xfffffffe00000000ull}, {0x401d, 0xffffffff00000000ull}, {0x401d, 0xfffffffeffffffffull},
  {0xc01e, 0x8000000080000000ull}, {0xc01e, 0x8000000080000001ull}, {0x400e, I}, {0xc00e, I}, {0x400d, 0xfffe000000000000ull},
  {0x400d, 0xffff000000000000ull}, {0x400d, 0xfffeffffffffffffull}, {0xc00e, 0x8000800000000000ull}, {0xc00e, 0x8000800000000001ull},
  {0x403f, I}, {0x403a, 0xde0b6b3a76400000ull}, {0x403a, 0xde0b6b3a763ffff0ull}, {0x403a, 0xde0b6b3a763ffff8ull}, {0xc03a, 0xde0b6b3a763ffff7ull},
  {0x3ffe, 0xc000000000000000ull}, {0x4001, 0xb000000000000000ull}, {0x4001, 0x9000000000000000ull}, {0xc001, 0xb000000000000000ull},
  /* the edges of single and double precision */
  {0x407e, 0xffffff0000000000ull}, {0x407e, 0xffffff8000000000ull}, {0x407e, 0xffffff7fffffffffull}, {0x407f, I}, {0x3f81, I},
  {0x3f80, 0xffffff0000000000ull}, {0x3f80, 0xfffffe0000000000ull}, {0x3f80, 0xffffffffffffffffull}, {0x3f6a, I}, {0x3f69, I}, {0x3f69, I + 1}, {0x3f68, ~0ull},
  {0x43fe, 0xfffffffffffff800ull}, {0x43fe, 0xfffffffffffffc00ull}, {0x43fe, 0xfffffffffffffbffull}, {0x43ff, I}, {0x3c01, I},
  {0x3c00, 0xfffffffffffff800ull}, {0x3c00, 0xfffffffffffff000ull}, {0x3c00, ~0ull}, {0x3bcd, I}, {0x3bcc, I}, {0x3bcc, I + 1}, {0x3bcb, ~0ull},
  {0xbf80, 0xfffffe0000000000ull}, {0xbc00, 0xfffffffffffff000ull},
  /* angles */
  {0x4000, 0xc90fdaa22168c235ull}, {0x4000, 0xc90fdaa22168c234ull}, {0x3fff, 0xc90fdaa22168c235ull}, {0x3ffe, 0xc90fdaa22168c235ull},
  {0x3ffe, 0xc90fdaa22168c234ull}, {0xbffe, 0xc90fdaa22168c235ull}, {0x403d, 0xc90fdaa22168c235ull},
};
#define BOUNDARIES (sizeof BOUNDARY / sizeof *BOUNDARY)

/* A significand: random, or with few or with only high bits, so that ties and exact results occur. */
static uint64_t random_significand(void) {
  uint64_t s = random64() | I;
  switch (below(6)) {
    case 0: return s & (~0ull << 40);
    case 1: return s & (~0ull << 11);
    case 2: return (s & (~0ull << 41)) | (1ull << 39);
    case 3: return I | (random64() & random64() & random64());
    default: return s;
  }
}
/* A normal number with an exponent from low to high. */
static number between(int low, int high) {
  number n = {(uint16_t)((below(2) << 15) | (0x3fff + low + (int)below(high - low + 1))), random_significand()};
  return n;
}
static number any(void) {
  switch (below(8)) {
    case 0: case 1: case 2: return BOUNDARY[below(BOUNDARIES)];
    case 3: { number n = {(uint16_t)((below(2) << 15) | (1 + below(0x7ffe))), random_significand()}; return n; }
    case 4: { number n = {(uint16_t)(below(2) << 15), random64() >> below(64)}; return n; }
    default: return between(-20, 20);
  }
}

enum operands { ANY, NEAR, SCALE, REMAINDER, INTEGERS, SINGLE, DOUBLE, ANGLE, POWER, LOG, LOG1, ARC };

static void choose(enum operands kind, number *a, number *b) {
  *a = any();
  *b = any();
  if (kind == ANY || below(5) == 0) return;
  switch (kind) {
    case NEAR: *a = between(-3, 3); *b = between(-3, 3); if (below(3) == 0) { *b = *a; b->sig ^= random64() >> (1 + below(63)); b->se ^= below(2) << 15; } break;
    case SCALE: *b = between(0, 15); break;
    case REMAINDER: *a = between(-10, 140); *b = between(-10, 10); if (below(3) == 0) a->sig = b->sig; break;
    case INTEGERS: *a = between(-3, 66); if (below(2)) a->sig &= ~0ull << (64 - 3 - below(60)); break;
    case SINGLE: *a = below(2) ? between(-152, -120) : between(120, 129); break;
    case DOUBLE: *a = below(2) ? between(-1077, -1015) : between(1015, 1025); break;
    case ANGLE: *a = between(below(3) ? -4 : -70, below(3) ? 6 : 64); break;
    case POWER: *a = between(below(3) ? -6 : -70, -1); break;
    case LOG: *a = between(-3, 3); if (below(4)) a->se &= 0x7fff; if (below(3) == 0) a->se = 0x3fff; *b = between(-8, 8); break;
    case LOG1: *a = between(-70, -3); if (below(2)) *a = between(-6, -3); *b = between(-8, 8); break;
    case ARC: *a = between(-6, 6); *b = between(-6, 6); break;
    default: break;
  }
}

/* Normal numbers whose sums, products and quotients round in all ways. */
static void choose_ordinary(number *a, number *b) {
  int reach = below(2) ? 3 : below(4) ? 70 : 140;
  *a = between(-reach, reach);
  *b = between(-reach, reach);
  switch (below(8)) {
    case 0: *b = *a; b->sig ^= random64() >> (1 + below(63)); b->se ^= below(2) << 15; break;
    case 1: a->sig |= ~0ull >> below(64); b->sig &= ~0ull << below(64); break;
    case 2: a->sig = I | (random64() >> below(64)); b->sig |= ~0ull << below(64); break;
    case 3: *(below(2) ? a : b) = any(); break;
    default: break;
  }
  a->sig |= a->se & 0x7fff ? I : 0;
  b->sig |= b->se & 0x7fff ? I : 0;
}

static void random_memory(uint8_t *m, int length, int decimal) {
  uint64_t r = random64();
  memset(m, 0, 10);
  if (decimal) {
    for (int i = 0; i < 9; i++) m[i] = (uint8_t)(below(10) << 4 | below(10));
    if (below(4) == 0) memset(m + below(9), 0, 1);
    m[9] = (uint8_t)(below(2) << 7);
    return;
  }
  switch (length) {
    case 4: {
      static const uint32_t f[] = {0, 0x80000000, 1, 0x807fffff, 0x00800000, 0x7f7fffff, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00001, 0x7f800001,
                                   0xffa00000, 0x3f800000, 0xbf800000, 0x40490fdb, 0x7fffffff, 0x00012345};
      uint32_t v = below(2) ? f[below(sizeof f / 4)] : below(2) ? (uint32_t)r : 0x3f000000 + (uint32_t)(r & 0x81ffffff);
      memcpy(m, &v, 4);
      break;
    }
    case 8: {
      static const uint64_t f[] = {0, I, 1, 0x800fffffffffffffull, 0x0010000000000000ull, 0x7fefffffffffffffull, 0x7ff0000000000000ull, 0xfff0000000000000ull,
                                   0x7ff8000000000000ull, 0xfff8000000000001ull, 0x7ff0000000000001ull, 0xfff4000000000000ull, 0x3ff0000000000000ull,
                                   0xbff0000000000000ull, 0x400921fb54442d18ull, 0x7fffffffffffffffull, 0x0000000012345678ull};
      uint64_t v = below(2) ? f[below(sizeof f / 8)] : below(2) ? r : 0x3fe0000000000000ull + (r & 0x803fffffffffffffull);
      memcpy(m, &v, 8);
      break;
    }
    case 10: {
      number n = any();
      memcpy(m, &n.sig, 8);
      memcpy(m + 8, &n.se, 2);
      break;
    }
    default:
      if (below(4) == 0) r = below(3) - 1;
      memcpy(m, &r, length);
  }
}

typedef struct { uint8_t opcode, modrm, memory, decimal; enum operands operands; int weight; } instruction;

static const instruction INSTRUCTIONS[] = {
  /* ST0 op ST1, ST1 op ST0, and the popping forms */
  {0xd8, 0xc1, 0, 0, ANY, 8}, {0xd8, 0xc1, 0, 0, NEAR, 8}, {0xd8, 0xc9, 0, 0, ANY, 8}, {0xd8, 0xc9, 0, 0, NEAR, 4},
  {0xd8, 0xd1, 0, 0, ANY, 4}, {0xd8, 0xd9, 0, 0, NEAR, 2}, {0xd8, 0xe1, 0, 0, ANY, 4}, {0xd8, 0xe1, 0, 0, NEAR, 4},
  {0xd8, 0xe9, 0, 0, ANY, 4}, {0xd8, 0xf1, 0, 0, ANY, 8}, {0xd8, 0xf1, 0, 0, NEAR, 4}, {0xd8, 0xf9, 0, 0, ANY, 4},
  {0xd8, 0xc0, 0, 0, ANY, 1}, {0xd8, 0xf0, 0, 0, ANY, 1},
  {0xdc, 0xc1, 0, 0, ANY, 1}, {0xdc, 0xc9, 0, 0, ANY, 1}, {0xdc, 0xe1, 0, 0, ANY, 1}, {0xdc, 0xe9, 0, 0, ANY, 1}, {0xdc, 0xf1, 0, 0, ANY, 1}, {0xdc, 0xf9, 0, 0, ANY, 1},
  {0xdc, 0xd1, 0, 0, ANY, 1}, {0xdc, 0xd9, 0, 0, ANY, 1},
  {0xde, 0xc1, 0, 0, ANY, 1}, {0xde, 0xc9, 0, 0, ANY, 1}, {0xde, 0xe1, 0, 0, ANY, 1}, {0xde, 0xe9, 0, 0, ANY, 1}, {0xde, 0xf1, 0, 0, ANY, 1}, {0xde, 0xf9, 0, 0, ANY, 1},
  {0xde, 0xd1, 0, 0, ANY, 1}, {0xde, 0xd9, 0, 0, ANY, 2},
  /* memory operands */
  {0xd8, 0x02, 4, 0, ANY, 3}, {0xd8, 0x0a, 4, 0, ANY, 2}, {0xd8, 0x12, 4, 0, ANY, 2}, {0xd8, 0x1a, 4, 0, ANY, 1}, {0xd8, 0x22, 4, 0, ANY, 2}, {0xd8, 0x2a, 4, 0, ANY, 2}, {0xd8, 0x32, 4, 0, ANY, 2}, {0xd8, 0x3a, 4, 0, ANY, 2},
  {0xdc, 0x02, 8, 0, ANY, 3}, {0xdc, 0x0a, 8, 0, ANY, 2}, {0xdc, 0x12, 8, 0, ANY, 2}, {0xdc, 0x1a, 8, 0, ANY, 1}, {0xdc, 0x22, 8, 0, ANY, 2}, {0xdc, 0x2a, 8, 0, ANY, 2}, {0xdc, 0x32, 8, 0, ANY, 2}, {0xdc, 0x3a, 8, 0, ANY, 2},
  {0xda, 0x02, 4, 0, ANY, 1}, {0xda, 0x0a, 4, 0, ANY, 1}, {0xda, 0x12, 4, 0, ANY, 1}, {0xda, 0x1a, 4, 0, ANY, 1}, {0xda, 0x22, 4, 0, ANY, 1}, {0xda, 0x2a, 4, 0, ANY, 1}, {0xda, 0x32, 4, 0, ANY, 1}, {0xda, 0x3a, 4, 0, ANY, 1},
  {0xde, 0x02, 2, 0, ANY, 1}, {0xde, 0x0a, 2, 0, ANY, 1}, {0xde, 0x12, 2, 0, ANY, 1}, {0xde, 0x1a, 2, 0, ANY, 1}, {0xde, 0x22, 2, 0, ANY, 1}, {0xde, 0x2a, 2, 0, ANY, 1}, {0xde, 0x32, 2, 0, ANY, 1}, {0xde, 0x3a, 2, 0, ANY, 1},
  /* loads and stores */
  {0xd9, 0x02, 4, 0, ANY, 2}, {0xdd, 0x02, 8, 0, ANY, 2}, {0xdb, 0x2a, 10, 0, ANY, 2}, {0xdb, 0x02, 4, 0, ANY, 1}, {0xdf, 0x02, 2, 0, ANY, 1}, {0xdf, 0x2a, 8, 0, ANY, 2}, {0xdf, 0x22, 10, 1, ANY, 2},
  {0xd9, 0x12, 4, 0, SINGLE, 6}, {0xd9, 0x1a, 4, 0, ANY, 4}, {0xdd, 0x12, 8, 0, DOUBLE, 6}, {0xdd, 0x1a, 8, 0, ANY, 4}, {0xdb, 0x3a, 10, 0, ANY, 2},
  {0xdf, 0x12, 2, 0, INTEGERS, 2}, {0xdf, 0x1a, 2, 0, INTEGERS, 2}, {0xdf, 0x0a, 2, 0, INTEGERS, 2}, {0xdb, 0x12, 4, 0, INTEGERS, 2}, {0xdb, 0x1a, 4, 0, INTEGERS, 2}, {0xdb, 0x0a, 4, 0, INTEGERS, 2},
  {0xdf, 0x3a, 8, 0, INTEGERS, 4}, {0xdd, 0x0a, 8, 0, INTEGERS, 3}, {0xdf, 0x32, 10, 0, INTEGERS, 4},
  {0xd9, 0x3a, 2, 0, ANY, 1}, {0xdd, 0x3a, 2, 0, ANY, 1},
  /* register moves */
  {0xd9, 0xc0, 0, 0, ANY, 1}, {0xd9, 0xc1, 0, 0, ANY, 2}, {0xd9, 0xc9, 0, 0, ANY, 2}, {0xd9, 0xd0, 0, 0, ANY, 1}, {0xd9, 0xd9, 0, 0, ANY, 1}, {0xdd, 0xc0, 0, 0, ANY, 1}, {0xdd, 0xc1, 0, 0, ANY, 1}, {0xdf, 0xc1, 0, 0, ANY, 1},
  {0xdd, 0xc9, 0, 0, ANY, 1}, {0xdf, 0xc9, 0, 0, ANY, 1}, {0xdd, 0xd1, 0, 0, ANY, 1}, {0xdd, 0xd9, 0, 0, ANY, 1}, {0xdd, 0xd8, 0, 0, ANY, 1}, {0xdf, 0xd1, 0, 0, ANY, 1}, {0xdf, 0xd9, 0, 0, ANY, 1},
  {0xda, 0xc1, 0, 0, ANY, 1}, {0xda, 0xc9, 0, 0, ANY, 1}, {0xda, 0xd1, 0, 0, ANY, 1}, {0xda, 0xd9, 0, 0, ANY, 1}, {0xdb, 0xc1, 0, 0, ANY, 1}, {0xdb, 0xc9, 0, 0, ANY, 1}, {0xdb, 0xd1, 0, 0, ANY, 1}, {0xdb, 0xd9, 0, 0, ANY, 1},
  /* comparisons */
  {0xdd, 0xe1, 0, 0, ANY, 3}, {0xdd, 0xe9, 0, 0, NEAR, 1}, {0xda, 0xe9, 0, 0, ANY, 2}, {0xdb, 0xe9, 0, 0, ANY, 3}, {0xdb, 0xf1, 0, 0, ANY, 3}, {0xdf, 0xe9, 0, 0, ANY, 1}, {0xdf, 0xf1, 0, 0, NEAR, 1},
  {0xd9, 0xe4, 0, 0, ANY, 2}, {0xd9, 0xe5, 0, 0, ANY, 2},
  /* constants and stack */
  {0xd9, 0xe8, 0, 0, ANY, 1}, {0xd9, 0xe9, 0, 0, ANY, 1}, {0xd9, 0xea, 0, 0, ANY, 1}, {0xd9, 0xeb, 0, 0, ANY, 1}, {0xd9, 0xec, 0, 0, ANY, 1}, {0xd9, 0xed, 0, 0, ANY, 1}, {0xd9, 0xee, 0, 0, ANY, 1},
  {0xd9, 0xf6, 0, 0, ANY, 1}, {0xd9, 0xf7, 0, 0, ANY, 1}, {0xdb, 0xe0, 0, 0, ANY, 1}, {0xdb, 0xe1, 0, 0, ANY, 1}, {0xdb, 0xe2, 0, 0, ANY, 1}, {0xdb, 0xe3, 0, 0, ANY, 1}, {0xdb, 0xe4, 0, 0, ANY, 1},
  /* the rest of the arithmetic */
  {0xd9, 0xe0, 0, 0, ANY, 1}, {0xd9, 0xe1, 0, 0, ANY, 1}, {0xd9, 0xfa, 0, 0, ANY, 5}, {0xd9, 0xfa, 0, 0, NEAR, 4}, {0xd9, 0xfc, 0, 0, INTEGERS, 4}, {0xd9, 0xf4, 0, 0, ANY, 4},
  {0xd9, 0xfd, 0, 0, SCALE, 6}, {0xd9, 0xf8, 0, 0, REMAINDER, 6}, {0xd9, 0xf8, 0, 0, NEAR, 3}, {0xd9, 0xf5, 0, 0, REMAINDER, 6}, {0xd9, 0xf5, 0, 0, NEAR, 4},
  /* transcendental */
  {0xd9, 0xf0, 0, 0, POWER, 8}, {0xd9, 0xf1, 0, 0, LOG, 10}, {0xd9, 0xf9, 0, 0, LOG1, 8}, {0xd9, 0xf2, 0, 0, ANGLE, 8}, {0xd9, 0xf3, 0, 0, ARC, 10},
  {0xd9, 0xfe, 0, 0, ANGLE, 8}, {0xd9, 0xff, 0, 0, ANGLE, 8}, {0xd9, 0xfb, 0, 0, ANGLE, 8},
};
#define COUNT(a) (sizeof a / sizeof *a)

static void put(uint8_t *at, number n) { memcpy(at, &n.sig, 8); memcpy(at + 8, &n.se, 2); }

int main(int argc, char **argv) {
  if (argc < 4) { fprintf(stderr, "usage: record OUT SEED COUNT [ordinary]\n"); return 2; }
  int ordinary = argc > 4;
  machine_open();
  state = strtoull(argv[2], 0, 0) * 2 + 1;
  int count = atoi(argv[3]);
  FILE *out = fopen(argv[1], "wb");
  if (!out) { perror(argv[1]); return 1; }
  static uint8_t memory[64] __attribute__((aligned(64)));
  for (unsigned n = 0; n < COUNT(INSTRUCTIONS); n++) {
    const instruction *in = &INSTRUCTIONS[n];
    uint8_t bytes[2] = {in->opcode, in->modrm};
    runner run = assemble(bytes, 2);
    for (int c = 0; c < in->weight * count; c++) {
      image before, after;
      uint8_t record[78] = {0};
      number a, b;
      memset(&before, 0, sizeof before);
      if (ordinary && (in->operands == ANY || in->operands == NEAR)) choose_ordinary(&a, &b);
      else choose(in->operands, &a, &b);
      unsigned masks = below(4) ? 0x3f : (unsigned)(random64() & random64() & 0x3f) ^ 0x3f;
      static const uint8_t precision[] = {3, 3, 3, 0, 2, 2, 0, 1};
      before.control = 0x40 | masks | precision[below(8)] << 8 | below(4) << 10;
      if (ordinary) before.control = 0x37f;
      unsigned top = below(2) ? 0 : below(8);
      before.status = top << 11 | (random64() & 0x4700);
      /* Sticky exceptions only where they are masked: the instruction would not run otherwise. */
      if (below(8) == 0) before.status |= random64() & before.control & masks & 0x3f;
      unsigned empty = below(16) ? 0xfc : below(2) ? below(256) : 0;
      for (unsigned i = 0; i < 8; i++) if (empty >> i & 1) before.tag |= 3 << 2 * ((top + i) & 7);
      put(before.st[0], a);
      put(before.st[1], b);
      unsigned flags = 2 | (random64() & 0xd5);
      memset(memory, 0xcc, sizeof memory);
      if (in->memory) random_memory(memory, in->memory, in->decimal);
      record[0] = in->opcode;
      record[1] = in->modrm;
      memcpy(record + 2, &before.control, 2);
      memcpy(record + 4, &before.status, 2);
      memcpy(record + 6, &before.tag, 2);
      record[8] = (uint8_t)flags;
      record[9] = in->memory;
      memcpy(record + 10, before.st, 20);
      memcpy(record + 30, memory, in->memory);
      uint64_t result = run(&before, &after, memory, flags);
      memcpy(record + 40, &after.status, 2);
      memcpy(record + 42, &after.tag, 2);
      memcpy(record + 44, &after.control, 2);
      record[46] = (uint8_t)result;
      memcpy(record + 48, after.st, 20);
      memcpy(record + 68, memory, in->memory);
      fwrite(record, sizeof record, 1, out);
    }
  }
  fclose(out);
  return 0;
}
