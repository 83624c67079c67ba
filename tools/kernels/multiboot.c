/* What a multiboot loader hands over (Multiboot 0.6.96, 3.2 and 3.3). */
#include "runtime.h"

struct module {
  u32 start, end, name, reserved;
};

static u32 at(u32 info, u32 offset) {
  return *(u32 *)(word)(info + offset);
}

/* Of a path the last part: where a file lies is the loader's business. */
static const char *last_part(u32 address) {
  const char *text = (const char *)(word)address, *start = text;
  for (; *text && *text != ' '; text++)
    if (*text == '/') start = text + 1;
  return start;
}

void kernel_main(u32 magic, u32 info) {
  print("magic %x\n", magic);
  print("cr0 %x eflags %x\n", (u32)READ_CR(0) & (CR0_PG | CR0_PE), (u32)read_flags() & (FLAG_IF | FLAG_VM | FLAG_TF));
  u32 flags = at(info, 0);
  print("flags: memory %d, command line %d, modules %d, map %d, loader name %d, video %d\n", flags & 1, flags >> 2 & 1,
        flags >> 3 & 1, flags >> 6 & 1, flags >> 9 & 1, flags >> 11 & 3);
  print("lower %u KiB, upper within 128 KiB of the end %d\n", at(info, 4), at(info, 8) + 1024 > 64 * 1024 - 129);
  print("command line: %s\n", last_part(at(info, 16)));
  const struct module *modules = (const struct module *)(word)at(info, 24);
  for (u32 index = 0; index < at(info, 20); index++) {
    const struct module *module = &modules[index];
    u32 sum = 0;
    for (const u8 *byte = (const u8 *)(word)module->start; byte < (const u8 *)(word)module->end; byte++) sum += *byte;
    print("module %s: %u bytes, sum %x, page-aligned %d, above the kernel %d\n", last_part(module->name),
          module->end - module->start, sum, (module->start & 0xfff) == 0, module->start > (word)user_stack_top);
  }
  u64 available = 0;
  int holds_kernel = 0;
  for (u32 offset = 0; offset < at(info, 44); offset += at(at(info, 48), offset) + 4) {
    u32 entry = at(info, 48) + offset;
    u32 start = at(entry, 4), bytes = at(entry, 12);
    if (at(entry, 20) != 1 || at(entry, 8) != 0) continue;
    available += bytes;
    if (start <= 0x100000 && start + bytes > 0x200000) holds_kernel = 1;
  }
  print("available: more than 63 MiB %d, at most 64 MiB %d, with the kernel in it %d\n",
        available > 63u << 20, available <= 64u << 20, holds_kernel);
}
