/* Exceptions in 32-bit protected mode: vector, error code, CR2, fault or trap (SDM vol. 3, chapter 6). */
#include "runtime.h"

static u32 page_directory[1024] __attribute__((aligned(4096)));
static u32 page_table[1024] __attribute__((aligned(4096)));

/* 4 MiB in 4 KiB pages, everything else in 4 MiB pages, all of it supervisor's and writable. */
static void paging_on(void) {
  for (u32 page = 0; page < 1024; page++) page_table[page] = page << 12 | P | W;
  for (u32 entry = 1; entry < 1024; entry++) page_directory[entry] = entry << 22 | P | W | PS;
  page_directory[0] = (word)page_table | P | W;
  WRITE_CR(4, CR4_PSE);
  WRITE_CR(3, page_directory);
  WRITE_CR(0, READ_CR(0) | CR0_PG);
}

VISIBLE static u32 small[2] = {10, 20};
VISIBLE static u32 wide_open;

static void single_steps(void) {
  u32 steps = 0;
  /* TF is set by POPF: the instruction behind it is the first that traps. */
  for (int again = 0; again < 2; again++) {
    RUN("pushf\n\torl $0x100, (%%esp)\n\tpopf\n\tnop\n\tnop");
    steps += trap.ip - tried_ip;
  }
  print("single step: dr6 %x, steps end at +%u twice\n", (u32)READ_DR(6) & 0xe00f, steps / 2);
  WRITE_DR(6, 0xffff0ff0);
}

