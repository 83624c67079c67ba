/* Hardware task switches (SDM vol. 3, chapter 8): by jump, call, gate, exception and IRET; busy bits, links, and what fails. */
#include "runtime.h"

#define OTHER (FREE_ENTRY + 0) /* 58h */
#define GATE (FREE_ENTRY + 1)  /* 60h */
#define THIRD (FREE_ENTRY + 2) /* 68h */
#define LDT (FREE_ENTRY + 3)   /* 70h */
#define SMALL (FREE_ENTRY + 4) /* 78h: a 286 TSS */
#define CODE_THERE (FREE_ENTRY + 5)

static struct tss other, third;
static struct {
  u16 link, sp0, ss0, sp1, ss1, sp2, ss2, ip, flags, ax, cx, dx, bx, sp, bp, si, di, es, cs, ss, ds, ldt;
} small;
static u64 local[4];
static u8 other_stack[4096] __attribute__((aligned(16)));
static u8 third_stack[4096] __attribute__((aligned(16)));

VISIBLE static u32 arrived, task_register, cr0_there, flags_there, error_there, link_there, ebx_there, sp_there;

void by_jump(void), by_call(void), by_fault(void), by_small(void), by_third(void), by_address(void);
#define NOTE \
  "movl $1, arrived\n\tstr %ax\n\tmovzwl %ax, %eax\n\tmov %eax, task_register\n\t" \
  "mov %cr0, %eax\n\tmov %eax, cr0_there\n\tpushf\n\tpopl flags_there\n\tmov %ebx, ebx_there\n\tmov %esp, sp_there\n\t"
asm("by_jump:\n\t" NOTE "ljmp $0x38, $0\n\tjmp by_jump\n"
    "by_call:\n\t" NOTE "iret\n\tjmp by_call\n"
    /* With an error code on its stack. The instruction that faulted, two bytes long, is passed over. */
    "by_fault:\n\t" NOTE "pop error_there\n\taddl $2, task+32\n\tiret\n\tjmp by_fault\n"
    /* Called from the task that could not start; the first one waits where it jumped away. */
    "by_third:\n\t" NOTE "pop error_there\n\tljmp $0x38, $0\n"
    "by_address:\n\tmov 0x800000, %eax\n\tmov %eax, error_there\n\tljmp $0x38, $0\n"
    "by_small:\n\t" NOTE "iretw\n");

static u32 type_of(u32 entry) {
  return (u32)(gdt[entry] >> 40) & 0xf;
}

static void prepare(struct tss *tss, void (*entry)(void), u8 *stack) {
  fill(tss, 0, sizeof *tss);
  tss->eip = (word)entry;
  tss->esp = (word)stack + 4096;
  tss->cs = CODE;
  tss->ds = tss->es = tss->ss = DATA;
  tss->eflags = 2;
  tss->ebx = 0x1234abcd;
  tss->cr3 = 0;
  tss->io_base = sizeof *tss;
  gdt[tss == &other ? OTHER : THIRD] = descriptor((word)tss, sizeof *tss - 1, A_TSS);
  arrived = task_register = cr0_there = flags_there = error_there = ebx_there = sp_there = 0;
  reload_task();
  WRITE_CR(0, READ_CR(0) & ~CR0_TS);
}

static void show(const char *name) {
  print("%s: ", name);
  describe_trap();
  if (arrived)
    print("; in task %x: ts %d nt %d ebx %x stack %d", task_register, (cr0_there & CR0_TS) != 0,
          (flags_there & FLAG_NT) != 0, ebx_there, (int)((word)other_stack + 4096 - sp_there));
  print("; types now %x %x, link %x, back in %x\n", type_of(TASK / 8), type_of(OTHER), other.link, ({
          u32 now;
          asm volatile("str %0" : "=r"(now));
          now & 0xffff;
        }));
}

#define OTHER_S "0x58"
#define GATE_S "0x60"

