/* Page faults: fresh pages touched and given back, and copy on write after a fork. */
#include "runtime.h"

const char program_name[] = "faults";

enum { PAGE = 4096, COUNT = 1024 };

u64 program(u32 scale) {
  u64 sum = MIX_START;
  u32 touched = 0;
  for (u32 pass = 0; pass < scale * 3; pass++) {
    u8 *area = pages(COUNT * PAGE);
    for (u32 i = 0; i < COUNT; i++) {
      area[i * PAGE + (i * 64) % PAGE] = 1;
      touched += area[i * PAGE] + 1;
    }
    if ((pass & 3) == 0) {
      int child = fork_process();
      for (u32 i = 0; i < COUNT; i++) touched += ++area[i * PAGE + (i * 64) % PAGE];
      if (child == 0) leave(0);
      wait_process(child);
    }
    release(area, COUNT * PAGE);
    sum = mix(sum, touched);
  }
  return sum;
}
