/* Interrupt, trap and call gates, conforming code, far returns, privilege changes (SDM vol. 3, chapters 5.8 and 6.12). */
#include "runtime.h"

VISIBLE static u32 seen_flags, seen_sp, seen_cs, seen_ss, seen_ds, seen_es, seen_frame[8];
void look(void), look16(void), look_far(void), look_far31(void), look_conforming(void);

/* Each notes flags, stack and segments and goes back the way it came, or to the recovery where there is no way. */
asm("look_here:\n\t"
    "pushf\n\tpopl seen_flags\n\t"
    "mov %cs, %ax\n\tmovzwl %ax, %eax\n\tmov %eax, %ss:seen_cs\n\t"
    "mov %ss, %ax\n\tmovzwl %ax, %eax\n\tmov %eax, %ss:seen_ss\n\t"
    "mov %ds, %ax\n\tmovzwl %ax, %eax\n\tmov %eax, %ss:seen_ds\n\t"
    "mov %es, %ax\n\tmovzwl %ax, %eax\n\tmov %eax, %ss:seen_es\n\t"
    "lea 4(%esp), %eax\n\tmov %eax, %ss:seen_sp\n\t"
    "push %ds\n\tpush %ss\n\tpop %ds\n\t"
    "xor %ecx, %ecx\n"
    "3:\tmov 8(%esp,%ecx,4), %eax\n\tmov %eax, seen_frame(,%ecx,4)\n\t"
    "inc %ecx\n\tcmp $8, %ecx\n\tjb 3b\n\tpop %ds\n\tret\n"
    "look:\tcall look_here\n\tiret\n"
    "look_far:\tcall look_here\n\tlret $8\n"
    "look_far31:\tcall look_here\n\tlret $124\n"
    "look_conforming:\tcall look_here\n\tlret\n"
    /* In a segment of its own, based at look16. */
    "look16:\tljmp $8, $look16_flat\n"
    "look16_flat:\tcall look_here\n\tjmp recover\n");

static void clear(void) {
  seen_flags = seen_sp = seen_cs = seen_ss = seen_ds = seen_es = 0;
  fill(seen_frame, 0, sizeof seen_frame);
}

/* Stack use relative to where the CPU started pushing. */
static void show(const char *name, u32 from) {
  print("%s: ", name);
  describe_trap();
  if (seen_cs)
    print("; cs %x ss %x, %u bytes on the stack, if %d tf %d nt %d", seen_cs, seen_ss, from - seen_sp,
          (seen_flags & FLAG_IF) != 0, (seen_flags & FLAG_TF) != 0, (seen_flags & FLAG_NT) != 0);
  print("\n");
}

#define NEW (FREE_ENTRY + 0)
#define GATE (FREE_ENTRY + 1)
#define CONFORMING (FREE_ENTRY + 2)
#define NEW_S "88"
#define GATE_S "96"
#define GATE3_S "99"
#define CONFORMING_S "104"
#define CONFORMING3_S "107"

static void interrupt_and_trap_gates(void) {
  idt[0x41] = gate(CODE, (word)look, A_INTERRUPT_GATE | A_DPL3, 0);
  idt[0x42] = gate(CODE, (word)look, A_TRAP_GATE | A_DPL3, 0);
  clear();
  RUN("push $0x4202\n\tpopf\n\tint $0x41");
  show("interrupt gate, same level, if = 1, nt = 1", recover_sp);
  print("  flags pushed: if %d nt %d\n", (seen_frame[2] & FLAG_IF) != 0, (seen_frame[2] & FLAG_NT) != 0);
  clear();
  RUN("push $0x4202\n\tpopf\n\tint $0x42");
  show("trap gate, same level, if = 1, nt = 1", recover_sp);
  clear();
  RUN_USER("int $0x41");
  show("interrupt gate, from user", (word)trap_stack_top);
  print("  cs %x, ss %x, esp at the top %d\n", seen_frame[1], seen_frame[4], seen_frame[3] == (word)user_stack_top);
  print("  user's data segments in the handler: %x %x\n", seen_ds, seen_es);
  clear();
  RUN_USER("int $0x42");
  show("trap gate, from user", (word)trap_stack_top);

  idt[0x43] = gate(CONFORMING * 8, (word)look_conforming, A_TRAP_GATE | A_DPL3, 0);
  gdt[CONFORMING] = descriptor(0, 0xfffff, A_CONFORMING | A_BIG | A_PAGES);
  clear();
  RUN_USER("int $0x43\n\tadd $4, %%esp");
  show("trap gate to conforming code, from user: no other stack", (word)user_stack_top);

  gdt[NEW] = descriptor((word)look16, 0xffff, A_CODE | A_BIG);
  idt[0x44] = gate(NEW * 8, 0, 0x86, 0);
  clear();
  RUN("push $0x202\n\tpopf\n\tint $0x44\n\tnop");
  print("16-bit interrupt gate: %u bytes, ip +%u, cs %x, if %d\n", (u32)recover_sp - seen_sp,
        (seen_frame[0] - (u32)tried_ip) & 0xffff, seen_frame[0] >> 16, (seen_frame[1] & FLAG_IF) != 0);
}

