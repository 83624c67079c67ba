/* What a program may ask about descriptors, ports and flags: LAR, LSL, VERR, VERW, ARPL, IOPL, I/O bitmap, PVI, UMIP. */
#include "runtime.h"

#define NEW FREE_ENTRY
VISIBLE static u32 result;

static void ask(const char *name, u32 selector) {
  u32 rights = 0xdead, limit = 0xdead;
  u8 has_rights, has_limit, readable, writable;
  asm volatile("lar %2, %0\n\tsetz %1" : "+r"(rights), "=qm"(has_rights) : "r"(selector) : "cc");
  asm volatile("lsl %2, %0\n\tsetz %1" : "+r"(limit), "=qm"(has_limit) : "r"(selector) : "cc");
  asm volatile("verr %w1\n\tsetz %0" : "=qm"(readable) : "r"(selector) : "cc");
  asm volatile("verw %w1\n\tsetz %0" : "=qm"(writable) : "r"(selector) : "cc");
  print("%s: lar %d", name, has_rights);
  /* Bits 16-19 are not defined. */
  if (has_rights) print(" %x", rights & 0xfff0ffff);
  print(", lsl %d", has_limit);
  if (has_limit) print(" %x", limit);
  print(", verr %d, verw %d\n", readable, writable);
}

static void descriptors(void) {
  ask("null", 0);
  ask("code", CODE);
  ask("data", DATA);
  ask("data with rpl 3", DATA | 3);
  ask("user data with rpl 3", USER_DATA | 3);
  ask("busy task", TASK);
  ask("behind the GDT", 0x7f8);
  ask("in no LDT", 0x0c);
  const struct {
    const char *name;
    u64 descriptor;
  } more[] = {
      {"execute-only code", descriptor(0, 0x1234, A_EXECUTE_ONLY | A_BIG)},
      {"conforming code, rpl 3", descriptor(0, 0x1234, A_CONFORMING | A_BIG)},
      {"read-only data", descriptor(0, 0x1234, A_READ_ONLY)},
      {"expand-down data", descriptor(0, 0x1234, A_EXPAND_DOWN | A_BIG | A_PAGES)},
      {"data not present", descriptor(0, 0x1234, A_DATA & ~0x80)},
      {"ldt", descriptor(0, 0x1234, A_LDT)},
      {"286 task", descriptor(0, 0x2b, A_TSS16)},
      {"386 task", descriptor(0, 0x67, A_TSS)},
      {"call gate", gate(CODE, 0x12345678, A_CALL_GATE, 3)},
      {"task gate", gate(TASK, 0, A_TASK_GATE, 0)},
      {"interrupt gate", gate(CODE, 0, A_INTERRUPT_GATE, 0)},
      {"trap gate", gate(CODE, 0, A_TRAP_GATE, 0)},
      {"reserved type 8", descriptor(0, 0x1234, 0x88)},
      {"reserved type 0", descriptor(0, 0x1234, 0x80)},
  };
  for (u32 index = 0; index < sizeof more / sizeof *more; index++) {
    gdt[NEW] = more[index].descriptor;
    ask(more[index].name, index == 1 ? NEW * 8 | 3 : NEW * 8);
  }
  u16 rights = 0xffff;
  gdt[NEW] = descriptor(0, 0x1234, A_DATA | A_BIG);
  asm volatile("larw %w1, %w0" : "+r"(rights) : "r"(NEW * 8) : "cc");
  print("16-bit lar %x\n", rights);
  u32 selector = 0xabcd0010;
  u8 zero;
  asm volatile("arpl %w2, %w0\n\tsetz %1" : "+r"(selector), "=qm"(zero) : "r"(3) : "cc");
  print("arpl raises: %x zf %d\n", selector, zero);
  asm volatile("arpl %w2, %w0\n\tsetz %1" : "+r"(selector), "=qm"(zero) : "r"(1) : "cc");
  print("arpl leaves: %x zf %d\n", selector, zero);
  print("accessed bit: before %d", (u32)(gdt[NEW] >> 40) & 1);
  RUN("mov $0x58, %%eax\n\tmov %%ax, %%fs");
  print(", after %d\n", (u32)(gdt[NEW] >> 40) & 1);
}

/* At CPL 3 with this IOPL; the flags of ENTER_USER are 202h. */
#define AS_IOPL(iopl, code) \
  do { \
    trap.vector = NO_TRAP; \
    asm volatile(SAVE_PLACE "mov $0x33, %%eax\n\tmov %%ax, %%ds\n\tmov %%ax, %%es\n\t" \
                 "push $0x33\n\tpush $user_stack_top\n\tpush $0x202|(" #iopl "<<12)\n\tpush $0x2b\n\tpush $2f\n\tiret\n2:\t" \
                 code "\n\tint $0x80\n1:\t" RESTORE_STACK : : : ALL_REGISTERS); \
    recover_ip = 0; \
  } while (0)

