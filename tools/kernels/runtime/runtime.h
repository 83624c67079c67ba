/*
 * What the test kernels share: a serial log, an end, exceptions that can be caught. A kernel is one C file with
 * `void kernel_main(unsigned magic, unsigned info)`; it prints a deterministic log, one line per observation, and returns.
 *
 * -m32 kernels run in flat protected mode with paging off, -m64 ones in 64-bit mode with the first 4 GiB mapped one to one.
 */
#ifndef RUNTIME_H
#define RUNTIME_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned u32;
typedef unsigned long long u64;
/* Register size: 32 bits under -m32, 64 under -m64. */
typedef unsigned long word;

/* Selectors of the runtime's GDT; entries from FREE_ENTRY on belong to the kernel. */
#define CODE 0x08
#define DATA 0x10
#define CODE16 0x18
#define DATA16 0x20
#define USER_CODE 0x2b
#define USER_DATA 0x33
#define TASK 0x38 /* two entries in 64-bit mode */
#define OTHER_CODE 0x48 /* under -m64 the 32-bit code segment, under -m32 64-bit code (for EFER.LMA) */
#define OTHER_USER_CODE 0x53
#define FREE_ENTRY 11
#define GDT_ENTRIES 64
#define SELECTOR(entry) ((entry)*8)

/* What only assembler names. */
#define VISIBLE __attribute__((used))

extern u64 gdt[GDT_ENTRIES];

/* A descriptor; `attributes` are its bits 40-55 without the limit: type, S, DPL, P in the low byte, AVL, L, D/B, G in 12-15. */
u64 descriptor(u32 base, u32 limit, u32 attributes);

/* Attributes. */
#define A_CODE 0x9a
#define A_DATA 0x92
#define A_CONFORMING 0x9e
#define A_EXPAND_DOWN 0x96
#define A_READ_ONLY 0x90
#define A_EXECUTE_ONLY 0x98
#define A_LDT 0x82
#define A_TSS 0x89
#define A_TSS16 0x81
#define A_CALL_GATE 0x8c
#define A_TASK_GATE 0x85
#define A_INTERRUPT_GATE 0x8e
#define A_TRAP_GATE 0x8f
#define A_DPL3 0x60
#define A_LONG 0x2000
#define A_BIG 0x4000
#define A_PAGES 0x8000

#ifndef __x86_64__
/* 386 task-state segment (SDM vol. 3, figure 8-2). */
struct tss {
  u32 link, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags;
  u32 eax, ecx, edx, ebx, esp, ebp, esi, edi, es, cs, ss, ds, fs, gs, ldt;
  u16 trap, io_base;
};
/* A call, interrupt, trap or task gate. */
u64 gate(u32 selector, u32 offset, u32 attributes, u32 parameters);
extern u64 idt[256];
#else
/* 64-bit task-state segment (figure 8-11). */
struct tss {
  u32 reserved0;
  u64 rsp[3], reserved1, ist[7], reserved2;
  u16 reserved3, io_base;
} __attribute__((packed));
struct gate64 {
  u64 low, high;
};
extern struct gate64 idt[256];
#endif
/* With room for an I/O bitmap of all ports and the byte of ones behind it. */
extern struct {
  struct tss tss;
  u8 bits[8192 + 1];
} __attribute__((packed)) task;

void set_gate(int vector, u32 selector, void (*handler)(void), u32 attributes);
void reload_task(void);

/* The log. %d %u %x take 32 bits, %lx a word, %c, %s. */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Ends the machine through isa-debug-exit at F4h. */
void leave(u32 code) __attribute__((noreturn));

/* The last exception or interrupt. */
struct trap {
  word vector, error, ip, cs, flags, sp, ss, cr2;
  word cx, si, di;
};
extern struct trap trap;
#define NO_TRAP 0x1000
/* Prints what TRY met: `ok`, or the exception with error code, CR2 and where it was, relative to the code that was tried. */
void report(const char *name);
/* The same without the newline and without the name, for more on the line. */
void describe_trap(void);

/* What a trap does in place of the recovery; gets the frame as the CPU pushed it, error code first (0 where there is none). */
struct frame {
#ifdef __x86_64__
  word r15, r14, r13, r12, r11, r10, r9, r8;
#else
  word es, ds;
#endif
  word di, si, bp, ignored_sp, bx, dx, cx, ax;
  word vector, error, ip, cs, flags, sp, ss;
};
extern void (*handlers[256])(struct frame *);
/* Notes the frame in `trap` and goes back to where RUN was entered: what a trap does that has no handler of its own. */
void catch(struct frame *frame);

extern word recover_ip, recover_sp, recover_bp, tried_ip;
extern u8 trap_stack_top[], user_stack_top[];

#ifdef __x86_64__
#define SAVE_PLACE \
  "movq $1f, recover_ip\n\tmovq $2f, tried_ip\n\tmovq %%rsp, recover_sp\n\tmovq %%rbp, recover_bp\n\t"
#define RESTORE_STACK "movq recover_sp, %%rsp\n\tpushq $2\n\tpopfq\n\t"
#define ALL_REGISTERS \
  "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc"
