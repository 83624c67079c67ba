/* 64-bit mode: exceptions, IST, canonical addresses, SYSCALL, compatibility mode, the way out of long mode and back. */
#include "runtime.h"

extern u64 page_map[512], page_pointers[512];
static u64 high_pointers[512] __attribute__((aligned(4096)));
static u8 ist_stack[8192] __attribute__((aligned(16)));
static u64 at_entry_sp, at_entry_ss;

#define MSR_STAR 0xc0000081u
#define MSR_LSTAR 0xc0000082u
#define MSR_CSTAR 0xc0000083u
#define MSR_SFMASK 0xc0000084u
#define MSR_FS_BASE 0xc0000100u
#define MSR_GS_BASE 0xc0000101u
#define MSR_KERNEL_GS_BASE 0xc0000102u

static void exceptions(void) {
  TRY("division by zero", "xor %%ecx, %%ecx\n\tdiv %%rcx");
  TRY("quotient too large", "mov $1, %%edx\n\txor %%eax, %%eax\n\tmov $1, %%ecx\n\tdiv %%rcx");
  TRY("int3", "int3");
  TRY("into is gone", ".byte 0xce");
  TRY("pusha is gone", ".byte 0x60");
  TRY("push es is gone", ".byte 0x06");
  TRY("far jump with an immediate is gone", ".byte 0xea, 0, 0, 0, 0, 8, 0");
  TRY("aam is gone", ".byte 0xd4, 10");
  TRY("lds is gone", ".byte 0xc5, 0x00, 0x00");
  TRY("non-canonical read", "movabs $0x800000000000, %%rax\n\tmov (%%rax), %%rcx");
  TRY("non-canonical by rbp", "movabs $0x800000000000, %%rax\n\tmov %%rbp, %%rdx\n\tmov %%rax, %%rbp\n\tmov (%%rbp), %%rcx");
  TRY("8 bytes over the end of the lower half", "movabs $0x7ffffffffffc, %%rax\n\tmov (%%rax), %%rcx");
  TRY("jump to a non-canonical address", "movabs $0x800000000000, %%rax\n\tjmp *%%rax");
  TRY("last canonical address is only not mapped", "movabs $0x7ffffffffff8, %%rax\n\tmov (%%rax), %%rcx");
  TRY("first one of the upper half", "movabs $0xffff800000000000, %%rax\n\tmov %%rcx, (%%rax)");
  TRY("null stack at cpl 0", "xor %%eax, %%eax\n\tmov %%eax, %%ss\n\tpush %%rax");
  TRY("null data segment is usable", "xor %%eax, %%eax\n\tmov %%eax, %%ds\n\tmov trap, %%eax");
  TRY("wrmsr of a non-canonical base", "mov $0xc0000100, %%ecx\n\tmov $0x8000, %%edx\n\txor %%eax, %%eax\n\twrmsr");
  TRY("sysenter does not exist here (AMD)", "sysenter");
  TRY("nt and iret", "push $0x4002\n\tpopf\n\tiretq");
  TRY("iret to a non-canonical address",
      "mov %%rsp, %%rax\n\tpush $0x10\n\tpush %%rax\n\tpushf\n\tpush $8\n\tmovabs $0x800000000000, %%rax\n\tpush %%rax\n\tiretq");
  TRY("iret to 64-bit code with d = 1", "push $0x10\n\tpush %%rsp\n\tpushf\n\tpush %0\n\tpush $0\n\tiretq", "i"(SELECTOR(FREE_ENTRY)));
}

static void at_entry(struct frame *frame) {
  at_entry_sp = (u64)(&frame->ss + 1);
  at_entry_ss = ({
    u64 now = 0;
    asm volatile("mov %%ss, %w0" : "+r"(now));
    now;
  });
  catch(frame);
}

static void stacks(void) {
  handlers[6] = at_entry;
  RUN("ud2");
  print("exception at cpl 0: frame ends on a 16-byte boundary %d, above or at rsp %d, ss %x\n", (at_entry_sp & 15) == 0,
        at_entry_sp <= recover_sp, (u32)at_entry_ss);
  RUN("sub $3, %%rsp\n\tud2");
  print("and with a crooked stack: %d, at most 16 below %d\n", (at_entry_sp & 15) == 0, recover_sp - 3 - at_entry_sp < 16);
  RUN_USER("ud2");
  print("from user: at the top of rsp0 %d, ss %x, pushed cs %x ss %x\n", at_entry_sp == (u64)trap_stack_top, (u32)at_entry_ss,
        (u32)trap.cs, (u32)trap.ss);
  task.tss.ist[0] = (u64)ist_stack + sizeof ist_stack;
  idt[6].low |= 1ull << 32;
  RUN("ud2");
  print("ist 1 at cpl 0: its top %d, ss %x\n", at_entry_sp == (u64)ist_stack + sizeof ist_stack, (u32)at_entry_ss);
  RUN_USER("ud2");
  print("ist 1 from user: its top %d\n", at_entry_sp == (u64)ist_stack + sizeof ist_stack);
  task.tss.ist[0] = 0x900000000000;
  TRY("ist that is not canonical", "ud2");
  idt[6].low &= ~(7ull << 32);
  handlers[6] = 0;
  task.tss.ist[1] = (u64)ist_stack + sizeof ist_stack;
  idt[8].low |= 2ull << 32;
  TRY("no stack left: double fault on its own", "xor %%esp, %%esp\n\tmovabs $0x7fff00000000, %%rsp\n\tpush %%rax");
  idt[8].low &= ~(7ull << 32);
}

