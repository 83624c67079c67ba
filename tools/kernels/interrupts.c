/* Interrupt windows and shadows, NMI, HLT, local APIC, I/O APIC, 8259A, 8254 (SDM vol. 3, 6.8 and chapter 11). */
#include "runtime.h"

#define APIC(offset) (*(volatile u32 *)(0xfee00000 + (offset)))
#define ID 0x20
#define TPR 0x80
#define PPR 0xa0
#define EOI 0xb0
#define SVR 0xf0
#define ISR 0x100
#define IRR 0x200
#define ICR 0x300
#define LVT_TIMER 0x320
#define LVT_LINT0 0x350
#define INITIAL_COUNT 0x380
#define CURRENT_COUNT 0x390
#define DIVIDE 0x3e0
#define SELF 0x40000
#define DELIVER_NMI 0x400
#define IOAPIC_SELECT (*(volatile u32 *)0xfec00000)
#define IOAPIC_DATA (*(volatile u32 *)0xfec00010)

static volatile u32 count, order[8], last_ip, depth, deepest, nmis, nested_by, limit;
VISIBLE static volatile u32 ticks;
static volatile u32 last_flags;

static void note(struct frame *frame) {
  if (count < 8) order[count] = frame->vector;
  count++;
  last_ip = frame->ip;
  last_flags = frame->flags;
  APIC(EOI) = 0;
}

static void begin(void) {
  count = 0;
  last_ip = 0;
}

static void show(const char *name) {
  print("%s: %u", name, count);
  for (u32 index = 0; index < count && index < 8; index++) print(" vector %x", order[index]);
  if (count) print(", ip +%d", (int)(last_ip - tried_ip));
  print("\n");
}
#define SEND(what) "movl $(" #what "), 0xfee00300\n\t"

static void windows(void) {
  handlers[0x50] = handlers[0x51] = handlers[0x61] = note;
  begin();
  RUN("cli\n\t" SEND(0x40050) "nop\n\tsti\n\tcli\n\tnop");
  show("sti, cli: the window stays shut");
  RUN("sti\n\tnop");
  show("sti, nop: it opens behind the nop");
  begin();
  RUN("cli\n\t" SEND(0x40050) "sti\n\tsti\n\tcli\n\tnop");
  show("sti twice: only the first casts a shadow");
  begin();
  RUN("cli\n\t" SEND(0x40050) "push $0x202\n\tpopf\n\tcli\n\tnop");
  show("popf casts none");
  begin();
  RUN("cli\n\t" SEND(0x40050) "sti\n\tmov %%ss, %%eax\n\tmov %%ax, %%ss\n\tnop");
  show("the shadow of sti ends before a mov ss behind it");
  begin();
  RUN("cli\n\t" SEND(0x40050) "push $0x202\n\tpush %%cs\n\tpush $3f\n\tiret\n3:\tcli\n\tnop");
  show("iret casts none");
  begin();
  RUN("cli\n\t" SEND(0x40050) SEND(0x40061) SEND(0x40051) "sti\n\tnop\n\tnop\n\tnop\n\tcli");
  show("three at once: by priority");
  begin();
  RUN("cli\n\t" SEND(0x40050) SEND(0x40050) "sti\n\tnop\n\tnop\n\tcli");
  show("the same twice: once");
  APIC(TPR) = 0x50;
  begin();
  RUN(SEND(0x40051) SEND(0x40061) "sti\n\tnop\n\tnop\n\tcli");
  show("task priority 5 holds class 5 back");
  print("  irr %x, ppr %x\n", APIC(IRR + 0x20) & 0x30000, APIC(PPR));
  begin();
  RUN("sti\n\tnop\n\tmovl $0x40, 0xfee00080\n\tmov $100, %%ecx\n3:\tdec %%ecx\n\tjnz 3b\n\tcli");
  print("lowered, it comes: %u vector %x\n", count, order[0]);
  APIC(TPR) = 0;
  RUN("cli");
  begin();
  RUN(SEND(0x40050) "mov $1000, %%ecx\n3:\tdec %%ecx\n\tjnz 3b\n\tsti\n\thlt\n\tcli");
  show("sti, hlt: wakes at once, behind the hlt");
  WRITE_DR(6, 0xffff0ff0);
  RUN("pushf\n\torl $0x100, (%%esp)\n\tpopf\n\tmov %%ss, %%eax\n\tmov %%ax, %%ss\n\tnop\n\tnop");
  report("single step behind mov from ss");
  RUN("mov %%ss, %%eax\n\tpushf\n\torl $0x100, (%%esp)\n\tpopf\n\tmov %%ax, %%ss\n\tnop\n\tnop");
  report("single step behind mov to ss waits for the next");
  RUN("push %%ss\n\tpushf\n\torl $0x100, (%%esp)\n\tpopf\n\tpop %%ss\n\tnop\n\tnop");
  report("the same for pop ss");
  RUN("pushf\n\torl $0x100, (%%esp)\n\tpopf\n\tint3");
  report("single step over int3: the handler does not trap");
  RUN("pushf\n\torl $0x100, (%%esp)\n\tpopf\n\tud2");
  report("a fault comes before the step");
}

