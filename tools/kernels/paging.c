/* Paging in 32-bit protected mode (SDM vol. 3, chapter 4): two levels, 4 MiB pages, PAE, NX, WP, SMEP, SMAP, accessed and dirty bits. */
#include "runtime.h"

/* Linear 0 to 4 MiB is the kernel, 4 to 8 MiB what is tested, in pages from 8 MiB of memory on; 12 MiB and up is large pages. */
#define TESTED 0x400000
#define BACKING 0x800000
#define PAGE(n) (TESTED + (n)*0x1000)
#define FRAME(n) (BACKING + (n)*0x1000)
#define NX (1ull << 63)

static u32 directory[1024] __attribute__((aligned(4096)));
static u32 tables[2][1024] __attribute__((aligned(4096)));
static u64 pointers[4] __attribute__((aligned(32)));
static u64 pae_directory[512] __attribute__((aligned(4096)));
static u64 pae_tables[4][512] __attribute__((aligned(4096)));
static int is_pae;

static void flush(void) {
  WRITE_CR(3, READ_CR(3));
}

static void set(u32 page, u64 entry) {
  if (is_pae)
    pae_tables[2 + page / 512][page % 512] = entry;
  else
    tables[1][page] = entry;
  asm volatile("invlpg (%0)" : : "r"(PAGE(page)) : "memory");
}
static u32 entry_of(u32 page) {
  return is_pae ? (u32)pae_tables[2 + page / 512][page % 512] : tables[1][page];
}
static void set_directory(u32 bits) {
  if (is_pae)
    pae_directory[2] = (word)pae_tables[2] | bits;
  else
    directory[1] = (word)tables[1] | bits;
  flush();
}

static void kernel_pages(u32 bits) {
  for (u32 page = 0; page < 1024; page++) {
    tables[0][page] = page << 12 | bits;
    pae_tables[page / 512][page % 512] = page << 12 | bits;
  }
  if (READ_CR(0) & CR0_PG) flush();
}

static void start(int pae) {
  is_pae = pae;
  fill(directory, 0, sizeof directory);
  fill(pae_directory, 0, sizeof pae_directory);
  fill(pae_tables, 0, sizeof pae_tables);
  fill(tables, 0, sizeof tables);
  kernel_pages(P | W | U);
  directory[0] = (word)tables[0] | P | W | U;
  directory[1] = (word)tables[1] | P | W | U;
  for (u32 index = 0; index < 4; index++) pae_directory[index] = (word)pae_tables[index] | P | W | U;
  pointers[0] = (word)pae_directory | P;
  pointers[1] = pointers[2] = pointers[3] = 0;
  WRITE_CR(3, pae ? (word)pointers : (word)directory);
  WRITE_CR(4, pae ? CR4_PAE : CR4_PSE);
  WRITE_CR(0, READ_CR(0) | CR0_PG);
}

static void stop(void) {
  WRITE_CR(0, READ_CR(0) & ~(CR0_PG | CR0_WP));
  WRITE_CR(4, 0);
}

#define AT(n) "0x40" #n

static void rights(void) {
  set(0, FRAME(0) | P | W | U);
  print("accessed and dirty: new %x", entry_of(0) & 0xfff);
  RUN("mov 0x400000, %%eax");
  print(", read %x", entry_of(0) & 0xfff);
  RUN("mov %%eax, 0x400000");
  print(", written %x; directory %x\n", entry_of(0) & 0xfff, is_pae ? (u32)pae_directory[2] & 0xfff : directory[1] & 0xfff);
  set(1, FRAME(1) | P | W);
  TRY_USER("user reads a page of the kernel", "mov 0x401234, %%eax");
  TRY_USER("user writes a page of the kernel", "mov %%eax, 0x401234");
  TRY_USER("user executes a page of the kernel", "mov $0x401234, %%eax\n\tjmp *%%eax");
  print("  accessed %x\n", entry_of(1) & (A | D));
  set(2, FRAME(2) | P | U);
  TRY_USER("user writes a read-only page", "mov %%eax, 0x402000");
  TRY_USER("user compares and exchanges on a read-only page", "mov $1, %%eax\n\tlock cmpxchg %%ecx, 0x402000");
  TRY("kernel writes it, wp = 0", "mov %%eax, 0x402000");
  print("  dirty %x\n", entry_of(2) & D);
  WRITE_CR(0, READ_CR(0) | CR0_WP);
  flush();
  set(2, FRAME(2) | P | U);
  TRY("kernel writes it, wp = 1", "mov %%eax, 0x402000");
  print("  accessed, dirty %x\n", entry_of(2) & (A | D));
  set(3, 0);
  TRY_USER("user reads a missing page", "mov 0x403000, %%eax");
  TRY_USER("user writes a missing page", "mov %%eax, 0x403ffc");
  TRY_USER("user writes over the end into a missing page", "mov %%eax, 0x402ffe");
  set(2, FRAME(2) | P | W | U);
  *(volatile u32 *)(FRAME(2) - BACKING + PAGE(0) + 0xffc) = 0x11111111;
  TRY_USER("again, with the first page writable", "movl $-1, 0x402ffe");
  print("  nothing was written: %x\n", *(volatile u16 *)(PAGE(2) + 0xffe));
  set_directory(P | W);
  TRY_USER("user page under a directory entry of the kernel", "mov 0x400000, %%eax");
  set_directory(P | U);
  TRY_USER("writable page under a read-only directory entry", "mov %%eax, 0x400000");
  set_directory(0);
  TRY_USER("missing table", "mov %%eax, 0x400000");
  set_directory(P | W | U);
}

