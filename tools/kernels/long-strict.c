/* What QEMU does not check in 64-bit mode: control registers. */
#include "runtime.h"

void kernel_main(u32 magic, u32 info) {
  (void)magic, (void)info;
  TRY("paging off in 64-bit mode", "mov %%cr0, %%rax\n\tbtr $31, %%rax\n\tmov %%rax, %%cr0");
  TRY("pae off in long mode", "mov %%cr4, %%rax\n\tbtr $5, %%rax\n\tmov %%rax, %%cr4");
  TRY("lme changed while paging", "mov $0xc0000080, %%ecx\n\trdmsr\n\tbtr $8, %%eax\n\twrmsr");
  TRY("high bits of cr0", "mov %%cr0, %%rax\n\tbts $32, %%rax\n\tmov %%rax, %%cr0");
  TRY("high bits of cr4", "mov %%cr4, %%rax\n\tbts $32, %%rax\n\tmov %%rax, %%cr4");
  TRY("and all is as before", "ud2");
}
