/* System calls: one that does nothing but enter and leave the kernel, and reads of some bytes from /dev/zero. */
#include "runtime.h"

const char program_name[] = "syscalls";

u64 program(u32 scale) {
  u8 data[256];
  u64 sum = MIX_START;
  int zero = open_file("/dev/zero");
  u32 parents = 0;
  for (u32 i = 0; i < scale * 20000; i++) parents += parent_process() > 0;
  sum = mix(sum, parents);
  for (u32 i = 0; i < scale * 5000; i++) sum = mix(sum, read_pipe(zero, data, 1 + i % sizeof data) + data[0]);
  close_file(zero);
  return sum;
}
