#include "runtime.h"
#include <stdarg.h>

#define COM1 0x3f8

u64 gdt[GDT_ENTRIES] __attribute__((aligned(16)));
struct trap trap;
word recover_ip, recover_sp, recover_bp, tried_ip;
void (*handlers[256])(struct frame *);
__typeof__(task) task __attribute__((aligned(4096)));

static void put(char character) {
  while (!(inb(COM1 + 5) & 0x20)) {
  }
  outb(COM1, character);
}

static void put_hex(u64 value, int digits) {
  for (int at = digits - 1; at >= 0; at--) put("0123456789abcdef"[value >> (at * 4) & 15]);
}

static void put_decimal(u32 value) {
  if (value >= 10) put_decimal(value / 10);
  put('0' + value % 10);
}

void print(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  for (; *format; format++) {
    if (*format != '%') {
      if (*format == '\n') put('\r');
      put(*format);
      continue;
    }
    switch (*++format) {
      case 'd': {
        int value = va_arg(arguments, int);
        if (value < 0) put('-');
        put_decimal(value < 0 ? -(u32)value : (u32)value);
        break;
      }
      case 'u':
        put_decimal(va_arg(arguments, u32));
        break;
      case 'x': {
        u32 value = va_arg(arguments, u32);
        put_hex(value, value > 0xffff ? 8 : 4);
        break;
      }
      case 'l':
        format++;
        put_hex(va_arg(arguments, word), sizeof(word) * 2);
        break;
      case 'c':
        put(va_arg(arguments, int));
        break;
      case 's':
        for (const char *text = va_arg(arguments, const char *); *text; text++) put(*text);
        break;
    }
  }
  va_end(arguments);
}

void leave(u32 code) {
  /* The transmitter's last byte must be out before the machine ends. */
  while (!(inb(COM1 + 5) & 0x40)) {
  }
  outl(0xf4, code);
  for (;;) asm volatile("cli\n\thlt");
}

void fill(void *to, u8 value, u32 bytes) {
  for (u8 *at = to; bytes; bytes--) *at++ = value;
}

void copy(void *to, const void *from, u32 bytes) {
  const u8 *source = from;
  for (u8 *at = to; bytes; bytes--) *at++ = *source++;
}

/* gcc may call these for its own reasons. */
void *memset(void *to, int value, word bytes) {
  fill(to, value, bytes);
  return to;
}
void *memcpy(void *to, const void *from, word bytes) {
  copy(to, from, bytes);
  return to;
}

u64 descriptor(u32 base, u32 limit, u32 attributes) {
  return (u64)(base & 0xff000000) << 32 | (u64)(attributes & 0xf0ff) << 40 | (u64)(limit & 0xf0000) << 32 |
         (u64)(base & 0xffffff) << 16 | (limit & 0xffff);
}

static const char *const NAMES[32] = {"DE", "DB", "NMI", "BP", "OF", "BR", "UD", "NM", "DF",
                                      "9",  "TS", "NP",  "SS", "GP", "PF", "15", "MF", "AC",
                                      "MC", "XM", "VE",  "CP", "22", "23", "24", "25", "26",
                                      "27", "HV", "VC",  "SX", "31"};
#define HAS_ERROR 0x60227d00u

void describe_trap(void) {
  if (trap.vector == NO_TRAP) {
    print("ok");
    return;
  }
  if (trap.vector >= 32) {
    print("int %x", (u32)trap.vector);
    return;
  }
  print("#%s", NAMES[trap.vector]);
  if (HAS_ERROR >> trap.vector & 1) print("(%x)", (u32)trap.error);
  if (trap.vector == 14) print(" cr2=%lx", trap.cr2);
  int offset = trap.ip - tried_ip;
  if (offset >= 0 && offset < 256)
    print(" +%d", offset);
  else
    print(" at another place");
}

void report(const char *name) {
  print("%s: ", name);
  describe_trap();
  print("\n");
}

void recover(void) __attribute__((noreturn));

/* Called by the stubs. Returning resumes what was interrupted. */
void on_trap(struct frame *frame) {
  if (handlers[frame->vector])
    handlers[frame->vector](frame);
  else
    catch(frame);
}

void catch(struct frame *frame) {
  trap.error = frame->error;
  trap.ip = frame->ip;
  trap.cs = frame->cs;
  trap.flags = frame->flags;
  trap.cx = frame->cx;
  trap.si = frame->si;
  trap.di = frame->di;
#ifdef __x86_64__
  trap.sp = frame->sp;
  trap.ss = frame->ss;
#else
  int has_stack = (frame->cs & 3) != 0 || (frame->flags & FLAG_VM) != 0;
  trap.sp = has_stack ? frame->sp : (word)&frame->sp;
  trap.ss = has_stack ? frame->ss : 0;
#endif
  trap.cr2 = READ_CR(2);
  trap.vector = frame->vector == 0x80 ? NO_TRAP : frame->vector;
  if (recover_ip) recover();
  tried_ip = 0;
  print("unexpected ");
  describe_trap();
  print(" ip=%lx cs=%x flags=%lx\n", trap.ip, (u32)trap.cs, trap.flags);
  leave(1);
}

