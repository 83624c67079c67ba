/* Compression: LZ77 with hash chains and a byte-oriented output, of text that repeats itself; then decompression and comparison. */
#include "runtime.h"

const char program_name[] = "lz";

enum { LENGTH = 200000, HASHES = 1 << 13, WINDOW = 1 << 15, MINIMUM = 4, MAXIMUM = 130, TRIES = 16 };

static u8 text[LENGTH], packed[LENGTH + LENGTH / 8], unpacked[LENGTH + MAXIMUM];
static s32 heads[HASHES], previous[WINDOW];

/* Words from a small dictionary, of which some are more frequent. */
static void make_text(u64 *seed) {
  static u8 words[256][12];
  for (u32 i = 0; i < 256; i++) {
    u32 size = 2 + random_next(seed) % 9;
    for (u32 j = 0; j < size; j++) words[i][j] = 'a' + random_next(seed) % 26;
    words[i][size] = ' ';
    words[i][size + 1] = 0;
  }
  for (u32 at = 0; at < LENGTH;) {
    u32 r = random_next(seed);
    const u8 *word = words[(r & 0xff) & (r >> 8 & 0xff)];
    while (*word != 0 && at < LENGTH) text[at++] = *word++;
  }
}

static u32 hash(const u8 *at) {
  return ((at[0] | at[1] << 8 | at[2] << 16 | (u32)at[3] << 24) * 2654435761u) >> 19;
}

/* A token below 128 is so many literals and one more; others are a match's length, and two bytes of distance. */
static u32 compress(void) {
  for (u32 i = 0; i < HASHES; i++) heads[i] = -1;
  u8 *out = packed, *literals = NULL;
  for (s32 at = 0; at < LENGTH;) {
    s32 best = 0, where = 0;
    if (at + MAXIMUM < LENGTH) {
      u32 h = hash(text + at);
      s32 candidate = heads[h];
      for (int tries = 0; tries < TRIES && candidate >= 0 && at - candidate < WINDOW; tries++) {
        s32 same = 0;
        while (same < MAXIMUM && text[candidate + same] == text[at + same]) same++;
        if (same > best) best = same, where = candidate;
        candidate = previous[candidate % WINDOW];
      }
      previous[at % WINDOW] = heads[h];
      heads[h] = at;
    }
    if (best >= MINIMUM) {
      *out++ = (u8)(128 + best - MINIMUM);
      *out++ = (u8)(at - where);
      *out++ = (u8)((at - where) >> 8);
      at += best;
      literals = NULL;
    } else {
      if (literals == NULL || *literals == 127) {
        literals = out++;
        *literals = 0;
      } else (*literals)++;
      *out++ = text[at++];
    }
  }
  return out - packed;
}

static u32 decompress(u32 length) {
  const u8 *in = packed, *end = packed + length;
  u8 *out = unpacked;
  while (in < end) {
    u32 token = *in++;
    if (token < 128) {
      for (u32 i = 0; i <= token; i++) *out++ = *in++;
    } else {
      const u8 *from = out - (in[0] | in[1] << 8);
      in += 2;
      for (u32 i = 0; i < token - 128 + MINIMUM; i++) *out++ = *from++;
    }
  }
  return out - unpacked;
}

u64 program(u32 scale) {
  u64 seed = 9, sum = MIX_START;
  for (u32 pass = 0; pass < scale * 4; pass++) {
    make_text(&seed);
    u32 length = compress();
    sum = mix(sum, length);
    sum = mix(sum, decompress(length));
    u32 different = 0;
    for (u32 i = 0; i < LENGTH; i++) different += text[i] != unpacked[i];
    sum = mix(sum, different);
    for (u32 i = 0; i < length; i += 61) sum = mix(sum, packed[i]);
  }
  return sum;
}