static void state_at_faults(void) {
  set(3, 0);
  set(4, FRAME(4) | P | W | U);
  set(2, FRAME(2) | P | W | U);
#define SHOW_SP print("  esp at the fault %lx\n", trap.sp)
  TRY_USER("push", "mov $0x404000, %%esp\n\tpush %%eax");
  SHOW_SP;
  TRY_USER("pusha over the edge", "mov $0x404010, %%esp\n\tpusha");
  SHOW_SP;
  TRY_USER("call", "mov $0x404000, %%esp\n\tcall 3f\n3:");
  SHOW_SP;
  TRY_USER("enter", "mov $0x404004, %%esp\n\tenter $16, $0\n\tpush %%eax");
  SHOW_SP;
  TRY_USER("enter that touches the new top", "mov $0x404004, %%esp\n\tmov %%esp, %%ebp\n\tenter $0x10, $0");
  SHOW_SP;
  TRY_USER("pop to a missing page", "mov $0x404000, %%esp\n\tpopl 0x403000");
  SHOW_SP;
  TRY_USER("leave with a bad frame", "mov $0x403000, %%ebp\n\tleave\n\tud2");
  TRY_USER("xchg", "mov $7, %%ecx\n\txchg %%ecx, 0x403000");
  print("  ecx %lx\n", trap.cx);
  TRY_USER("rep movsb stops in the middle", "mov $0x402ff0, %%edi\n\tmov $0x404000, %%esi\n\tmov $0x20, %%ecx\n\trep movsb");
  print("  ecx %lx, esi %lx, edi %lx\n", trap.cx, trap.si, trap.di);
  TRY_USER("rep stosl stops in the middle", "mov $0x402fe0, %%edi\n\tmov $0x20, %%ecx\n\trep stosl");
  print("  ecx %lx, edi %lx\n", trap.cx, trap.di);
  TRY_USER("backwards", "std\n\tmov $0x40401c, %%edi\n\tmov $0x20, %%ecx\n\trep stosl");
  print("  ecx %lx, edi %lx\n", trap.cx, trap.di);
  TRY_USER("cmpsb", "mov $0x402ffe, %%esi\n\tmov $0x404000, %%edi\n\tmov $9, %%ecx\n\trepe cmpsb");
  print("  ecx %lx, esi %lx\n", trap.cx, trap.si);
}

static void mappings(void) {
  set(5, FRAME(5) | P | W | U);
  set(6, FRAME(5) | P | W | U);
  *(volatile u32 *)PAGE(5) = 0x1234;
  print("two mappings of a page: %x\n", *(volatile u32 *)PAGE(6));
  *(volatile u32 *)PAGE(0) = 0xaaaa;
  set(6, FRAME(0) | P | W | U);
  print("changed mapping after invlpg: %x\n", *(volatile u32 *)PAGE(6));
  if (is_pae)
    pae_tables[2][6] = FRAME(5) | P | W | U;
  else
    tables[1][6] = FRAME(5) | P | W | U;
  flush();
  print("and after cr3: %x\n", *(volatile u32 *)PAGE(6));
  WRITE_CR(4, READ_CR(4) | CR4_PGE);
  set(6, FRAME(0) | P | W | U | G);
  const u32 before = *(volatile u32 *)PAGE(6);
  if (is_pae)
    pae_tables[2][6] = FRAME(5) | P | W | U | G;
  else
    tables[1][6] = FRAME(5) | P | W | U | G;
  flush();
  const u32 after_cr3 = *(volatile u32 *)PAGE(6);
  WRITE_CR(4, READ_CR(4) & ~CR4_PGE);
  print("global page: %x, after cr3 %x, after pge %x\n", before, after_cr3, *(volatile u32 *)PAGE(6));
  set(6, FRAME(0) | P | W | U | PWT | PCD | 0xe00);
  print("cache bits and the three free ones are nobody's business: %x\n", *(volatile u32 *)PAGE(6));
}

