/* Two processes and two pipes: small messages to and fro (a task switch each), then blocks of 64 KiB one way. */
#include "runtime.h"

const char program_name[] = "pipes";

static u8 block[65536];

u64 program(u32 scale) {
  int there[2], back[2];
  u64 sum = MIX_START;
  make_pipe(there);
  make_pipe(back);
  int child = fork_process();
  if (child == 0) {
    u32 value;
    for (u32 i = 0; i < scale * 2000; i++) {
      read_pipe(there[0], &value, sizeof value);
      value = value * 1664525 + 1013904223;
      write_pipe(back[1], &value, sizeof value);
    }
    for (u32 i = 0; i < scale * 20; i++) {
      block[i % sizeof block] = (u8)i;
      write_pipe(back[1], block, sizeof block);
    }
    leave(0);
  }
  u32 value = 1;
  for (u32 i = 0; i < scale * 2000; i++) {
    write_pipe(there[1], &value, sizeof value);
    read_pipe(back[0], &value, sizeof value);
  }
  sum = mix(sum, value);
  for (u32 left = scale * 20 * sizeof block; left > 0;) {
    size got = read_pipe(back[0], block, sizeof block);
    sum += block[0];
    left -= got;
    block[0] = 0;
  }
  wait_process(child);
  return mix(sum, block[sizeof block - 1]);
}
