/* Running pieces of 16-bit code in virtual-8086 mode. */
#ifndef VM86_H
#define VM86_H

#include "runtime.h"

#define SEGMENT 0x7000
#define BASE (SEGMENT << 4)

/* 16-bit code, run at 7000:0; INT3 is its end, as it is subject neither to IOPL nor to the redirection. */
#define BLOB(name, code) \
  extern const u8 name##_start[], name##_end[]; \
  asm(".code16\n" #name "_start:\n\t" code "\n\tint3\n" #name "_end:\n.code32")

VISIBLE static u32 entry_flags;
static u16 segments[4], handler_segments[4], stack_selector;
static u32 seen_bp;

/* The data segments are behind the usual frame. */
static void at_breakpoint(struct frame *frame) {
  const word *behind = &frame->ss + 1;
  for (int index = 0; index < 4; index++) segments[index] = behind[index];
  asm volatile("mov %%fs, %0\n\tmov %%gs, %1" : "=m"(handler_segments[0]), "=m"(handler_segments[1]));
  stack_selector = frame->ss;
  seen_bp = frame->bp;
  const u32 is_over = (frame->flags & FLAG_VM) != 0;
  if (is_over) frame->vector = 0x80;
  catch(frame);
}

static void enter(u32 flags, const u8 *start, const u8 *end) {
  copy((void *)BASE, start, end - start);
  entry_flags = flags | FLAG_VM | 2;
  trap.vector = NO_TRAP;
  asm volatile(SAVE_PLACE "movl $0, tried_ip\n\t"
               "pushl $0x1005\n\tpushl $0x1004\n\tpushl $0x7000\n\tpushl $0x1003\n\t"
               "pushl $0x7000\n\tpushl $0xf000\n\tpushl entry_flags\n\tpushl $0x7000\n\tpushl $0\n\tiret\n"
               "2:\n1:\t" RESTORE_STACK
               :
               :
               : ALL_REGISTERS);
  recover_ip = 0;
}

#define IOPL3 0x3000u
#define TRY_V86(name, flags, code) \
  do { \
    enter(flags, code##_start, code##_end); \
    report(name); \
  } while (0)
static u16 word_at(u32 offset) {
  return *(volatile u16 *)(BASE + offset);
}

BLOB(cli16, "cli");
BLOB(sti16, "sti");
BLOB(pushf16, "pushf\n\tpop %ax\n\tmov %ax, 0x800");
BLOB(popf16, "push $0x0202\n\tpopf\n\tpushf\n\tpop 0x800");
BLOB(iret16, "pushf\n\tpush %cs\n\tcall 3f\n3:\tpop %ax\n\tadd $7, %ax\n\tpush %ax\n\tiret\n\tnop");
BLOB(int16, "int $0x60");

#endif