VISIBLE static u64 seen[8];
void at_syscall(void), at_compat_syscall(void);
asm("at_syscall:\n\tmov %rcx, seen\n\tmov %r11, seen+8\n\tmov %rsp, seen+16\n\tpushf\n\tpop seen+24\n\tmov %cs, seen+32\n\tmov %ss, seen+40\n\t"
    "mov $1, %eax\n\tmov %rax, seen+48\n\tsysretq\n"
    "at_compat_syscall:\n\tmov %rcx, seen\n\tmov %r11, seen+8\n\tmovq $2, seen+48\n\tsysretl\n");

static void fast_calls(void) {
  fill(seen, 0, sizeof seen);
  TRY_USER("syscall without efer.sce", "syscall");
  write_msr(MSR_EFER, read_msr(MSR_EFER) | EFER_SCE);
  /* SYSCALL: CS 8, SS 10h. SYSRET: 64-bit CS is the base + 10h, 32-bit CS the base, SS the base + 8. */
  const u32 base = SELECTOR(FREE_ENTRY + 1);
  gdt[FREE_ENTRY + 1] = gdt[OTHER_USER_CODE / 8];
  gdt[FREE_ENTRY + 2] = gdt[USER_DATA / 8];
  gdt[FREE_ENTRY + 3] = gdt[USER_CODE / 8];
  write_msr(MSR_STAR, (u64)(base | 3) << 48 | (u64)CODE << 32);
  write_msr(MSR_LSTAR, (u64)at_syscall);
  write_msr(MSR_CSTAR, (u64)at_compat_syscall);
  write_msr(MSR_SFMASK, FLAG_IF | FLAG_TF | 0x400);
  TRY_USER("syscall and back", "std\n\tmov %%rsp, %%rbx\n\tsyscall\n3:\tcmp %%rbx, %%rsp\n\tje 3f\n\tint3\n3:\tpushf\n\tpop %%rax\n\tmov %%rax, %%rbx");
  print("  rcx behind it %d, r11 %x, rsp untouched %d, flags inside %x, cs %x ss %x; back: cs %x ss %x\n",
        seen[0] - tried_ip == 6, (u32)seen[1] & 0x700, seen[2] == (u64)user_stack_top, (u32)seen[3] & 0x700, (u32)seen[4] & 0xffff,
        (u32)seen[5] & 0xffff, (u32)trap.cs, (u32)trap.ss);
  TRY("sysret to a non-canonical address", "movabs $0x800000000000, %%rcx\n\tmov $2, %%r11d\n\tsysretq");
  TRY_USER("sysret at cpl 3", "sysretq");

  write_msr(MSR_GS_BASE, 0x1111);
  write_msr(MSR_KERNEL_GS_BASE, 0x2222);
  RUN("swapgs");
  print("swapgs: %lx %lx\n", (word)read_msr(MSR_GS_BASE), (word)read_msr(MSR_KERNEL_GS_BASE));
  TRY_USER("swapgs at cpl 3", "swapgs");
  write_msr(MSR_FS_BASE, (u64)&trap);
  TRY("fs base", "mov $0x1234, %%eax\n\tmov %%fs:0, %%rax");
  TRY("a load of fs clears the base", "mov $0x10, %%eax\n\tmov %%eax, %%fs");
  print("  %lx\n", (word)read_msr(MSR_FS_BASE));
}

/* 32-bit code at CPL 3 and at CPL 0, in the low 4 GiB as all of this. */
VISIBLE static u32 wide_result, compat_result;
void compat_user(void), compat_kernel(void);
asm(".code32\n"
    "compat_user:\n\tmov $0xffffffff, %eax\n\tinc %eax\n\t.byte 0x40\n\tmov %eax, compat_result\n\tint $0x80\n"
    "compat_syscall:\n\tsyscall\n\tint $0x80\n"
    "compat_far:\n\tljmp $0x2b, $in_64\n"
    ".code64\n"
    "in_64:\n\tmov $1, %eax\n\tshl $40, %rax\n\tshr $40, %rax\n\tmov %eax, wide_result\n\tint $0x80\n");

