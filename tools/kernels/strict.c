/* What QEMU does not check, or not as an AMD CPU does: limits, types, control registers, SSE exceptions. No oracle but the manuals. */
#include "runtime.h"

VISIBLE static u32 wide_open;

static void segments(void) {
  TRY("null data segment used", "xor %%eax, %%eax\n\tmov %%ax, %%fs\n\tmov %%fs:0, %%eax");
  gdt[FREE_ENTRY] = descriptor(0, 0xfff, A_DATA | A_BIG);
  TRY("last bytes below the limit", "mov %0, %%eax\n\tmov %%ax, %%fs\n\tmov %%fs:0xffc, %%eax", "i"(SELECTOR(FREE_ENTRY)));
  TRY("data beyond the limit", "mov %0, %%eax\n\tmov %%ax, %%fs\n\tmov %%fs:0xffd, %%eax", "i"(SELECTOR(FREE_ENTRY)));
  TRY("data beyond the limit, 8 bytes", "mov %0, %%eax\n\tmov %%ax, %%fs\n\tcmpxchg8b %%fs:0xff9", "i"(SELECTOR(FREE_ENTRY)));
  TRY("data at the very end of 4 GiB", "mov %0, %%eax\n\tmov %%ax, %%fs\n\tmov %%fs:-2, %%eax", "i"(SELECTOR(FREE_ENTRY)));
  gdt[FREE_ENTRY] = descriptor(0, 0xfff, A_EXPAND_DOWN | A_BIG);
  TRY("expand-down, below", "mov %0, %%eax\n\tmov %%ax, %%fs\n\tmov %%fs:0xfff, %%eax", "i"(SELECTOR(FREE_ENTRY)));
  TRY("expand-down, above", "mov %0, %%eax\n\tmov %%ax, %%fs\n\tmov %%fs:0x1000, %%eax", "i"(SELECTOR(FREE_ENTRY)));
  gdt[FREE_ENTRY] = descriptor(0, 0xfff, A_EXPAND_DOWN);
  TRY("expand-down 16 bit, at 64 KiB", "mov %0, %%eax\n\tmov %%ax, %%fs\n\tmov %%fs:0x10000, %%eax",
      "i"(SELECTOR(FREE_ENTRY)));
  TRY("expand-down 16 bit, below 64 KiB", "mov %0, %%eax\n\tmov %%ax, %%fs\n\tmov %%fs:0xfffc, %%eax",
      "i"(SELECTOR(FREE_ENTRY)));
  TRY("expand-down 16 bit, over 64 KiB", "mov %0, %%eax\n\tmov %%ax, %%fs\n\tmov %%fs:0xfffd, %%eax",
      "i"(SELECTOR(FREE_ENTRY)));
  gdt[FREE_ENTRY] = descriptor(0, 0, A_DATA | A_BIG | A_PAGES);
  TRY("limit in pages: last byte", "mov %0, %%eax\n\tmov %%ax, %%fs\n\tmovb %%fs:0xfff, %%al", "i"(SELECTOR(FREE_ENTRY)));
  TRY("limit in pages: one more", "mov %0, %%eax\n\tmov %%ax, %%fs\n\tmovb %%fs:0x1000, %%al", "i"(SELECTOR(FREE_ENTRY)));
  TRY("string beyond the limit stops where it faults",
      "mov %0, %%eax\n\tmov %%ax, %%es\n\tmov $0xff8, %%edi\n\tmov $0x100000, %%esi\n\tmov $16, %%ecx\n\trep movsb",
      "i"(SELECTOR(FREE_ENTRY)));
  gdt[FREE_ENTRY] = descriptor(0, 0xfff, A_DATA | A_DPL3 | A_BIG);
  TRY_USER("user: stack beyond the limit", "mov %0, %%eax\n\tmov %%ax, %%ss\n\tmov $0xffd, %%esp\n\tpop %%eax",
           "i"(SELECTOR(FREE_ENTRY) | 3));
  TRY("write to code", "movl $0, %%cs:wide_open");
  gdt[FREE_ENTRY] = descriptor(0, 0xfffff, A_READ_ONLY | A_BIG | A_PAGES);
  TRY("write to read-only data", "mov %0, %%eax\n\tmov %%ax, %%fs\n\tmovl $0, %%fs:wide_open",
      "i"(SELECTOR(FREE_ENTRY)));
  TRY("read of read-only data", "mov %0, %%eax\n\tmov %%ax, %%fs\n\tmovl %%fs:wide_open, %%eax", "i"(SELECTOR(FREE_ENTRY)));
  TRY("read-only data as stack", "mov %0, %%eax\n\tmov %%ax, %%ss", "i"(SELECTOR(FREE_ENTRY)));
  gdt[FREE_ENTRY] = descriptor((word)&&beyond, 3, A_CODE | A_BIG);
  TRY("execution up to the limit and not further", "mov %0, %%eax\n\tpush %%eax\n\tpush $0\n\tlret",
      "i"(SELECTOR(FREE_ENTRY)));
  print("  eip %lx\n", trap.ip);
  if (trap.ip == 1) {
  beyond:
    asm volatile("nop\n\tnop\n\tnop\n\tnop\n\tnop");
  }
  TRY("ltr of null", "xor %%eax, %%eax\n\tltr %%ax");
}