static void on_nmi(struct frame *frame) {
  nmis++;
  depth++;
  if (depth > deepest) deepest = depth;
  last_ip = frame->ip;
  if (nmis == 1 && limit > 1) {
    APIC(ICR) = SELF | DELIVER_NMI;
    if (limit == 3) APIC(ICR) = SELF | DELIVER_NMI;
    for (u32 wait = 0; wait < 1000; wait++) asm volatile("pause");
    if (nested_by) asm volatile("int3");
    for (u32 wait = 0; wait < 1000; wait++) asm volatile("pause");
  }
  depth--;
}

static void go_on(struct frame *frame) {
  (void)frame;
}

static void try_nmi(const char *name, u32 how_many, u32 by) {
  nmis = depth = deepest = 0;
  limit = how_many;
  nested_by = by;
  RUN("cli\n\t" SEND(0x40400) "mov $1000, %%ecx\n3:\tdec %%ecx\n\tjnz 3b");
  print("%s: %u, depth %u\n", name, nmis, deepest);
}

static void non_maskable(void) {
  handlers[2] = on_nmi;
  try_nmi("nmi with if = 0", 1, 0);
  try_nmi("nmi in an nmi waits for iret", 2, 0);
  try_nmi("two more in an nmi are one", 3, 0);
  handlers[3] = go_on;
  try_nmi("any iret unblocks", 2, 1);
  handlers[3] = 0;
}

static void on_tick(struct frame *frame) {
  ticks++;
  last_ip = frame->ip;
  APIC(EOI) = 0;
}

static void local_timer(void) {
  handlers[0x70] = on_tick;
  APIC(DIVIDE) = 0xb;
  APIC(LVT_TIMER) = 0x70;
  ticks = 0;
  APIC(INITIAL_COUNT) = 20000000;
  const u32 first = APIC(CURRENT_COUNT);
  while (!ticks) asm volatile("sti\n\thlt\n\tcli");
  print("one-shot timer: counts from the top %d, then %u, ticks %u\n", first <= 20000000 && first > 0, APIC(CURRENT_COUNT), ticks);
  ticks = 0;
  APIC(LVT_TIMER) = 0x20070;
  APIC(INITIAL_COUNT) = 1000000;
  while (ticks < 3) asm volatile("sti\n\thlt\n\tcli");
  APIC(INITIAL_COUNT) = 0;
  print("periodic timer: three ticks and more\n");
  APIC(LVT_TIMER) = 0x10070;
  asm volatile("sti\n\tnop\n\tcli");
  ticks = 0;
  APIC(INITIAL_COUNT) = 1000;
  for (u32 wait = 0; wait < 100000; wait++) asm volatile("pause");
  asm volatile("sti\n\tnop\n\tcli");
  print("masked timer: %u\n", ticks);

  /* The loop has no way out but the interrupt. */
  ticks = 0;
  APIC(LVT_TIMER) = 0x70;
  APIC(INITIAL_COUNT) = 3000000;
  asm volatile("sti");
  while (!ticks) {
  }
  asm volatile("cli");
  print("a busy loop is interrupted\n");
}

