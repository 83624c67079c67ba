/* Pointer chase: one dependent load after the other, over 512 KiB and over 16 MiB (more pages than a TLB has entries). */
#include "runtime.h"

const char program_name[] = "chase";

struct cell {
  struct cell *next;
  u32 id;
  u32 padding[13];
};

/* One cycle through all cells in random order (Sattolo). */
static void link(struct cell *cells, u32 *order, u32 count) {
  u64 seed = 3;
  for (u32 i = 0; i < count; i++) order[i] = i;
  for (u32 i = count - 1; i > 0; i--) {
    u32 j = (u32)(((u64)random_next(&seed) * i) >> 32);
    u32 kept = order[i];
    order[i] = order[j];
    order[j] = kept;
  }
  for (u32 i = 0; i < count; i++) {
    cells[order[i]].next = &cells[order[i + 1 == count ? 0 : i + 1]];
    cells[order[i]].id = order[i];
  }
}

static u64 walk(const struct cell *at, u32 steps, u64 sum) {
  u32 ids = 0;
  for (u32 i = 0; i < steps; i++) {
    ids = ids * 31 + at->id;
    at = at->next;
  }
  return mix(sum, ids);
}

u64 program(u32 scale) {
  enum { SMALL = 0x80000 / 64, LARGE = 0x1000000 / 64 };
  struct cell *cells = pages(LARGE * sizeof(struct cell));
  u32 *order = pages(LARGE * sizeof(u32));
  u64 sum = MIX_START;
  link(cells, order, LARGE);
  sum = walk(cells, scale * 150000, sum);
  link(cells, order, SMALL);
  return walk(cells, scale * 2500000, sum);
}