static void call_gates(void) {
  gdt[GATE] = gate(CODE, (word)look_conforming, A_CALL_GATE, 0);
  clear();
  RUN("lcall $" GATE_S ", $0x12345678");
  show("call gate, same level: the offset of the call does not count", recover_sp);
  RUN("ljmp $" GATE_S ", $0");
  gdt[GATE] = gate(CODE, (word)look_far, A_CALL_GATE | A_DPL3, 2);
  clear();
  RUN_USER("push $0x1111\n\tpush $0x2222\n\tlcall $" GATE3_S ", $0\n\tmov %%esp, %%eax\n\tcmp $user_stack_top, %%eax\n\tje 3f\n\tud2\n3:");
  show("call gate with two parameters, from user", (word)trap_stack_top);
  print("  cs %x, parameters %x %x, esp %d below the top, ss %x\n", seen_frame[1], seen_frame[2], seen_frame[3],
        (int)((word)user_stack_top - seen_frame[4]), seen_frame[5]);
  gdt[GATE] = gate(CODE, (word)look_far31, A_CALL_GATE | A_DPL3, 31);
  clear();
  RUN_USER("sub $124, %%esp\n\tlcall $" GATE3_S ", $0");
  show("call gate with 31 parameters", (word)trap_stack_top);
  gdt[GATE] = gate(CODE, (word)look_far, A_CALL_GATE, 0);
  TRY_USER("call gate of dpl 0 from user", "lcall $" GATE_S ", $0");
  gdt[GATE] = gate(CODE, (word)look_far, (A_CALL_GATE | A_DPL3) & ~0x80, 0);
  TRY_USER("call gate not present", "lcall $" GATE3_S ", $0");
  gdt[GATE] = gate(CODE, (word)look_far, A_CALL_GATE | A_DPL3, 0);
  TRY_USER("jump through a call gate to more privilege", "ljmp $" GATE3_S ", $0");
  gdt[GATE] = gate(0, (word)look_far, A_CALL_GATE | A_DPL3, 0);
  TRY_USER("call gate to null", "lcall $" GATE3_S ", $0");
  gdt[GATE] = gate(DATA, (word)look_far, A_CALL_GATE | A_DPL3, 0);
  TRY_USER("call gate to data", "lcall $" GATE3_S ", $0");
  gdt[GATE] = gate(USER_CODE, (word)look_far, A_CALL_GATE | A_DPL3, 0);
  TRY("call gate to less privilege", "lcall $" GATE_S ", $0");
  gdt[GATE] = gate(0x7f8, (word)look_far, A_CALL_GATE | A_DPL3, 0);
  TRY_USER("call gate to a selector behind the GDT", "lcall $" GATE3_S ", $0");
  gdt[NEW] = descriptor(0, 0xfffff, (A_CODE | A_BIG | A_PAGES) & ~0x80);
  gdt[GATE] = gate(NEW * 8, (word)look_far, A_CALL_GATE | A_DPL3, 0);
  TRY_USER("call gate to code not present", "lcall $" GATE3_S ", $0");
  gdt[GATE] = gate(CONFORMING * 8, (word)look_conforming, A_CALL_GATE | A_DPL3, 2);
  clear();
  RUN_USER("lcall $" GATE3_S ", $0");
  show("call gate to conforming code, from user: no parameters copied", (word)user_stack_top);
}

static void conforming(void) {
  clear();
  RUN_USER("lcall $" CONFORMING_S ", $look_conforming");
  show("far call to conforming code, from user", (word)user_stack_top);
  clear();
  RUN("lcall $" CONFORMING3_S ", $look_conforming");
  show("far call to conforming code with rpl 3", recover_sp);
  gdt[CONFORMING] = descriptor(0, 0xfffff, A_CONFORMING | A_DPL3 | A_BIG | A_PAGES);
  TRY("far call to conforming code of less privilege", "lcall $" CONFORMING_S ", $look_conforming");
  gdt[CONFORMING] = descriptor(0, 0xfffff, A_CONFORMING | A_BIG | A_PAGES);
  TRY_USER("conforming code as data at any level", "mov $" CONFORMING3_S ", %%eax\n\tmov %%ax, %%fs");
  TRY("far call with rpl 3 to code of dpl 0", "lcall $11, $look_conforming");
}

