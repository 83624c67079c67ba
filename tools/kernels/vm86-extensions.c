/* Virtual-8086 mode where QEMU cannot follow: the VME extensions (SDM vol. 3, 21.3) and segment limits. */
#include "vm86.h"

BLOB(pushf32, "pushfl");
BLOB(popf32, "pushl $2\n\tpopfl");
BLOB(limit, "mov 0xffff, %ax");
BLOB(limit32, "mov $0x10000, %eax\n\tmov (%eax), %al");
BLOB(stack_limit, "mov $1, %sp\n\tpush %ax");
/* INT 60h of the program itself: notes what is on the stack. */
BLOB(redirected, "int $0x60\n\tpushf\n\tpop 0x810");
BLOB(vector60, "push %bp\n\tmov %sp, %bp\n\tmov 2(%bp), %ax\n\tmov %ax, 0x800\n\tmov 4(%bp), %ax\n\tmov %ax, 0x802\n\t"
               "mov 6(%bp), %ax\n\tmov %ax, 0x804\n\tpushf\n\tpop 0x806\n\tpop %bp\n\tiret");

static void redirect(int vector, int to_monitor) {
  task.bits[vector / 8] = (task.bits[vector / 8] & ~(1 << vector % 8)) | to_monitor << vector % 8;
}

static void show_redirected(const char *name, u32 flags) {
  fill((void *)(BASE + 0x800), 0, 32);
  copy((void *)(BASE + 0x600), vector60_start, vector60_end - vector60_start);
  *(volatile u32 *)(0x60 * 4) = SEGMENT << 16 | 0x600;
  enter(flags, redirected_start, redirected_end);
  report(name);
  print("  ip +%u cs %x, flags pushed %x, in the handler %x, after %x, vif %d if %d\n", word_at(0x800), word_at(0x802),
        word_at(0x804), word_at(0x806), word_at(0x810), (trap.flags & FLAG_VIF) != 0, (trap.flags & FLAG_IF) != 0);
}

static void extensions(void) {
  /* The redirection bitmap is the 32 bytes in front of the I/O bitmap. */
  task.tss.io_base = sizeof task.tss + 32;
  fill(task.bits, 0, sizeof task.bits);
  reload_task();
  WRITE_CR(4, CR4_VME);
  TRY_V86("vme, iopl 0: cli", FLAG_IF | FLAG_VIF, cli16);
  print("  if %d vif %d\n", (trap.flags & FLAG_IF) != 0, (trap.flags & FLAG_VIF) != 0);
  TRY_V86("vme, iopl 0: sti", FLAG_IF, sti16);
  print("  if %d vif %d\n", (trap.flags & FLAG_IF) != 0, (trap.flags & FLAG_VIF) != 0);
  TRY_V86("vme, iopl 0: sti with vip", FLAG_IF | FLAG_VIP, sti16);
  TRY_V86("vme, iopl 0: pushf with vif", FLAG_IF | FLAG_VIF, pushf16);
  print("  %x\n", word_at(0x800));
  TRY_V86("vme, iopl 0: pushf without vif", FLAG_IF, pushf16);
  print("  %x\n", word_at(0x800));
  TRY_V86("vme, iopl 0: popf", FLAG_IF, popf16);
  print("  %x, vif %d\n", word_at(0x800), (trap.flags & FLAG_VIF) != 0);
  TRY_V86("vme, iopl 0: popf with vip", FLAG_IF | FLAG_VIP, popf16);
  TRY_V86("vme, iopl 0: pushfd", FLAG_IF, pushf32);
  TRY_V86("vme, iopl 0: popfd", FLAG_IF, popf32);
  TRY_V86("vme, iopl 0: iret", FLAG_IF | FLAG_VIF, iret16);
  print("  vif %d\n", (trap.flags & FLAG_VIF) != 0);
  redirect(0x60, 0);
  show_redirected("vme, iopl 0: int redirected", FLAG_IF | FLAG_VIF);
  show_redirected("vme, iopl 0: int redirected, vif = 0", FLAG_IF);
  show_redirected("vme, iopl 3: int redirected", FLAG_IF | IOPL3);
  redirect(0x60, 1);
  idt[0x60] = gate(CODE, (word)idt, (A_INTERRUPT_GATE | A_DPL3) & ~0x80, 0);
  TRY_V86("vme, iopl 0: int for the monitor", FLAG_IF, int16);
  TRY_V86("vme, iopl 3: int for the monitor", IOPL3, int16);
  WRITE_CR(4, 0);
}

void kernel_main(u32 magic, u32 info) {
  (void)magic, (void)info;
  handlers[3] = at_breakpoint;
  extensions();
  TRY_V86("word over 64 KiB", IOPL3, limit);
  TRY_V86("byte behind 64 KiB", IOPL3, limit32);
  TRY_V86("push over 64 KiB", IOPL3, stack_limit);
  TRY_USER("iret at cpl 3 cannot set vm", "push $0x33\n\tpush $user_stack_top\n\tpush $0x20202\n\tpush $0x2b\n\tpush $3f\n\tiret\n3:\tnop");
}
