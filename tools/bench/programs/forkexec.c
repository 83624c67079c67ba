/* fork, exec of itself, exit and wait: what a shell and make spend their time with. */
#include "runtime.h"

const char program_name[] = "forkexec";

int program_child(void) { return 0; }

u64 program(u32 scale) {
  static const char *const arguments[] = {"./forkexec", "child", NULL};
  u64 sum = MIX_START;
  for (u32 i = 0; i < scale * 20; i++) {
    int child = fork_process();
    if (child == 0) execute("./forkexec", arguments);
    wait_process(child);
    sum = mix(sum, i);
  }
  return sum;
}