static void returns(void) {
  TRY("far return to the same level drops parameters",
      "push $7\n\tpush $8\n\tpush $3f\n\tlret $4\n\tud2\n3:\tcmp recover_sp, %%esp\n\tje 3f\n\tud2\n3:");
  TRY("far return to user, data segments of the kernel become null",
      "push $0x33\n\tpush $user_stack_top\n\tpush $0x2b\n\tpush $3f\n\tlret\n"
      "3:\tmov %%ds, %%eax\n\tmov %%es, %%ecx\n\tor %%ecx, %%eax\n\ttest %%ax, %%ax\n\tjz 3f\n\tint3\n3:\tmov $0x33, %%eax\n\tmov %%ax, %%ds\n\tint $0x80");
  TRY("far return to user with parameters on both stacks",
      "push $0x33\n\tpush $user_stack_top-8\n\tpush $1\n\tpush $2\n\tpush $0x2b\n\tpush $3f\n\tlret $8\n"
      "3:\tcmp $user_stack_top, %%esp\n\tje 3f\n\tint3\n3:\tint $0x80");
  TRY_USER("far return to more privilege, from user", "push $0x08\n\tpush $0\n\tlret");
  TRY("far return to user with a kernel stack", "push $0x10\n\tpush $user_stack_top\n\tpush $0x2b\n\tpush $0\n\tlret");
  TRY("far return to user with a null stack", "push $0\n\tpush $user_stack_top\n\tpush $0x2b\n\tpush $0\n\tlret");
  gdt[NEW] = descriptor(0, 0xfffff, (A_DATA | A_DPL3 | A_BIG | A_PAGES) & ~0x80);
  TRY("far return to user with a stack not present", "push $91\n\tpush $user_stack_top\n\tpush $0x2b\n\tpush $0\n\tlret");
  TRY("iret to user with a kernel stack", "push $0x10\n\tpush $user_stack_top\n\tpushf\n\tpush $0x2b\n\tpush $0\n\tiret");
  TRY("iret to user with a stack not present", "push $91\n\tpush $user_stack_top\n\tpushf\n\tpush $0x2b\n\tpush $0\n\tiret");
  TRY_USER("iret at user level keeps if and iopl",
           "push $0x3002\n\tpush $0x2b\n\tpush $3f\n\tiret\n3:\tpushf\n\tpop %%eax\n\tand $0x3200, %%eax\n\tcmp $0x200, %%eax\n\tje 3f\n\tint3\n3:");
  TRY_USER("iret with nt = 1 goes to a task that is not there",
           "push $0x4202\n\tpopf\n\tpush $0x202\n\tpush $0x2b\n\tpush $1f\n\tiret");
}

/* A 16-bit stack: only SP counts, and the high half of ESP stays as it was. */
static void small_stacks(void) {
  gdt[NEW] = descriptor((word)user_stack_top - 0x8000, 0xffff, A_DATA);
  TRY("16-bit stack wraps at 64 KiB",
      "mov $" NEW_S ", %%ecx\n\tmov %%esp, %%edx\n\tmov %%cx, %%ss\n\tmov $0xabcd0000, %%esp\n\tpushw $0x1234\n\tmov %%esp, %%eax\n\t"
      "mov $0x10, %%ecx\n\tmov %%cx, %%ss\n\tmov %%edx, %%esp\n\tcmp $0xabcdfffe, %%eax\n\tje 3f\n\tint3\n3:");
  gdt[NEW] = descriptor((word)user_stack_top - 0x8000, 0xffff, A_DATA | A_DPL3);
  TRY("iret to user with a 16-bit stack keeps the high half of esp",
      "mov %%esp, %%edx\n\tpush $91\n\tpush $0x12348000\n\tpush $0x202\n\tpush $0x2b\n\tpush $3f\n\tiret\n"
      "3:\tmov %%esp, %%eax\n\txor %%edx, %%eax\n\tshr $16, %%eax\n\tjz 3f\n\tint3\n3:\tint $0x80");
}

void kernel_main(u32 magic, u32 info) {
  (void)magic, (void)info;
  gdt[NEW] = gdt[CODE / 8];
  interrupt_and_trap_gates();
  call_gates();
  conforming();
  returns();
  small_stacks();
}