static void switches(void) {
  prepare(&other, by_jump, other_stack);
  RUN("mov $0x7777, %%esi\n\tljmp $" OTHER_S ", $0\n\tcmp $0x7777, %%esi\n\tje 3f\n\tud2\n3:");
  show("jump there and back");
  print("  saved for us: eip +%d, cs %x, nt %d\n", (int)(task.tss.eip - tried_ip), task.tss.cs,
        (task.tss.eflags & FLAG_NT) != 0);
  prepare(&other, by_call, other_stack);
  RUN("lcall $" OTHER_S ", $0");
  show("call and iret");
  print("  after the iret: saved eip there %d behind its start, nt in its saved flags %d\n", other.eip - (word)by_call > 20,
        (other.eflags & FLAG_NT) != 0);
  gdt[GATE] = gate(OTHER * 8, 0, A_TASK_GATE, 0);
  prepare(&other, by_call, other_stack);
  RUN("lcall $" GATE_S ", $0");
  show("call of a task gate");
  prepare(&other, by_jump, other_stack);
  RUN("ljmp $" GATE_S ", $0");
  show("jump to a task gate");
  idt[0x50] = gate(OTHER * 8, 0, A_TASK_GATE | A_DPL3, 0);
  prepare(&other, by_call, other_stack);
  RUN("int $0x50");
  show("int to a task gate");
  prepare(&other, by_call, other_stack);
  RUN_USER("int $0x50");
  show("int to a task gate, from user");
  const u64 protection = idt[13];
  idt[13] = gate(OTHER * 8, 0, A_TASK_GATE, 0);
  prepare(&other, by_fault, other_stack);
  RUN("mov $0x7f8, %%eax\n\tmov %%ax, %%fs");
  show("exception to a task gate");
  print("  error code %x, eip +%d\n", error_there, (int)(task.tss.eip - tried_ip));
  idt[13] = protection;
  prepare(&other, by_jump, other_stack);
  RUN("ljmp $" OTHER_S ", $0\n\tfld1");
  show("x87 instruction after two switches");
  prepare(&other, by_jump, other_stack);
  gdt[LDT] = descriptor((word)local, sizeof local - 1, A_LDT);
  local[1] = descriptor((word)&other_stack, 0xfff, A_DATA | A_BIG);
  other.ldt = LDT * 8;
  other.fs = 0x0c;
  RUN("ljmp $" OTHER_S ", $0");
  show("a task with an LDT and a segment of it");
  print("  fs saved again as %x\n", other.fs & 0xffff);
  fill(&small, 0, sizeof small);
  prepare(&other, by_call, other_stack);
  gdt[SMALL] = descriptor((word)&small, sizeof small - 1, A_TSS16);
  gdt[CODE_THERE] = descriptor((word)by_small, 0xffff, A_CODE | A_BIG);
  small.cs = CODE_THERE * 8;
  small.ds = small.es = small.ss = DATA16;
  gdt[DATA16 / 8] = descriptor(0, 0xfffff, A_DATA | A_BIG | A_PAGES);
  small.sp = 0x4000;
  small.flags = 2;
  small.bx = 0x4321;
  RUN("mov $0x11112222, %%edi\n\tlcall $0x78, $0\n\tcmp $0x11112222, %%edi\n\tje 3f\n\tud2\n3:");
  print("286 task: ");
  describe_trap();
  print("; in task %x, nt %d, bx %x, link %x\n", task_register, (flags_there & FLAG_NT) != 0, ebx_there & 0xffff, small.link);
}

/* Before anything has changed: faults of the old task. */
static void refused(void) {
  prepare(&other, by_jump, other_stack);
  gdt[OTHER] |= 2ull << 40;
  TRY("jump to a busy task", "ljmp $" OTHER_S ", $0");
  TRY("call of a busy task", "lcall $" OTHER_S ", $0");
  TRY("jump to the running task", "ljmp $0x38, $0");
  prepare(&other, by_jump, other_stack);
  gdt[OTHER] &= ~(0x80ull << 40);
  TRY("jump to a task not present", "ljmp $" OTHER_S ", $0");
  gdt[OTHER] = descriptor((word)&other, 0x66, A_TSS);
  TRY("jump to a task whose TSS is too small", "ljmp $" OTHER_S ", $0");
  prepare(&other, by_jump, other_stack);
  TRY_USER("jump to a task of dpl 0 from user", "ljmp $" OTHER_S ", $0");
  gdt[OTHER] |= 0x60ull << 40;
  TRY("rpl 3 for a task of dpl 3, at cpl 0", "ljmp $0x5b, $0");
  gdt[GATE] = gate(0, 0, A_TASK_GATE, 0);
  TRY("task gate for null", "lcall $" GATE_S ", $0");
  gdt[GATE] = gate(DATA, 0, A_TASK_GATE, 0);
  TRY("task gate for data", "lcall $" GATE_S ", $0");
  gdt[GATE] = gate(OTHER * 8, 0, A_TASK_GATE & ~0x80, 0);
  TRY("task gate not present", "lcall $" GATE_S ", $0");
  task.tss.link = OTHER * 8;
  prepare(&other, by_jump, other_stack);
  TRY("return to a task that is not busy", "push $0x4002\n\tpopf\n\tiret");
  task.tss.link = 0x14;
  TRY("return to a task of the LDT", "push $0x4002\n\tpopf\n\tiret");
}