static void flags(void) {
  AS_IOPL(3, "cli\n\tpushf\n\tpop %%eax\n\tmov %%eax, result\n\tsti");
  report("iopl 3: cli, sti");
  print("  if %d\n", (result & FLAG_IF) != 0);
  AS_IOPL(3, "push $0x2\n\tpopf\n\tpushf\n\tpop %%eax\n\tmov %%eax, result");
  report("iopl 3: popf");
  print("  if %d iopl %u\n", (result & FLAG_IF) != 0, result >> 12 & 3);
  AS_IOPL(2, "sti");
  report("iopl 2: sti");
  AS_IOPL(3, "outb %%al, $0x80");
  report("iopl 3: out");
  RUN("push $0x3002\n\tpopf\n\tpushf\n\tpop result");
  print("iopl at cpl 0: %u\n", result >> 12 & 3);

  WRITE_CR(4, CR4_PVI);
  AS_IOPL(0, "cli\n\tpushf\n\tpop %%eax\n\tmov %%eax, result");
  report("pvi: cli");
  print("  if %d vif %d\n", (result & FLAG_IF) != 0, (result & FLAG_VIF) != 0);
  AS_IOPL(0, "sti\n\tpushf\n\tpop %%eax\n\tmov %%eax, result");
  report("pvi: sti");
  print("  if %d vif %d\n", (result & FLAG_IF) != 0, (result & FLAG_VIF) != 0);
  trap.vector = NO_TRAP;
  asm volatile(SAVE_PLACE "push $0x33\n\tpush $user_stack_top\n\tpush $0x100202\n\tpush $0x2b\n\tpush $2f\n\tiret\n"
               "2:\tsti\n\tint $0x80\n1:\t" RESTORE_STACK : : : ALL_REGISTERS);
  recover_ip = 0;
  report("pvi: sti with vip");
  WRITE_CR(4, 0);
}

static void ports(void) {
  task.tss.io_base = sizeof task.tss;
  fill(task.bits, 0xff, sizeof task.bits);
  reload_task();
  TRY_USER("port that the bitmap denies", "outb %%al, $0x80");
  task.bits[0x80 / 8] = 0xfe;
  TRY_USER("port that it allows", "outb %%al, $0x80");
  TRY_USER("word of which it allows half", "outw %%ax, $0x80");
  task.bits[0x80 / 8] = 0xfc;
  TRY_USER("word that it allows", "outw %%ax, $0x80");
  TRY_USER("dword of which it allows half", "outl %%eax, $0x80");
  task.bits[0x80 / 8] = 0x7f;
  TRY_USER("word over two bytes of the bitmap", "outw %%ax, $0x87");
  task.bits[0x88 / 8] = 0xfe;
  TRY_USER("and allowed", "outw %%ax, $0x87");
  TRY_USER("string that it denies", "mov $0x81, %%dx\n\tmov $user_stack_top-4, %%esi\n\toutsb");
  TRY_USER("string that it allows", "mov $0x87, %%dx\n\tmov $user_stack_top-4, %%esi\n\toutsb");
  task.bits[0xffff / 8] = 0;
  TRY_USER("last port", "mov $0xffff, %%edx\n\tinb %%dx, %%al");
  gdt[TASK / 8] = descriptor((word)&task, sizeof task - 2, A_TSS);
  asm volatile("ltr %w0" : : "r"(TASK));
  TRY_USER("last port without the byte behind the bitmap", "mov $0xffff, %%edx\n\tinb %%dx, %%al");
  gdt[TASK / 8] = descriptor((word)&task, sizeof task.tss + 0x80 / 8, A_TSS);
  asm volatile("ltr %w0" : : "r"(TASK));
  TRY_USER("port at the end of the segment", "outb %%al, $0x87");
  TRY_USER("port behind the end of the segment", "outb %%al, $0x88");
  task.tss.io_base = 0xdfff;
  reload_task();
  TRY_USER("bitmap behind the segment", "outb %%al, $0x87");
}

void kernel_main(u32 magic, u32 info) {
  (void)magic, (void)info;
  descriptors();
  flags();
  ports();
  TRY_USER("smsw", "smsw %%eax");
  TRY_USER("sidt, sldt, str", "sidt user_stack_top-16\n\tsldt %%eax\n\tstr %%eax");
  TRY_USER("lmsw", "lmsw %%ax");
  RUN("mov %%cr0, %%eax\n\tor $8, %%al\n\tlmsw %%ax\n\tmov %%cr0, %%eax\n\tmov %%eax, result\n\tclts");
  print("lmsw sets ts: %d\n", (result & CR0_TS) != 0);
  RUN("xor %%eax, %%eax\n\tlmsw %%ax\n\tmov %%cr0, %%eax\n\tmov %%eax, result");
  print("lmsw cannot clear pe: %d\n", result & 1);
  RUN("mov $0xffffffff, %%eax\n\tsmsw %%ax\n\tmov %%eax, result");
  print("smsw of 16 bits leaves the rest: %x\n", result >> 16);
  TRY_USER("popf clears no vm and sets no rf", "push $0x30202\n\tpopf\n\tpushf\n\tpop %%eax\n\ttest $0x30000, %%eax\n\tjz 3f\n\tint3\n3:");
  TRY_USER("pushf hides rf", "pushf\n\tpop %%eax\n\ttest $0x10000, %%eax\n\tjz 3f\n\tint3\n3:");
  TRY_USER("null in ss at cpl 3", "xor %%eax, %%eax\n\tmov %%ax, %%ss");
  TRY_USER("rpl 0 in ss at cpl 3", "mov $0x30, %%eax\n\tmov %%ax, %%ss");
  TRY_USER("les", "push $0x33\n\tpush $0x1234\n\tles (%%esp), %%eax\n\tcmp $0x1234, %%eax\n\tje 3f\n\tint3\n3:");
  TRY_USER("lfs of kernel data leaves the register", "mov $0x55, %%eax\n\tpush $0x10\n\tpush $0x1234\n\tlfs (%%esp), %%eax");
}