static void user_pages_of_the_kernel(void) {
  u32 features[4];
  cpuid(7, 0, features);
  print("smep %d smap %d\n", features[1] >> 7 & 1, features[1] >> 20 & 1);
  kernel_pages(P | W);
  set(7, FRAME(7) | P | W | U);
  *(volatile u8 *)PAGE(7) = 0xc3;
  TRY("kernel calls a user page", "mov $0x407000, %%eax\n\tcall *%%eax");
  if (features[1] >> 7 & 1) {
    WRITE_CR(4, READ_CR(4) | CR4_SMEP);
    TRY("with smep", "mov $0x407000, %%eax\n\tcall *%%eax");
    TRY("smep says nothing of data", "mov 0x407000, %%eax");
    WRITE_CR(4, READ_CR(4) & ~CR4_SMEP);
  }
  if (features[1] >> 20 & 1) {
    WRITE_CR(4, READ_CR(4) | CR4_SMAP);
    TRY("with smap: read", "mov 0x407000, %%eax");
    TRY("with smap: write", "mov %%eax, 0x407000");
    TRY("with smap and ac", "stac\n\tmov 0x407000, %%eax\n\tmov %%eax, 0x407000");
    TRY("and after clac", "stac\n\tmov 0x407000, %%eax\n\tclac\n\tmov 0x407000, %%eax");
    TRY("smap says nothing of execution", "mov $0x407000, %%eax\n\tcall *%%eax");
    set(8, FRAME(8) | P | W | U);
    gdt[FREE_ENTRY] = descriptor(PAGE(8), 0xff, A_LDT);
    asm volatile("stac");
    *(volatile u64 *)PAGE(8) = gdt[DATA / 8];
    asm volatile("clac");
    TRY("the CPU's own access to a descriptor table is not helped by ac",
        "mov %0, %%eax\n\tlldt %%ax\n\tstac\n\tmov $4, %%eax\n\tmov %%ax, %%fs", "i"(SELECTOR(FREE_ENTRY)));
    asm volatile("lldt %w0" : : "r"(0));
    WRITE_CR(4, READ_CR(4) & ~CR4_SMAP);
  }
  kernel_pages(P | W | U);
}

static void large_pages(void) {
  const u32 size = is_pae ? 0x200000 : 0x400000;
  const u32 index = 0xc00000 / size;
#define LARGE(bits) \
  do { \
    if (is_pae) \
      pae_directory[index] = 0x1000000 | (bits) | PS; \
    else \
      directory[index] = 0x1000000 | (bits) | PS; \
    flush(); \
  } while (0)
#define LARGE_BITS (is_pae ? (u32)pae_directory[index] & 0xfff : directory[index] & 0xfff)
  LARGE(P | W | U);
  *(volatile u32 *)0xc12344 = 0x77;
  print("large page: %x", LARGE_BITS);
  LARGE(P | W | U);
  (void)*(volatile u32 *)0xc12344;
  print(", only read %x\n", LARGE_BITS);
  LARGE(P | W);
  TRY_USER("user reads a large page of the kernel", "mov 0xc12344, %%eax");
  LARGE(P | U);
  TRY_USER("user writes a read-only large page", "mov %%eax, 0xc12344");
  if (!is_pae) {
    LARGE(P | W | U | 1u << 21);
    TRY("reserved bit 21", "mov 0xc12344, %%eax");
  } else {
    LARGE(P | W | U | 1u << 13);
    TRY("reserved bit 13", "mov 0xc12344, %%eax");
    TRY_USER("reserved bit, user writes", "mov %%eax, 0xc12344");
    pae_directory[index] = 0x1000000 | P | W | U | PS | 1ull << 58;
    flush();
    TRY("reserved bit 58", "mov 0xc12344, %%eax");
    pae_directory[index] = 0;
  }
}

static void no_execute(void) {
  set(9, FRAME(9) | P | W | U);
  *(volatile u8 *)PAGE(9) = 0xc3;
  set(9, FRAME(9) | P | W | U | NX);
  TRY("nx is reserved without efer.nxe", "mov 0x409000, %%eax");
  write_msr(MSR_EFER, read_msr(MSR_EFER) | EFER_NXE);
  flush();
  TRY("data of an nx page", "mov 0x409000, %%eax\n\tmov %%eax, 0x409000");
  TRY("execution of an nx page", "mov $0x409000, %%eax\n\tcall *%%eax");
  TRY_USER("execution of an nx page by user", "mov $0x409000, %%eax\n\tcall *%%eax");
  set(9, 0);
  TRY_USER("execution of a missing page tells that too", "mov $0x409000, %%eax\n\tcall *%%eax");
  set(9, FRAME(9) | P | W | U);
  TRY("execution without nx", "mov $0x409000, %%eax\n\tcall *%%eax");
  pae_directory[2] |= NX;
  flush();
  TRY("nx in the directory counts too", "mov $0x409000, %%eax\n\tcall *%%eax");
  pae_directory[2] &= ~NX;
  set(9, FRAME(9) | P | W | U | 1ull << 52);
  TRY("reserved bit 52", "mov 0x409000, %%eax");
  set(9, 0);
  write_msr(MSR_EFER, read_msr(MSR_EFER) & ~(u64)EFER_NXE);
}

static void common(void) {
  rights();
  state_at_faults();
  mappings();
  user_pages_of_the_kernel();
  large_pages();
}

void kernel_main(u32 magic, u32 info) {
  (void)magic, (void)info;
  print("two levels\n");
  start(0);
  common();
  stop();
  print("pae\n");
  start(1);
  common();
  no_execute();
  TRY("missing page-directory pointer", "mov 0x40000000, %%eax");
}