extern void (*const stubs[256])(void);
struct table {
  u16 limit;
  word base;
} __attribute__((packed));

#ifdef __x86_64__
struct gate64 idt[256] __attribute__((aligned(4096)));

void set_gate(int vector, u32 selector, void (*handler)(void), u32 attributes) {
  word offset = (word)handler;
  /* The IST number is in bits 8-15 of `attributes`. */
  idt[vector].low = (offset & 0xffff) | selector << 16 | (u64)(attributes >> 8 & 7) << 32 |
                    (u64)(attributes & 0xff) << 40 | (offset >> 16 & 0xffff) << 48;
  idt[vector].high = offset >> 32;
}
#else
u64 idt[256] __attribute__((aligned(4096)));

u64 gate(u32 selector, u32 offset, u32 attributes, u32 parameters) {
  return (u64)(offset & 0xffff0000) << 32 | (u64)attributes << 40 | (u64)parameters << 32 | selector << 16 |
         (offset & 0xffff);
}

void set_gate(int vector, u32 selector, void (*handler)(void), u32 attributes) {
  idt[vector] = gate(selector, (word)handler, attributes, 0);
}
#endif

void reload_task(void) {
  gdt[TASK / 8] = descriptor((word)&task, sizeof task - 1, A_TSS);
  asm volatile("ltr %w0" : : "r"(TASK));
}

void runtime_start(u32 magic, u32 info);
void kernel_main(u32 magic, u32 info);

/* From entry*.S, with a stack and flat segments from the loader or of the entry. */
void runtime_start(u32 magic, u32 info) {
  gdt[CODE16 / 8] = descriptor(0, 0xffff, A_CODE);
  gdt[DATA16 / 8] = descriptor(0, 0xffff, A_DATA);
  gdt[DATA / 8] = descriptor(0, 0xfffff, A_DATA | A_BIG | A_PAGES);
  gdt[USER_DATA / 8] = descriptor(0, 0xfffff, A_DATA | A_DPL3 | A_BIG | A_PAGES);
#ifdef __x86_64__
  const u32 ours = A_LONG, other = A_BIG;
  task.tss.rsp[0] = (word)trap_stack_top;
#else
  const u32 ours = A_BIG, other = A_LONG;
  task.tss.esp0 = (word)trap_stack_top;
  task.tss.ss0 = DATA;
#endif
  gdt[CODE / 8] = descriptor(0, 0xfffff, A_CODE | ours | A_PAGES);
  gdt[USER_CODE / 8] = descriptor(0, 0xfffff, A_CODE | A_DPL3 | ours | A_PAGES);
  gdt[OTHER_CODE / 8] = descriptor(0, 0xfffff, A_CODE | other | A_PAGES);
  gdt[OTHER_USER_CODE / 8] = descriptor(0, 0xfffff, A_CODE | A_DPL3 | other | A_PAGES);
  task.tss.io_base = sizeof task;
  const struct table gdtr = {sizeof gdt - 1, (word)gdt};
  asm volatile("lgdt %0" : : "m"(gdtr));
#ifdef __x86_64__
  asm volatile("pushq %0\n\tpushq $1f\n\tlretq\n1:" : : "i"(CODE) : "memory");
#else
  asm volatile("ljmp %0, $1f\n1:" : : "i"(CODE) : "memory");
#endif
  asm volatile("mov %0, %%ds\n\tmov %0, %%es\n\tmov %0, %%ss\n\tmov %1, %%fs\n\tmov %1, %%gs"
               :
               : "r"(DATA), "r"(0)
               : "memory");
  for (int vector = 0; vector < 256; vector++) set_gate(vector, CODE, stubs[vector], A_INTERRUPT_GATE);
  set_gate(3, CODE, stubs[3], A_INTERRUPT_GATE | A_DPL3);
  set_gate(4, CODE, stubs[4], A_INTERRUPT_GATE | A_DPL3);
  set_gate(0x80, CODE, stubs[0x80], A_INTERRUPT_GATE | A_DPL3);
  const struct table idtr = {sizeof idt - 1, (word)idt};
  asm volatile("lidt %0" : : "m"(idtr));
  reload_task();
  asm volatile("lldt %w0" : : "r"(0));
  /* 8N1, no interrupts, FIFO on. */
  outb(COM1 + 1, 0);
  outb(COM1 + 2, 7);
  outb(COM1 + 3, 3);
  /* No 8259A interrupts unless a kernel wants them: vectors from 20h, all masked. */
  outb(0x20, 0x11), outb(0xa0, 0x11);
  outb(0x21, 0x20), outb(0xa1, 0x28);
  outb(0x21, 4), outb(0xa1, 2);
  outb(0x21, 1), outb(0xa1, 1);
  outb(0x21, 0xff), outb(0xa1, 0xff);
  kernel_main(magic, info);
  print("end\n");
  leave(0x10);
}