static void control_registers(void) {
  TRY("pe = 0 with pg = 1", "mov $0x80000000, %%eax\n\tmov %%eax, %%cr0");
  TRY("nw = 1 with cd = 0", "mov $0x20000011, %%eax\n\tmov %%eax, %%cr0");
  TRY("reserved bit of cr4", "mov $0x80000000, %%eax\n\tmov %%eax, %%cr4");
  TRY("pcide outside of long mode", "mov $0x20000, %%eax\n\tmov %%eax, %%cr4");
  TRY("reserved bits of efer", "mov $0xc0000080, %%ecx\n\tmov $0, %%edx\n\tmov $0x80000000, %%eax\n\twrmsr");
  TRY("high half of dr7 is not there", "mov $0x400, %%eax\n\tmov %%eax, %%dr7");
}

static void floating_point(void) {
  const word cr0 = READ_CR(0);
  WRITE_CR(0, (cr0 | CR0_TS | CR0_MP) & ~CR0_EM);
  TRY("emms with cr0.ts", "emms");
  WRITE_CR(0, (cr0 | CR0_EM) & ~CR0_TS);
  TRY("emms with cr0.em", "emms");
  WRITE_CR(0, (cr0 | CR0_NE | CR0_MP) & ~(CR0_TS | CR0_EM));
  WRITE_CR(4, CR4_OSFXSR | CR4_OSXMMEXCPT);
  TRY("sse exception", "pushl $0x1f00\n\tldmxcsr (%%esp)\n\txorps %%xmm0, %%xmm0\n\tdivps %%xmm0, %%xmm0");
  TRY("reserved bits of mxcsr", "pushl $0xffff0000\n\tldmxcsr (%%esp)");
  WRITE_CR(4, CR4_OSFXSR);
  TRY("sse exception without cr4.osxmmexcpt",
      "pushl $0x1f00\n\tldmxcsr (%%esp)\n\txorps %%xmm0, %%xmm0\n\tdivps %%xmm0, %%xmm0");
  RUN("pushl $0x1f80\n\tldmxcsr (%%esp)");
  WRITE_CR(0, cr0);
  WRITE_CR(4, 0);
}

/* #AC: CR0.AM, EFLAGS.AC and CPL 3, each needed. */
static void alignment(void) {
#define WITH_AC "pushf\n\torl $0x40000, (%%esp)\n\tpopf\n\t"
  TRY_USER("misaligned, am = 0", WITH_AC "movl wide_open+1, %%eax");
  WRITE_CR(0, READ_CR(0) | CR0_AM);
  TRY_USER("misaligned, ac = 0", "movl wide_open+1, %%eax");
  TRY("misaligned, cpl = 0", WITH_AC "movl wide_open+1, %%eax");
  TRY_USER("misaligned dword", WITH_AC "movl wide_open+1, %%eax");
  TRY_USER("misaligned word", WITH_AC "movw wide_open+1, %%ax");
  TRY_USER("misaligned write", WITH_AC "movl %%eax, wide_open+2");
  TRY_USER("dword on a word boundary", WITH_AC "movl wide_open+2, %%eax");
  TRY_USER("word on a word boundary", WITH_AC "movw wide_open+2, %%ax");
  TRY_USER("misaligned push", WITH_AC "dec %%esp\n\tpush %%eax");
  TRY_USER("misaligned code", WITH_AC "jmp 3f\n\t.balign 8\n\tnop\n3:\tnop");
  TRY_USER("segment fault before alignment", WITH_AC "mov $0, %%eax\n\tmov %%ax, %%fs\n\tmovl %%fs:1, %%eax");
  WRITE_CR(0, READ_CR(0) & ~CR0_AM);
}

void kernel_main(u32 magic, u32 info) {
  (void)magic, (void)info;
  TRY("int1", ".byte 0xf1");
  TRY_USER("user: int1 needs no rights", ".byte 0xf1");
  TRY("lock on mov", ".byte 0xf0\n\tmovl %%eax, wide_open");
  TRY("jump to where there is no memory", "mov $0x8000000, %%eax\n\tjmp *%%eax");
  print("  eip %lx\n", trap.ip);
  segments();
  control_registers();
  floating_point();
  alignment();
}
