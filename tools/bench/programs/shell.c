/* A shell's loop: busybox sh with arithmetic, strings, functions and case, no external command. Its output is summed up. */
#include "runtime.h"

const char program_name[] = "shell";

static const char script[] =
    "collatz() { n=$1; steps=0\n"
    "  while [ $n -gt 1 ]; do\n"
    "    if [ $((n % 2)) -eq 0 ]; then n=$((n / 2)); else n=$((3 * n + 1)); fi\n"
    "    steps=$((steps + 1))\n"
    "  done\n"
    "}\n"
    "i=1; text=; count=0\n"
    "while [ $i -le $0 ]; do\n"
    "  collatz $i\n"
    "  case $steps in *7*) text=$text:$steps ;; 1?) count=$((count + 1)) ;; esac\n"
    "  [ ${#text} -gt 200 ] && text=${text#*:*:*:}\n"
    "  i=$((i + 1))\n"
    "done\n"
    "echo $i $count $text\n";

u64 program(u32 scale) {
  char count[8], *end = count + 7;
  *end = 0;
  for (u32 left = scale * 40; left > 0; left /= 10) *--end = '0' + left % 10;
  const char *const arguments[] = {"sh", "-c", script, end, NULL};
  int ends[2];
  make_pipe(ends);
  int child = fork_process();
  if (child == 0) {
    duplicate(ends[1], 1);
    close_file(ends[0]);
    close_file(ends[1]);
    execute("./busybox", arguments);
  }
  close_file(ends[1]);
  u64 sum = MIX_START;
  u8 text[512];
  for (size got; (got = read_pipe(ends[0], text, sizeof text)) > 0;) {
    for (size i = 0; i < got; i++) sum = mix(sum, text[i]);
  }
  wait_process(child);
  return sum;
}