static void leave_loop(struct frame *frame) {
  ticks++;
  APIC(EOI) = 0;
  if (ticks == 1) frame->ip += 2;
}


static void more_timer(void) {
  handlers[0x70] = leave_loop;
  ticks = 0;
  APIC(LVT_TIMER) = 0x70;
  APIC(INITIAL_COUNT) = 3000000;
  RUN("sti\n3:\tjmp 3b\n\tcli");
  print("and so is jmp to itself\n");
  handlers[0x70] = on_tick;
  APIC(LVT_TIMER) = 0x20070;
  APIC(INITIAL_COUNT) = 1000000;
  ticks = 0;
  for (u32 again = 0; again < 50 && !ticks; again++)
    RUN("mov $0x1000000, %%edi\n\tmov $0x80000, %%ecx\n\tmov $0x5a, %%al\n\tsti\n3:\trep stosb\n\tcli\n\t"
        "cmp $0x1080000, %%edi\n\tje 3f\n\tud2\n3:");
  APIC(INITIAL_COUNT) = 0;
  report("a string instruction is interrupted and goes on");
  print("  first and last byte %x %x\n", *(volatile u8 *)0x1000000, *(volatile u8 *)0x107ffff);
  handlers[0x70] = on_tick;
  ticks = 0;
  APIC(LVT_TIMER) = 0x70;
  APIC(INITIAL_COUNT) = 1000000;
  RUN_USER("3:\tmov ticks, %%eax\n\ttest %%eax, %%eax\n\tjz 3b");
  report("user code is interrupted");
}

static void on_irq(struct frame *frame) {
  ticks++;
  if (count < 8) order[count++] = frame->vector;
  outb(0x20, 0x20);
}

static void pit(u8 mode, u16 value) {
  outb(0x43, 0x30 | mode << 1);
  outb(0x40, value & 0xff);
  outb(0x40, value >> 8);
}

static void legacy(void) {
  APIC(LVT_LINT0) = 0x700;
  handlers[0x20] = on_irq;
  begin();
  ticks = 0;
  pit(2, 11932);
  outb(0x21, 0xfe);
  while (ticks < 3) asm volatile("sti\n\thlt\n\tcli");
  print("8254 by the 8259A: vector %x\n", order[0]);
  outb(0x21, 0xff);
  ticks = 0;
  asm volatile("sti");
  outb(0x20, 0x0a);
  while (!(inb(0x20) & 1)) asm volatile("pause");
  asm volatile("nop\n\tcli");
  print("masked: %u, although its irr has the request\n", ticks);
  pit(0, 1193);
  outb(0x43, 0xe2);
  const u8 before = inb(0x40);
  for (;;) {
    outb(0x43, 0xe2);
    if (inb(0x40) & 0x80) break;
  }
  print("mode 0 raises its output at the end: before %d\n", before >> 7);
  /* Channel 2 is gated by port 61h, and bit 5 is its output. */
  outb(0x61, (inb(0x61) & ~2) | 1);
  outb(0x43, 0xb0);
  outb(0x42, 0x10);
  outb(0x42, 0x27);
  const u8 out_before = inb(0x61) >> 5 & 1;
  while (!(inb(0x61) & 0x20)) {
  }
  print("channel 2: output %d, then 1\n", out_before);
  /* The 8254 is pin 2 of the I/O APIC. */
  handlers[0x42] = on_tick;
  IOAPIC_SELECT = 0x15;
  IOAPIC_DATA = APIC(ID);
  IOAPIC_SELECT = 0x14;
  IOAPIC_DATA = 0x42;
  ticks = 0;
  pit(2, 11932);
  while (ticks < 2) asm volatile("sti\n\thlt\n\tcli");
  IOAPIC_SELECT = 0x14;
  IOAPIC_DATA = 0x10042;
  print("8254 by the I/O APIC\n");
  IOAPIC_SELECT = 1;
  print("it has %u pins\n", (IOAPIC_DATA >> 16 & 0xff) + 1);
}

void kernel_main(u32 magic, u32 info) {
  (void)magic, (void)info;
  APIC(SVR) = 0x1ff;
  windows();
  non_maskable();
  local_timer();
  more_timer();
  legacy();
}
