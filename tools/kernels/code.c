/* Code that changes: written by itself, by a neighbour, through another mapping, remapped, and in loops that are hot by then. */
#include "runtime.h"

static u32 spaces[2][1024] __attribute__((aligned(4096)));
static u32 tables[2][1024] __attribute__((aligned(4096)));
static u32 code_table[1024] __attribute__((aligned(4096)));

/* Linear 8 MiB and up, in pages from 16 MiB of memory. */
#define CODE_AT 0x800000
#define FRAME(n) (0x1000000 + (n)*0x1000)
#define PAGE(n) (CODE_AT + (n)*0x1000)

static void map(u32 page, u32 frame) {
  code_table[page] = FRAME(frame) | P | W | U;
  asm volatile("invlpg (%0)" : : "r"(PAGE(page)) : "memory");
}

static void start(void) {
  for (u32 page = 0; page < 1024; page++) {
    tables[0][page] = page << 12 | P | W | U;
    code_table[page] = FRAME(page) | P | W | U;
  }
  for (u32 space = 0; space < 2; space++) {
    spaces[space][0] = (word)tables[0] | P | W | U;
    spaces[space][2] = (word)code_table | P | W | U;
  }
  /* The second space has other code at the same place. */
  for (u32 page = 0; page < 1024; page++) tables[1][page] = FRAME(512 + page) | P | W | U;
  WRITE_CR(3, spaces[0]);
  WRITE_CR(0, READ_CR(0) | CR0_PG);
}

static void put(u32 at, const u8 *code, u32 bytes) {
  volatile u8 *to = (volatile u8 *)(word)at;
  for (u32 index = 0; index < bytes; index++) to[index] = code[index];
}
#define PUT(at, ...) \
  do { \
    const u8 bytes_[] = {__VA_ARGS__}; \
    put(at, bytes_, sizeof bytes_); \
  } while (0)

static u32 call(u32 at) {
  u32 result;
  asm volatile("call *%1" : "=a"(result) : "r"(at), "0"(0) : "ecx", "edx", "esi", "edi", "memory", "cc");
  return result;
}

/* mov eax, imm32; ret */
#define RETURN(value) 0xb8, (value)&0xff, (value) >> 8 & 0xff, 0, 0, 0xc3

static void written(void) {
  PUT(PAGE(0), RETURN(1));
  print("first %u", call(PAGE(0)));
  *(volatile u8 *)(PAGE(0) + 1) = 2;
  print(", changed %u", call(PAGE(0)));
  *(volatile u8 *)(FRAME(0) - FRAME(0) + PAGE(0) + 1) = 3;
  print(", again %u\n", call(PAGE(0)));

  /* mov byte [next + 1], 7; mov al, 1; ret */
  PUT(PAGE(1), 0xc6, 0x05, 0x08, 0x10, 0x80, 0x00, 7, 0xb0, 1, 0xc3);
  print("the next instruction: %u\n", call(PAGE(1)));
  /* the same with the write far in front, over straight code */
  PUT(PAGE(1), 0xc6, 0x05, 0x0c, 0x10, 0x80, 0x00, 9, 0x90, 0x90, 0x90, 0x90, 0xb0, 1, 0xc3);
  print("an instruction of the same block: %u\n", call(PAGE(1)));
  /* mov ecx, 3000; 1: add eax, 1 (imm8 is byte 7); dec ecx; jnz 1b; cmp byte [imm8], 1; jne 2f; mov byte [imm8], 2; mov ecx, 3000; jmp 1b; 2: ret */
  PUT(PAGE(2), 0xb9, 0xb8, 0x0b, 0, 0, 0x83, 0xc0, 1, 0x49, 0x75, 0xfa, 0x80, 0x3d, 0x07, 0x20, 0x80, 0, 1, 0x75, 0x0e, 0xc6, 0x05, 0x07,
      0x20, 0x80, 0, 2, 0xb9, 0xb8, 0x0b, 0, 0, 0xeb, 0xe3, 0xc3);
  print("a hot loop changes itself: %u\n", call(PAGE(2)));
  /* The loop adds its own immediate, which counts up at each turn: 1 + 2 + ... + 100. */
  PUT(PAGE(3), 0xb9, 100, 0, 0, 0, 0x83, 0xc0, 1, 0xfe, 0x05, 0x07, 0x30, 0x80, 0, 0x49, 0x75, 0xf4, 0xc3);
  print("a loop that changes in each turn: %u\n", call(PAGE(3)));

  u32 sum = 0;
  for (u32 turn = 0; turn < 3000; turn++) {
    *(volatile u8 *)(PAGE(4) + 1) = turn;
    if (turn == 0) PUT(PAGE(4), RETURN(0));
    sum += call(PAGE(4));
  }
  print("a function that is written anew 3000 times: %u\n", sum);

  /* Data and code in one page, and in one granule of 64 bytes. */
  PUT(PAGE(5), 0xff, 0x05, 0x20, 0x50, 0x80, 0, 0xa1, 0x20, 0x50, 0x80, 0, 0xc3);
  *(volatile u32 *)(PAGE(5) + 0x20) = 0;
  for (u32 turn = 0; turn < 3000; turn++) sum = call(PAGE(5));
  print("a counter beside its code: %u\n", sum);

  /* mov eax, imm32 over a page's end. */
  PUT(PAGE(7) - 3, RETURN(0x0101));
  print("over two pages: %x", call(PAGE(7) - 3));
  *(volatile u8 *)(PAGE(7) - 2) = 2;
  print(", first part changed %x", call(PAGE(7) - 3));
  *(volatile u8 *)(PAGE(7) - 1) = 3;
  print(", more of it %x", call(PAGE(7) - 3));
  map(7, 8);
  PUT(PAGE(7), 0, 0, 0xc3);
  *(volatile u8 *)PAGE(7) = 1;
  print(", second page remapped %x\n", call(PAGE(7) - 3));
  map(7, 7);

  PUT(PAGE(9), RETURN(0x11));
  call(PAGE(9));
  const u8 other[] = {RETURN(0x22)};
  asm volatile("rep movsb" : : "D"(PAGE(9)), "S"(other), "c"(sizeof other) : "memory");
  print("by rep movsb: %x", call(PAGE(9)));
  asm volatile("mov %%esp, %%edx\n\tmov %0, %%esp\n\tpushl $0x33b8\n\tmov %%edx, %%esp" : : "i"(PAGE(9) + 4) : "edx", "memory");
  print(", by push %x", call(PAGE(9)));
  asm volatile("lock xaddl %0, %1" : : "r"(0x1100), "m"(*(u32 *)PAGE(9)) : "memory");
  print(", by lock xadd %x", call(PAGE(9)));
  asm volatile("cmpxchg8b %0" : "+m"(*(u64 *)PAGE(9)) : "a"(*(u32 *)PAGE(9)), "d"(*(u32 *)(PAGE(9) + 4)), "b"(0x55b8), "c"(*(u32 *)(PAGE(9) + 4)) : "memory");
  print(", by cmpxchg8b %x\n", call(PAGE(9)));
}