#define ENTER_USER \
  "pushq $0x33\n\tpushq $user_stack_top\n\tpushq $0x3202\n\tpushq $0x2b\n\tpushq $2f\n\tiretq\n\t"
#else
#define SAVE_PLACE \
  "movl $1f, recover_ip\n\tmovl $2f, tried_ip\n\tmovl %%esp, recover_sp\n\tmovl %%ebp, recover_bp\n\t"
#define RESTORE_STACK "movl recover_sp, %%esp\n\tpushl $2\n\tpopfl\n\t"
#define ALL_REGISTERS "eax", "ebx", "ecx", "edx", "esi", "edi", "memory", "cc"
#define ENTER_USER \
  "movl $0x33, %%eax\n\tmov %%ax, %%ds\n\tmov %%ax, %%es\n\t" \
  "pushl $0x33\n\tpushl $user_stack_top\n\tpushl $0x202\n\tpushl $0x2b\n\tpushl $2f\n\tiret\n\t"
#endif

/* Runs the instructions and comes back, also from an exception. */
#define RUN(code, ...) \
  do { \
    trap.vector = NO_TRAP; \
    asm volatile(SAVE_PLACE "2:\n\t" code "\n1:\t" RESTORE_STACK : : __VA_ARGS__ : ALL_REGISTERS); \
    recover_ip = 0; \
  } while (0)
#define TRY(name, code, ...) \
  do { \
    RUN(code, ##__VA_ARGS__); \
    report(name); \
  } while (0)
/* The same at CPL 3, with IOPL 0 and interrupts on; INT 80h is its end. */
#define RUN_USER(code, ...) \
  do { \
    trap.vector = NO_TRAP; \
    asm volatile(SAVE_PLACE ENTER_USER "2:\n\t" code "\n\tint $0x80\n1:" : : __VA_ARGS__ : ALL_REGISTERS); \
    recover_ip = 0; \
  } while (0)
#define TRY_USER(name, code, ...) \
  do { \
    RUN_USER(code, ##__VA_ARGS__); \
    report(name); \
  } while (0)

static inline void outb(u16 port, u8 value) {
  asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}
static inline void outw(u16 port, u16 value) {
  asm volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}
static inline void outl(u16 port, u32 value) {
  asm volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}
static inline u8 inb(u16 port) {
  u8 value;
  asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}
#define READ_CR(n) \
  ({ \
    word value_; \
    asm volatile("mov %%cr" #n ", %0" : "=r"(value_)); \
    value_; \
  })
#define WRITE_CR(n, value) asm volatile("mov %0, %%cr" #n : : "r"((word)(value)) : "memory")
#define READ_DR(n) \
  ({ \
    word value_; \
    asm volatile("mov %%dr" #n ", %0" : "=r"(value_)); \
    value_; \
  })
#define WRITE_DR(n, value) asm volatile("mov %0, %%dr" #n : : "r"((word)(value)) : "memory")
static inline u64 read_msr(u32 msr) {
  u32 low, high;
  asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
  return (u64)high << 32 | low;
}
static inline void write_msr(u32 msr, u64 value) {
  asm volatile("wrmsr" : : "c"(msr), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}
static inline void cpuid(u32 leaf, u32 subleaf, u32 out[4]) {
  asm volatile("cpuid" : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3]) : "a"(leaf), "c"(subleaf));
}
static inline word read_flags(void) {
  word flags;
  asm volatile("pushf\n\tpop %0" : "=r"(flags));
  return flags;
}
static inline void write_flags(word flags) {
  asm volatile("push %0\n\tpopf" : : "r"(flags) : "memory", "cc");
}
void fill(void *to, u8 value, u32 bytes);
void copy(void *to, const void *from, u32 bytes);

#define CR0_PE 1u
#define CR0_MP 2u
#define CR0_EM 4u
#define CR0_TS 8u
#define CR0_NE 0x20u
#define CR0_WP 0x10000u
#define CR0_AM 0x40000u
#define CR0_PG 0x80000000u
#define CR4_VME 1u
#define CR4_PVI 2u
#define CR4_TSD 4u
#define CR4_DE 8u
#define CR4_PSE 0x10u
#define CR4_PAE 0x20u
#define CR4_PGE 0x80u
#define CR4_OSFXSR 0x200u
#define CR4_OSXMMEXCPT 0x400u
#define CR4_UMIP 0x800u
#define CR4_FSGSBASE 0x10000u
#define CR4_SMEP 0x100000u
#define CR4_SMAP 0x200000u
#define MSR_EFER 0xc0000080u
#define EFER_SCE 1u
#define EFER_LME 0x100u
#define EFER_NXE 0x800u
#define FLAG_CF 1u
#define FLAG_TF 0x100u
#define FLAG_IF 0x200u
#define FLAG_IOPL 0x3000u
#define FLAG_NT 0x4000u
#define FLAG_RF 0x10000u
#define FLAG_VM 0x20000u
#define FLAG_AC 0x40000u
#define FLAG_VIF 0x80000u
#define FLAG_VIP 0x100000u

/* Page-table bits. */
#define P 1u
#define W 2u
#define U 4u
#define PWT 8u
#define PCD 0x10u
#define A 0x20u
#define D 0x40u
#define PS 0x80u
#define G 0x100u

#endif