#define TRY_COMPAT(name, entry) \
  do { \
    trap.vector = NO_TRAP; \
    asm volatile(SAVE_PLACE "mov $0x33, %%eax\n\tmov %%eax, %%ds\n\tmov %%eax, %%es\n\tpushq $0x33\n\tpushq $user_stack_top\n\tpushq $0x202\n\tpushq $0x53\n\tpushq $" entry "\n\tiretq\n2:\n1:\t" RESTORE_STACK \
                 : : : ALL_REGISTERS); \
    recover_ip = 0; \
    print("%s: ", name); \
    describe_trap(); \
    print(" from cs %x\n", (u32)trap.cs); \
  } while (0)

static void compatibility(void) {
  TRY_COMPAT("32-bit code at cpl 3", "compat_user");
  print("  40h is inc there: %x\n", compat_result);
  seen[6] = 0;
  TRY_COMPAT("syscall of 32-bit code (AMD)", "compat_syscall");
  print("  arrived by cstar %d, rcx behind it %d\n", (u32)seen[6] == 2, seen[0] != 0);
  TRY_COMPAT("far jump to 64-bit code", "compat_far");
  print("  64-bit shifts work: %x\n", wide_result);
}

/* Out of long mode, through compatibility mode at CPL 0, and back; a piece of 32-bit protected mode between. */
VISIBLE static u32 legacy_cr0, legacy_efer, legacy_sum;
void round_trip(void);
asm("round_trip:\n\t"
    "push %rbx\n\tpush %rbp\n\tmov %rsp, %rbp\n\tmov %cr3, %rbx\n\tpushq $0x48\n\tpushq $compat_kernel\n\tlretq\n"
    ".code32\n"
    "compat_kernel:\n\t"
    "mov $0x10, %eax\n\tmov %eax, %ds\n\tmov %eax, %ss\n\tmov %cr0, %eax\n\tand $0x7fffffff, %eax\n\tmov %eax, %cr0\n\tjmp 1f\n"
    "1:\tmov $0xc0000080, %ecx\n\trdmsr\n\tmov %eax, legacy_efer\n\tmov %cr0, %eax\n\tmov %eax, legacy_cr0\n\t"
    "mov $1000, %ecx\n\txor %eax, %eax\n2:\tadd %ecx, %eax\n\tdec %ecx\n\tjnz 2b\n\tpush %eax\n\tpopl legacy_sum\n\t"
    "mov %ebx, %cr3\n\tmov %cr0, %eax\n\tor $0x80000000, %eax\n\tmov %eax, %cr0\n\tljmp $0x08, $1f\n"
    ".code64\n"
    "1:\tmov %ebp, %esp\n\tpop %rbp\n\tpop %rbx\n\tret\n");

static void pages(void) {
  u32 features[4];
  cpuid(0x80000001, 0, features);
  print("1 GiB pages: %d\n", features[3] >> 26 & 1);
  page_map[256] = (word)high_pointers | P | W | U;
  high_pointers[0] = P | W | U | PS;
  TRY("1 GiB page in the upper half", "movabs $0xffff800000100000, %%rax\n\tmov (%%rax), %%ecx\n\tcmp 0x100000, %%ecx\n\tje 3f\n\tint3\n3:\tmov %%ecx, (%%rax)");
  print("  %x\n", (u32)high_pointers[0] & 0xfff);
  high_pointers[0] = P | W | U | PS | 1u << 13;
  WRITE_CR(3, READ_CR(3));
  TRY("reserved bit 13 of a 1 GiB page", "movabs $0xffff800000100000, %%rax\n\tmov (%%rax), %%ecx");
  high_pointers[0] = 0;
  high_pointers[1] = P | W | U;
  TRY("missing page-directory pointer", "movabs $0xffff800000100000, %%rax\n\tmov (%%rax), %%ecx");
  write_msr(MSR_EFER, read_msr(MSR_EFER) | EFER_NXE);
  page_map[256] |= 1ull << 63;
  high_pointers[0] = P | W | U | PS;
  WRITE_CR(3, READ_CR(3));
  TRY("nx in the PML4", "movabs $0xffff800000100000, %%rax\n\tjmp *%%rax");
  TRY("and data there", "movabs $0xffff800000100000, %%rax\n\tmov (%%rax), %%ecx");
  page_map[256] = (word)high_pointers | P | W | PS;
  WRITE_CR(3, READ_CR(3));
  TRY("ps in the PML4 is reserved", "movabs $0xffff800000100000, %%rax\n\tmov (%%rax), %%ecx");
  page_map[256] = 0;
  WRITE_CR(3, READ_CR(3));
}

void kernel_main(u32 magic, u32 info) {
  (void)magic, (void)info;
  gdt[FREE_ENTRY] = descriptor(0, 0xfffff, A_CODE | A_LONG | A_BIG | A_PAGES);
  exceptions();
  stacks();
  fast_calls();
  compatibility();
  round_trip();
  print("out of long mode: pg %d, lma %d, lme %d, sum %u; and back: lma %d\n", legacy_cr0 >> 31, legacy_efer >> 10 & 1, legacy_efer >> 8 & 1,
        legacy_sum, (u32)read_msr(MSR_EFER) >> 10 & 1);
  TRY("exceptions work again", "ud2");
  pages();
}
