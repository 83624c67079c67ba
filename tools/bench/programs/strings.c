/* String instructions: REP MOVS, STOS, REPNE SCAS and REPE CMPS, from a few bytes to some pages, aligned and not. */
#include "runtime.h"

const char program_name[] = "strings";

static void move_bytes(void *to, const void *from, size count) {
  __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}

static void move_words(void *to, const void *from, size count) {
  __asm__ volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}

static void store_bytes(void *to, u8 value, size count) {
  __asm__ volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(value) : "memory");
}

static void store_words(void *to, u32 value, size count) {
  __asm__ volatile("rep stosl" : "+D"(to), "+c"(count) : "a"(value) : "memory");
}

/* How many bytes lie before the first `value`. */
static size scan(const void *from, u8 value, size count) {
  size left = count;
  __asm__ volatile("repne scasb" : "+D"(from), "+c"(left) : "a"(value) : "memory", "cc");
  return count - left;
}

static size common(const void *a, const void *b, size count) {
  size left = count;
  __asm__ volatile("repe cmpsb" : "+D"(a), "+S"(b), "+c"(left) : : "memory", "cc");
  return count - left;
}

/* strlen and upper case by LODS and STOS without REP, as old code does. */
static void upper(u8 *to, const u8 *from, size count) {
  u8 byte;
  while (count-- > 0) {
    __asm__ volatile("lodsb" : "=a"(byte), "+S"(from) : : "memory");
    if (byte >= 'a' && byte <= 'z') byte -= 32;
    __asm__ volatile("stosb" : "+D"(to) : "a"(byte) : "memory");
  }
}

u64 program(u32 scale) {
  static u8 a[65536], b[65536];
  u64 seed = 5, sum = MIX_START;
  for (size i = 0; i < sizeof a; i++) a[i] = (u8)(random_next(&seed) | 1);
  for (u32 pass = 0; pass < scale * 150; pass++) {
    move_words(b, a, sizeof a / 4);
    b[40000 + pass % 10000] ^= 0x80;
    sum = mix(sum, common(a, b, sizeof a));
    b[30000 + pass % 10000] = 0;
    sum = mix(sum, scan(b, 0, sizeof b));
    for (u32 i = 0; i < 2000; i++) {
      u32 length = random_next(&seed) & 63;
      u32 from = random_next(&seed) & 0x7fff, to = random_next(&seed) & 0x7fff;
      if (i & 1) move_bytes(b + to, a + from, length);
      else store_bytes(b + to, (u8)length | 1, length);
    }
    move_bytes(b + 1, b, 1024);
    store_words(b + 50000, pass | 0x01010101, 3000);
    upper(b + 20001, a + 3, 4096);
    for (u32 i = 0; i < sizeof b; i += 4093) sum = mix(sum, b[i]);
  }
  return sum;
}