void kernel_main(u32 magic, u32 info) {
  (void)magic, (void)info;
  TRY("division by zero", "xor %%ecx, %%ecx\n\tdivl %%ecx");
  TRY("division overflow", "mov $1, %%edx\n\tmov $1, %%ecx\n\tdivl %%ecx");
  TRY("signed division overflow", "mov $0x8000, %%eax\n\tcwtd\n\tmov $-1, %%ecx\n\tidivw %%cx");
  TRY("aam 0", "aam $0");
  single_steps();
  TRY("int3", "int3");
  TRY("int $3", ".byte 0xcd, 3");
  TRY("into without overflow", "xor %%eax, %%eax\n\tinto");
  TRY("into with overflow", "mov $0x7fffffff, %%eax\n\tinc %%eax\n\tinto");
  TRY("bound inside", "mov $20, %%eax\n\tboundl %%eax, small");
  TRY("bound above", "mov $21, %%eax\n\tboundl %%eax, small");
  TRY("bound below", "mov $9, %%eax\n\tboundl %%eax, small");
  TRY("ud2", "ud2");
  TRY("ud1", "ud1 %%eax, %%ecx");
  TRY("lock on a register", ".byte 0xf0, 0x01, 0xc0");
  TRY("mov to cs", ".byte 0x8e, 0xc8");
  TRY("lea of a register", ".byte 0x8d, 0xc0");
  TRY("mov from cr1", ".byte 0x0f, 0x20, 0xc8");
  TRY("mov from dr4 with cr4.de = 0", "mov %%db6, %%ebx\n\t.byte 0x0f, 0x21, 0xe0\n\tcmp %%eax, %%ebx\n\tje 1f\n\tud2");
  WRITE_CR(4, CR4_DE);
  TRY("mov from dr4 with cr4.de = 1", ".byte 0x0f, 0x21, 0xe0");
  WRITE_CR(4, 0);
  TRY("sse with cr4.osfxsr = 0", "xorps %%xmm0, %%xmm0");
  TRY("fifteen bytes", ".byte 0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x90");
  TRY("sixteen bytes", ".byte 0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x90");

  word cr0 = READ_CR(0);
  WRITE_CR(0, (cr0 | CR0_TS) & ~CR0_EM);
  TRY("fld1 with cr0.ts", "fld1");
  TRY("wait with cr0.ts, mp = 0", "fwait");
  WRITE_CR(0, (cr0 | CR0_TS | CR0_MP) & ~CR0_EM);
  TRY("wait with cr0.ts, mp = 1", "fwait");
  WRITE_CR(0, (cr0 | CR0_EM) & ~CR0_TS);
  TRY("fld1 with cr0.em", "fld1");
  TRY("wait with cr0.em", "fwait");
  WRITE_CR(0, (cr0 | CR0_NE) & ~(CR0_TS | CR0_EM));
  TRY("x87 exception waits for the next instruction",
      "fninit\n\tpushl $0x37b\n\tfldcw (%%esp)\n\tfldz\n\tfld1\n\tfdivp\n\tnop\n\tfwait");
  TRY("fninit clears it", "fninit\n\tfwait");
  WRITE_CR(4, CR4_OSFXSR);
  TRY("movaps off its boundary", "movaps small+4, %%xmm0");
  WRITE_CR(0, cr0);
  WRITE_CR(4, 0);

  TRY("selector behind the end of the GDT", "mov $0x7f8, %%eax\n\tmov %%ax, %%ds");
  TRY("selector in an LDT that is not there", "mov $0x14, %%eax\n\tmov %%ax, %%ds");
  TRY("rpl 3 for data of dpl 0", "mov $0x13, %%eax\n\tmov %%ax, %%ds");
  TRY("rpl 3 for a stack", "mov $0x13, %%eax\n\tmov %%ax, %%ss");
  TRY("null stack", "xor %%eax, %%eax\n\tmov %%ax, %%ss");
  TRY("code as stack", "mov $0x08, %%eax\n\tmov %%ax, %%ss");
  TRY("null data segment loaded", "xor %%eax, %%eax\n\tmov %%ax, %%fs");
  TRY("a task segment as data", "mov $0x38, %%eax\n\tmov %%ax, %%es");
  gdt[FREE_ENTRY] = descriptor(0, 0xfffff, (A_DATA & ~0x80) | A_BIG | A_PAGES);
  TRY("data not present", "mov %0, %%eax\n\tmov %%ax, %%es", "i"(SELECTOR(FREE_ENTRY)));
  TRY("stack not present", "mov %0, %%eax\n\tmov %%ax, %%ss", "i"(SELECTOR(FREE_ENTRY)));
  gdt[FREE_ENTRY] = descriptor(0, 0xfffff, (A_CODE & ~0x80) | A_BIG | A_PAGES);
  TRY("far jump to code not present", "ljmp %0, $0", "i"(SELECTOR(FREE_ENTRY)));
  TRY("far jump to data", "ljmp $0x10, $0");
  TRY("far jump to null", "ljmp $0, $0");
  TRY("far call to null", "lcall $3, $0");
  gdt[FREE_ENTRY] = descriptor(0, 0xfff, A_CODE | A_BIG);
  TRY("far jump beyond the limit", "ljmp %0, $0x1000", "i"(SELECTOR(FREE_ENTRY)));
  gdt[FREE_ENTRY] = descriptor(0, 0xfffff, A_EXECUTE_ONLY | A_BIG | A_PAGES);
  TRY("execute-only code as data", "mov %0, %%eax\n\tmov %%ax, %%fs", "i"(SELECTOR(FREE_ENTRY)));
  TRY("lldt of data", "mov $0x10, %%eax\n\tlldt %%ax");
  TRY("ltr of a busy task", "mov $0x38, %%eax\n\tltr %%ax");
  TRY("unknown msr", "mov $0x12345678, %%ecx\n\trdmsr");
  TRY("iret to data", "pushf\n\tpush $0x10\n\tpush $0\n\tiret");
  TRY("iret to code of dpl 3 with rpl 0", "pushf\n\tpush $0x28\n\tpush $0\n\tiret");
  TRY("int without a gate", "int $0x20");

  idt[0x40] = 0;
  TRY("int to an empty gate", "int $0x40");
  idt[0x40] = gate(CODE, (word)kernel_main, A_INTERRUPT_GATE & ~0x80, 0);
  TRY("int to a gate that is not present", "int $0x40");
  idt[0x40] = gate(DATA, (word)kernel_main, A_INTERRUPT_GATE, 0);
  TRY("int to a gate for data", "int $0x40");
  idt[0x40] = gate(0, (word)kernel_main, A_INTERRUPT_GATE, 0);
  TRY("int to a gate for null", "int $0x40");
  const u64 undefined = idt[6], divide = idt[0];
  idt[6] = 0;
  TRY("exception without a gate: external bit", "ud2");
  idt[6] = undefined;
  idt[0] = 0;
  TRY("contributory exception without a gate: double fault", "xor %%ecx, %%ecx\n\tdivl %%ecx");
  const u64 protection = idt[13];
  idt[13] = 0;
  TRY("int without gates: double fault", "int $0x40");
  idt[0] = divide;
  idt[13] = protection;

  TRY_USER("user: int without rights", "int $0x21");
  TRY_USER("user: int3", "int3");
  TRY_USER("user: cli", "cli");
  TRY_USER("user: hlt", "hlt");
  TRY_USER("user: in", "inb $0x80, %%al");
  TRY_USER("user: mov from cr0", "mov %%cr0, %%eax");
  TRY_USER("user: lgdt", "lgdt wide_open");
  TRY_USER("user: rdmsr", "rdmsr");
  TRY_USER("user: invlpg", "invlpg wide_open");
  TRY_USER("user: clts", "clts");
  TRY_USER("user: kernel data segment", "mov $0x10, %%eax\n\tmov %%ax, %%ds");
  TRY_USER("user: kernel code segment", "ljmp $8, $0");
  TRY_USER("user: sgdt is allowed", "sgdt trap_stack_top");
  TRY_USER("user: rdtsc is allowed", "rdtsc");
  WRITE_CR(4, CR4_TSD);
  TRY_USER("user: rdtsc with cr4.tsd", "rdtsc");
  TRY("kernel: rdtsc with cr4.tsd", "rdtsc");
  WRITE_CR(4, 0);
  TRY_USER("user: popf leaves if and iopl", "push $0x3002\n\tpopf\n\tpushf\n\tpop %%eax\n\tand $0x3200, %%eax\n\tcmp $0x200, %%eax\n\tje 3f\n\tud2\n3:");

  paging_on();
  page_table[0x300] = 0;
  page_table[0x301] = 0x301000 | P;
  TRY("page not present, read", "mov 0x300123, %%eax");
  TRY("page not present, write", "mov %%eax, 0x300123");
  TRY("page not present, read-modify-write", "addl $1, 0x300123");
  TRY("page not present, execution", "mov $0x300456, %%eax\n\tjmp *%%eax");
  TRY("read-only page, write without cr0.wp", "movl $1, 0x301000");
  WRITE_CR(0, READ_CR(0) | CR0_WP);
  TRY("read-only page, write with cr0.wp", "movl $1, 0x301000");
  TRY("read-only page, read", "movl 0x301000, %%eax");
  TRY("read over the end into a missing page", "movl 0x2ffffe, %%eax");
  TRY("write over the end into a missing page", "movl $-1, 0x2ffffd");
  print("nothing of it was written: %x\n", *(u32 *)0x2ffffc);
  TRY("push to a missing page", "mov $0x301000, %%esp\n\tpush %%eax");
}