static void mapped(void) {
  PUT(PAGE(10), RETURN(1));
  PUT(PAGE(11), RETURN(2));
  map(12, 10);
  print("behind two mappings: %u %u", call(PAGE(10)), call(PAGE(12)));
  *(volatile u8 *)(PAGE(12) + 1) = 5;
  print(", written by one, run by the other: %u %u\n", call(PAGE(10)), call(PAGE(12)));
  for (u32 turn = 0; turn < 3000; turn++) call(PAGE(12));
  map(12, 11);
  print("remapped when hot: %u", call(PAGE(12)));
  map(12, 10);
  print(", and back: %u\n", call(PAGE(12)));
  /* The loop remaps nothing itself; what it calls changes under it. */
  u32 sum = 0;
  for (u32 turn = 0; turn < 2000; turn++) {
    map(12, turn & 1 ? 11 : 10);
    sum += call(PAGE(12));
  }
  print("remapped at each turn: %u\n", sum);

  PUT(PAGE(13), RETURN(7));
  WRITE_CR(3, spaces[1]);
  print("in two address spaces: %u", call(PAGE(13)));
  spaces[1][2] = (word)tables[1] | P | W | U;
  WRITE_CR(3, spaces[1]);
  PUT(PAGE(13), RETURN(8));
  for (u32 turn = 0; turn < 1500; turn++) call(PAGE(13));
  const u32 there = call(PAGE(13));
  WRITE_CR(3, spaces[0]);
  print(", there %u, here %u", there, call(PAGE(13)));
  sum = 0;
  for (u32 turn = 0; turn < 2000; turn++) {
    WRITE_CR(3, spaces[turn & 1]);
    sum += call(PAGE(13));
  }
  WRITE_CR(3, spaces[0]);
  print(", alternating %u\n", sum);

  /* Code that takes its own page away: the next instruction is not there. */
  PUT(PAGE(14), 0xc7, 0x05, 0, 0, 0, 0, 0, 0, 0, 0, 0x0f, 0x01, 0x3d, 0x00, 0xe0, 0x80, 0, 0x90, 0xc3);
  *(volatile u32 *)(PAGE(14) + 2) = (word)&code_table[14];
  RUN("mov $0x80e000, %%eax\n\tcall *%%eax");
  print("its own page taken away: ");
  describe_trap();
  print(", at its byte %d\n", (int)(trap.ip - PAGE(14)));
  map(14, 14);
}

void kernel_main(u32 magic, u32 info) {
  (void)magic, (void)info;
  start();
  written();
  mapped();
}
