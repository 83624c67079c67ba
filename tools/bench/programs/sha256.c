/* Integer mix: SHA-256 (FIPS 180-4), 32-bit rotates, additions and logic on a working set that stays in registers and cache. */
#include "runtime.h"

const char program_name[] = "sha256";

static u32 constants[64];

/* The first 32 bits of the fractional parts of the cube roots of the first 64 primes (FIPS 180-4, 4.2.2). */
static void make_constants(void) {
  int found = 0;
  for (u32 candidate = 2; found < 64; candidate++) {
    int prime = 1;
    for (u32 divisor = 2; divisor * divisor <= candidate; divisor++) prime &= candidate % divisor != 0;
    if (!prime) continue;
    /* The largest r with (r / 2^32)^3 <= candidate; the primes are below 343, the root below 7. */
    u64 root = 0;
    for (int bit = 34; bit >= 0; bit--) {
      u64 tried = root | 1ull << bit;
      unsigned int high = (unsigned int)(tried >> 32), low = (unsigned int)tried;
      /* tried^2 as 96 bits, cut to its upper 64 with what is lost kept: (a * 2^32 + b)^2. */
      u64 bb = (u64)low * low, ab = (u64)high * low, aa = (u64)high * high;
      u64 middle = 2 * ab + (bb >> 32);
      u32 s0 = (u32)bb, s1 = (u32)middle;
      u64 s2 = aa + (middle >> 32);
      /* times tried again: only the part from 2^96 on is compared. */
      u64 p0 = (u64)s0 * low;
      u64 p1 = (u64)s0 * high + (p0 >> 32);
      u64 q1 = (u64)s1 * low + (u32)p1;
      u64 p2 = (u64)s1 * high + (p1 >> 32) + (q1 >> 32);
      u64 q2 = s2 * low + (u32)p2;
      u64 p3 = s2 * high + (p2 >> 32) + (q2 >> 32);
      if (p3 < candidate) root = tried;
    }
    constants[found++] = (u32)root;
  }
}

static u32 rotate(u32 x, int by) { return x >> by | x << (32 - by); }

static void block(u32 state[8], const u8 *data) {
  u32 w[64];
  for (int i = 0; i < 16; i++) {
    w[i] = (u32)data[4 * i] << 24 | (u32)data[4 * i + 1] << 16 | (u32)data[4 * i + 2] << 8 | data[4 * i + 3];
  }
  for (int i = 16; i < 64; i++) {
    u32 s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
    u32 s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
  u32 a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
  for (int i = 0; i < 64; i++) {
    u32 t1 = h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) + constants[i] + w[i];
    u32 t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
    h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
  }
  state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

u64 program(u32 scale) {
  static u8 data[65536];
  u64 seed = 1;
  make_constants();
  for (size i = 0; i < sizeof data; i++) data[i] = (u8)random_next(&seed);
  u32 state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  for (u32 pass = 0; pass < scale * 50; pass++) {
    for (size at = 0; at < sizeof data; at += 64) block(state, data + at);
  }
  u64 sum = MIX_START;
  for (int i = 0; i < 8; i++) sum = mix(sum, state[i]);
  return sum;
}