/* After the switch: faults of the new task, which a third one looks at. */
static void broken(const char *name) {
  error_there = 0xffff;
  arrived = 0;
  third.esp = (word)third_stack + 4096;
  third.eip = (word)by_third;
  gdt[THIRD] = descriptor((word)&third, sizeof third - 1, A_TSS);
  RUN("ljmp $" OTHER_S ", $0");
  print("%s: ", name);
  if (arrived)
    print("error code %x, called from %x, which stays busy %d\n", error_there, third.link & 0xffff, type_of(OTHER) == 11);
  else
    print("nothing\n");
}

static void failures(void) {
  prepare(&third, by_third, third_stack);
  u64 saved[256];
  copy(saved, idt, sizeof saved);
  for (int vector = 10; vector < 14; vector++) idt[vector] = gate(THIRD * 8, 0, A_TASK_GATE, 0);
  prepare(&other, by_jump, other_stack);
  other.ss = 0;
  broken("task with a null stack");
  prepare(&other, by_jump, other_stack);
  other.ss = USER_DATA;
  broken("task with a stack of another level");
  gdt[CODE_THERE] = descriptor(0, 0xfffff, (A_DATA | A_BIG | A_PAGES) & ~0x80);
  prepare(&other, by_jump, other_stack);
  other.ss = CODE_THERE * 8;
  broken("task with a stack not present");
  prepare(&other, by_jump, other_stack);
  other.ds = CODE_THERE * 8;
  broken("task with data not present");
  prepare(&other, by_jump, other_stack);
  other.cs = DATA;
  broken("task with data as code");
  prepare(&other, by_jump, other_stack);
  other.cs = 0;
  broken("task with null code");
  gdt[CODE_THERE] = descriptor(0, 0xfffff, (A_CODE | A_BIG | A_PAGES) & ~0x80);
  prepare(&other, by_jump, other_stack);
  other.cs = CODE_THERE * 8;
  broken("task with code not present");
  prepare(&other, by_jump, other_stack);
  other.es = TASK;
  broken("task with a TSS as data");
  prepare(&other, by_jump, other_stack);
  other.ldt = DATA;
  broken("task with data as LDT");
  copy(idt, saved, sizeof saved);
  prepare(&other, by_jump, other_stack);
  gdt[CODE_THERE] = descriptor(0, 0xfff, A_CODE | A_BIG);
  other.cs = CODE_THERE * 8;
  TRY("task that starts beyond its limit", "ljmp $" OTHER_S ", $0");
  prepare(&other, by_jump, other_stack);
}

static u32 first_space[1024] __attribute__((aligned(4096)));
static u32 second_space[1024] __attribute__((aligned(4096)));

static void address_spaces(void) {
  for (u32 entry = 0; entry < 1024; entry++) first_space[entry] = second_space[entry] = entry << 22 | P | W | PS;
  second_space[2] = 3u << 22 | P | W | PS;
  *(u32 *)0x800000 = 0x11;
  *(u32 *)0xc00000 = 0x22;
  prepare(&other, by_address, other_stack);
  other.cr3 = (word)second_space;
  WRITE_CR(4, CR4_PSE);
  WRITE_CR(3, first_space);
  task.tss.cr3 = (word)first_space;
  WRITE_CR(0, READ_CR(0) | CR0_PG);
  const u32 before = *(volatile u32 *)0x800000;
  RUN("ljmp $" OTHER_S ", $0");
  const u32 after = *(volatile u32 *)0x800000;
  WRITE_CR(0, READ_CR(0) & ~CR0_PG);
  print("address spaces: before %x, in the other task %x, back %x\n", before, error_there, after);
}

void kernel_main(u32 magic, u32 info) {
  (void)magic, (void)info;
  switches();
  refused();
  failures();
  address_spaces();
  prepare(&other, by_jump, other_stack);
  other.trap = 1;
  TRY("task with the trap bit", "ljmp $" OTHER_S ", $0");
  print("  dr6 %x, in task %x, at its first instruction %d\n", (u32)READ_DR(6) & 0xe00f, ({
          u32 now;
          asm volatile("str %0" : "=r"(now));
          now & 0xffff;
        }), trap.ip == (word)by_jump);
}
