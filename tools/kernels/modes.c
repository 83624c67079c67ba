/*
 * One page of code in eight modes: 32-bit code with a base, 16-bit protected, real and unreal mode, flat 32-bit code, compatibility
 * mode, 64-bit code, virtual-8086 mode. Each runs the same loop, often enough to be translated, over the same table; the same in C
 * says what has to come out.
 */
#include "runtime.h"

#define SEGMENT 0x7000
#define BASE (SEGMENT << 4)
#define TABLE 0x1000
#define WORDS 32
#define HIGH_TABLE 0x200000
#define STATE (*(volatile u32 *)(BASE + 0xff0))
#define BASED_CODE 0x58
#define BASED_DATA 0x60
#define SMALL_DATA 0x68
#define TURNS 400

extern const u8 blob_start[], blob_end[], at_v86[];
VISIBLE static u32 saved_sp, hash;
static u32 table[WORDS], high_table[WORDS];
static u64 page_map[512] __attribute__((aligned(4096)));
static u64 page_pointers[512] __attribute__((aligned(4096)));
void call_turn(void);

#define OFFSET(label) #label "-blob_start"
#define LINEAR(label) #label "-blob_start+0x70000"

/* The loop: a load, arithmetic, a read-modify-write, the stack, a call, a branch not taken and one taken. */
#define MIX(name, pointer, counter, pushed, step) \
  #name ":\n\tmov $32, %" counter "\n" \
  "1:\tmov (%" pointer "), %edx\n\timul $0x9e3779b1, %eax\n\tadd %edx, %eax\n\tcall 3f\n\tjc 2f\n\txor $0x1234567, %eax\n" \
  "2:\txor %eax, (%" pointer ")\n\tadd $4, %" pointer "\n\tdec %" counter "\n\tjnz 1b\n\tret\n" \
  "3:\tpush %" pushed "\n\trol $5, %eax\n\tpop %" pushed "\n\t" step "\n\tret\n"

asm("call_turn:\n\t"
    "pusha\n\tmov %esp, saved_sp\n\tmov hash, %eax\n\tljmp $0x58, $" OFFSET(based) "\n"
    ".balign 8\nblob_start:\n"
    "based:\n\t"
    "mov $0x60, %ecx\n\tmov %cx, %ds\n\tmov %cx, %es\n\tmov $0x1000, %esi\n\tcall mix32\n\tljmp $0x18, $" OFFSET(small) "\n"
    ".code16\n"
    "small:\n\t"
    "mov $0x20, %cx\n\tmov %cx, %ss\n\tmov $0xd000, %sp\n\tmov $0x68, %cx\n\tmov %cx, %ds\n\tmov %cx, %es\n\tmov $0x10, %cx\n\tmov %cx, %fs\n\t"
    "mov $0x1000, %si\n\tcall mix16\n\t"
    "mov %cr0, %ecx\n\tand $0xfe, %cl\n\tmov %ecx, %cr0\n\tljmp $0x7000, $" OFFSET(real) "\n"
    "real:\n\t"
    "mov $0x7000, %cx\n\tmov %cx, %ds\n\tmov %cx, %es\n\tmov %cx, %ss\n\txor %cx, %cx\n\tmov %cx, %fs\n\t"
    "mov $0x1000, %si\n\tcall mix16\n\tmov $0x200000, %edi\n\tcall unreal\n\t"
    "mov %cr0, %ecx\n\tor $1, %cl\n\tmov %ecx, %cr0\n\tljmpl $0x08, $" LINEAR(flat) "\n"
    MIX(mix16, "si", "cx", "si", "stc")
    "unreal:\n\tmov $32, %cx\n"
    "1:\tmov %fs:(%edi), %edx\n\timul $0x9e3779b1, %eax\n\tadd %edx, %eax\n\tadd %eax, %fs:(%edi)\n\tadd $4, %edi\n\tloop 1b\n\tret\n"
    "at_v86:\n\tmov 0xff0, %eax\n\tmov $0x1000, %si\n\tcall mix16\n\tmov %eax, 0xff0\n\tint3\n"
    ".code32\n"
    "flat:\n\t"
    "mov $0x10, %ecx\n\tmov %cx, %ds\n\tmov %cx, %es\n\tmov %cx, %ss\n\tmov saved_sp, %esp\n\t"
    "mov $0x71000, %esi\n\tcall mix32\n\t"
    "mov %cr0, %ecx\n\tor $0x80000000, %ecx\n\tmov %ecx, %cr0\n\t"
    "mov $0x71000, %esi\n\tcall mix32\n\tljmp $0x48, $" LINEAR(wide) "\n"
    "narrow:\n\t"
    "mov %cr0, %ecx\n\tand $0x7fffffff, %ecx\n\tmov %ecx, %cr0\n\t"
    "mov $0x10, %ecx\n\tmov %cx, %ds\n\tmov %cx, %es\n\tmov %cx, %ss\n\t"
    "mov %eax, hash\n\tmov saved_sp, %esp\n\txor %eax, %eax\n\tmov %ax, %fs\n\tpopa\n\tret\n"
    MIX(mix32, "esi", "ecx", "esi", "stc")
    "back:\n\t.long " LINEAR(narrow) "\n\t.word 8\n"
    ".code64\n"
    "wide:\n\tmov $0x71000, %esi\n\tcall mix64\n\tmov $" LINEAR(back) ", %ecx\n\tljmp *(%rcx)\n"
    MIX(mix64, "rsi", "ecx", "rsi", "stc")
    "blob_end:\n"
    ".code32");

