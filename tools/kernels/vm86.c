/* Virtual-8086 mode (SDM vol. 3, chapter 21): entry and exit, and what is forbidden. */
#include "vm86.h"

#define OTHER FREE_ENTRY

BLOB(store, "mov $0x1234, %ax\n\tmov %ax, 0x800\n\tmov %cs, 0x802\n\tmov %ss, 0x804\n\tpushf\n\tpop 0x806\n\tmov %sp, 0x808\n\tmov $0xcafe, %bp");
BLOB(load_segment, "mov $0x1234, %ax\n\tmov %ax, %es\n\tpush %es\n\tpop %fs");
BLOB(hlt16, "hlt");
BLOB(cr16, "mov %cr0, %eax");
BLOB(lidt16, "lidt 0x800");
BLOB(lldt16, "lldt %ax");
BLOB(arpl16, "arpl %ax, %ax");
BLOB(lar16, "lar %ax, %ax");
BLOB(out16, "outb %al, $0x80");
BLOB(out_denied, "outb %al, $0x81");
BLOB(wrap, "mov $0xffff, %ax\n\tmov %ax, %es\n\tmov %es:0x10, %ax\n\tmov %ax, 0x800");
BLOB(undefined, "ud2");
BLOB(divide, "xor %cx, %cx\n\tdiv %cx");
BLOB(far_jump, "ljmp $0x6fff, $3f-far_jump_start+0x10\n\tud2\n3:\tnop");
BLOB(trap_flag, "nop\n\tnop\n\tnop");
static void plain(void) {
  TRY_V86("stores", IOPL3 | FLAG_IF, store);
  print("  ax %x, cs %x, ss %x, flags %x, sp %x\n", word_at(0x800), word_at(0x802), word_at(0x804), word_at(0x806),
        word_at(0x808));
  print("  pushed: es %x ds %x fs %x gs %x ss %x, vm %d; in the handler fs %x gs %x; bp %x\n", segments[0], segments[1],
        segments[2], segments[3], stack_selector, (trap.flags & FLAG_VM) != 0, handler_segments[0], handler_segments[1],
        seen_bp & 0xffff);
  TRY_V86("segments are paragraphs", IOPL3, load_segment);
  print("  es %x fs %x\n", segments[0], segments[2]);
  TRY_V86("far jump", IOPL3, far_jump);
  print("  cs %x\n", (u32)trap.cs);
  TRY_V86("1 MiB + 0", IOPL3, wrap);
  print("  is the multiboot header %d\n", word_at(0x800) == 0xb002);
  TRY_V86("undefined", IOPL3, undefined);
  TRY_V86("division by zero", IOPL3, divide);
  TRY_V86("single step", IOPL3 | FLAG_TF, trap_flag);
  WRITE_DR(6, 0xffff0ff0);
}

static void forbidden(void) {
  TRY_V86("iopl 3: cli", IOPL3 | FLAG_IF, cli16);
  print("  if %d\n", (trap.flags & FLAG_IF) != 0);
  TRY_V86("iopl 3: sti", IOPL3, sti16);
  print("  if %d\n", (trap.flags & FLAG_IF) != 0);
  TRY_V86("iopl 3: pushf", IOPL3 | FLAG_IF, pushf16);
  print("  %x\n", word_at(0x800));
  TRY_V86("iopl 3: popf changes if, not iopl", IOPL3, popf16);
  print("  %x\n", word_at(0x800));
  TRY_V86("iopl 3: iret", IOPL3, iret16);
  TRY_V86("iopl 3: int to a gate of dpl 0", IOPL3, int16);
  idt[0x60] |= (u64)A_DPL3 << 40;
  TRY_V86("iopl 3: int to a gate of dpl 3", IOPL3, int16);
  idt[0x60] = gate(USER_CODE, 0x1000, A_INTERRUPT_GATE | A_DPL3, 0);
  TRY_V86("iopl 3: int to a gate to user code", IOPL3, int16);
  TRY_V86("iopl 0: cli", FLAG_IF, cli16);
  TRY_V86("iopl 0: sti", FLAG_IF, sti16);
  TRY_V86("iopl 0: pushf", FLAG_IF, pushf16);
  TRY_V86("iopl 0: popf", FLAG_IF, popf16);
  TRY_V86("iopl 0: iret", FLAG_IF, iret16);
  TRY_V86("iopl 0: int", FLAG_IF, int16);
  TRY_V86("hlt", IOPL3, hlt16);
  TRY_V86("mov from cr0", IOPL3, cr16);
  TRY_V86("lidt", IOPL3, lidt16);
  TRY_V86("lldt", IOPL3, lldt16);
  TRY_V86("arpl", IOPL3, arpl16);
  TRY_V86("lar", IOPL3, lar16);
  task.tss.io_base = sizeof task.tss + 32;
  fill(task.bits, 0, sizeof task.bits);
  task.bits[32 + 0x80 / 8] = 2;
  reload_task();
  TRY_V86("out that the bitmap allows", 0, out16);
  TRY_V86("out that it denies, iopl 3 does not help", IOPL3, out_denied);
}

static struct tss other;

static void by_task(void) {
  copy((void *)BASE, store_start, store_end - store_start);
  fill(&other, 0, sizeof other);
  other.eflags = FLAG_VM | IOPL3 | 2;
  other.cs = other.ss = other.ds = SEGMENT;
  other.es = 0x4321;
  other.esp = 0xe000;
  other.ss0 = DATA;
  other.esp0 = (word)trap_stack_top;
  gdt[OTHER] = descriptor((word)&other, sizeof other - 1, A_TSS);
  trap.vector = NO_TRAP;
  fill((void *)(BASE + 0x800), 0, 16);
  asm volatile(SAVE_PLACE "movl $0, tried_ip\n\tljmp $0x58, $0\n2:\n1:\t" RESTORE_STACK : : : ALL_REGISTERS);
  recover_ip = 0;
  report("task switch to a vm86 task");
  print("  ax %x, cs %x, es %x\n", word_at(0x800), word_at(0x802), segments[0]);
  asm volatile("clts");
  reload_task();
}

void kernel_main(u32 magic, u32 info) {
  (void)magic, (void)info;
  handlers[3] = at_breakpoint;
  plain();
  forbidden();
  by_task();
}