static u32 mix(u32 value) {
  for (int index = 0; index < WORDS; index++) {
    value = value * 0x9e3779b1u + table[index];
    value = value << 5 | value >> 27;
    /* The call always comes back with the carry set. */
    table[index] ^= value;
  }
  return value;
}

static u32 mix_high(u32 value) {
  for (int index = 0; index < WORDS; index++) {
    value = value * 0x9e3779b1u + high_table[index];
    high_table[index] += value;
  }
  return value;
}

static void turn_v86(void) {
  STATE = hash;
  trap.vector = NO_TRAP;
  asm volatile(SAVE_PLACE "pushl $0\n\tpushl $0\n\tpushl $0x7000\n\tpushl $0x7000\n\tpushl $0x7000\n\tpushl $0xd000\n\tpushl $0x23002\n\t"
               "pushl $0x7000\n\tpushl %0\n\tiret\n"
               "2:\n1:\t" RESTORE_STACK
               :
               : "r"((u32)(at_v86 - blob_start))
               : ALL_REGISTERS);
  recover_ip = 0;
  hash = STATE;
}

static void check(u32 turn, u32 expected) {
  u32 same = 0;
  for (int index = 0; index < WORDS; index++) {
    same += ((volatile u32 *)(BASE + TABLE))[index] == table[index];
    same += ((volatile u32 *)HIGH_TABLE)[index] == high_table[index];
  }
  print("turn %u: %x, as in C %d, words %u of %u\n", turn, hash, hash == expected, same, 2 * WORDS);
}

#ifdef WITH_LIMITS
/* #GP on the 16-bit stack: notes what there is to see and comes back from call_turn. */
VISIBLE static u32 error, ip, count, pointer;
void at_fault(void);
asm("at_fault:\n\tmov $0x10, %ebx\n\tmov %bx, %ds\n\tmov %ecx, count\n\tmov %esi, pointer\n\tpopl %ecx\n\tmov %ecx, error\n\tpopl %ecx\n\tmov %ecx, ip\n\t"
    "mov %bx, %es\n\tmov %bx, %ss\n\tmov saved_sp, %esp\n\txor %eax, %eax\n\tmov %ax, %fs\n\tpopa\n\tret");

extern const u8 mix16[];

static void short_segment(const char *name, u32 entry, u64 segment) {
  const u64 whole = gdt[entry];
  gdt[entry] = segment;
  ip = 0;
  call_turn();
  gdt[entry] = whole;
  print("%s: ", name);
  if (ip)
    print("#GP(%x) +%d in the loop, cx %u si %x\n", error, (int)(ip - (mix16 - blob_start)), count & 0xffff, pointer & 0xffff);
  else
    print("ok\n");
}

/* What a hot loop was doing when its segment became too short for it. */
static void limits(void) {
  const u32 loop = mix16 - blob_start;
  set_gate(13, CODE, at_fault, A_INTERRUPT_GATE);
  short_segment("data that ends behind 20 words", SMALL_DATA / 8, descriptor(BASE, TABLE + 20 * 4 - 1, A_DATA));
  short_segment("in the middle of the 20th", SMALL_DATA / 8, descriptor(BASE, TABLE + 20 * 4 - 3, A_DATA));
  short_segment("read only", SMALL_DATA / 8, descriptor(BASE, 0xffff, A_READ_ONLY));
  short_segment("expand-down, from the 5th word on", SMALL_DATA / 8, descriptor(BASE, TABLE + 4 * 4 - 1, A_EXPAND_DOWN));
  short_segment("code that ends behind the call", CODE16 / 8, descriptor(BASE, loop + 20, A_CODE));
  short_segment("whole", SMALL_DATA / 8, gdt[SMALL_DATA / 8]);
}
#endif

void kernel_main(u32 magic, u32 info) {
  (void)magic, (void)info;
  copy((void *)BASE, blob_start, blob_end - blob_start);
  print("one page: %d\n", blob_end - blob_start <= 0xff0);
  gdt[CODE16 / 8] = descriptor(BASE, 0xffff, A_CODE);
  gdt[DATA16 / 8] = gdt[SMALL_DATA / 8] = descriptor(BASE, 0xffff, A_DATA);
  gdt[BASED_CODE / 8] = descriptor(BASE, 0xffff, A_CODE | A_BIG);
  gdt[BASED_DATA / 8] = descriptor(BASE, 0xffff, A_DATA | A_BIG);
  page_map[0] = (word)page_pointers | P | W;
  page_pointers[0] = P | W | PS;
  WRITE_CR(4, READ_CR(4) | CR4_PAE);
  WRITE_CR(3, page_map);
  write_msr(MSR_EFER, read_msr(MSR_EFER) | EFER_LME);
  for (int index = 0; index < WORDS; index++) {
    ((volatile u32 *)(BASE + TABLE))[index] = table[index] = index * 0x01010101u;
    ((volatile u32 *)HIGH_TABLE)[index] = high_table[index] = index * 0x11111111u;
  }
  hash = 1;
  u32 expected = 1;
  for (u32 turn = 1; turn <= TURNS; turn++) {
    call_turn();
    turn_v86();
    for (int mode = 0; mode < 7; mode++) {
      expected = mix(expected);
      if (mode == 2) expected = mix_high(expected);
    }
    if (turn == 1 || turn == 2 || turn % 100 == 0) check(turn, expected);
  }
  print("the last trap: ");
  describe_trap();
  print("\n");
#ifdef WITH_LIMITS
  limits();
#endif
}
