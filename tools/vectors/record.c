/*
 * Executes single instructions on the real CPU and reports what they did.
 *
 * stdin:  one `struct setup` with its pages, descriptors and profiles, then `struct state` after
 *         `struct state` (src/interp/vectors-state.ts writes both); code that is longer than
 *         `state.code` (streams of instructions) follows its state.
 * stdout: one `struct result` per state, each followed by its runs of changed memory.
 *
 * A state is entered by rt_sigreturn with EFLAGS.TF set: that loads every register, RSP, CS and SS included,
 * at one stroke, and the CPU stops again after one instruction with #DB. Signal delivery reads the state back,
 * on an alternate stack, so nothing that the instruction does to RSP can hurt. Where TF would stop in mid-instruction
 * (REP) the INT3 that follows the instruction stops it. All of this is below 4 GiB or far above it: the recorder is a
 * position-independent executable, so that whatever an instruction addresses below 4 GiB is a test page or nothing.
 */
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <asm/prctl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#define MAX_PAGES 16
#define MAX_PROFILES 16
#define MAX_CODE 4096
#define WINDOWS 3
#define WINDOW_BYTES 256

#define PAGE_WRITE 1
#define PAGE_EXECUTE 2

#define VECTOR_NONE (-1)
#define VECTOR_TIMEOUT (-2)

struct page {
  uint32_t address;
  uint32_t flags;
  uint8_t bytes[4096];
};

struct descriptor {
  uint32_t index, base, limit;
  uint8_t contents, readExecOnly, notPresent, is32, pages, pad[3];
};

struct profile {
  uint16_t cs, ss, ds, es, fs, gs;
  uint16_t is64, pad;
  uint64_t fsBase, gsBase;
};

struct setup {
  uint32_t pages, descriptors, profiles;
  uint32_t window[WINDOWS];
};

struct state {
  uint32_t codeLinear, codeLength;
  uint8_t code[16];
  uint64_t rip;
  uint64_t gpr[16];
  uint32_t eflags, mxcsr;
  uint16_t fcw, fsw;
  uint8_t ftw, stop, profile, pad;
  uint8_t st[8][16];
  uint8_t xmm[16][16];
  uint8_t window[WINDOWS][WINDOW_BYTES];
} __attribute__((packed));
_Static_assert(sizeof(struct state) == 1328, "struct state is as vectors-state.ts writes it");

struct result {
  int32_t vector;
  uint32_t error;
  uint64_t cr2, rip;
  uint64_t gpr[16];
  uint32_t eflags, mxcsr;
  uint16_t fcw, fsw;
  uint8_t ftw, pad[3];
  uint16_t segment[6];
  uint32_t pad1;
  uint64_t fsBase, gsBase;
  uint8_t st[8][16];
  uint8_t xmm[16][16];
  uint32_t memoryBytes;
} __attribute__((packed));
_Static_assert(sizeof(struct result) == 588, "struct result is as vectors-state.ts reads it");

static struct setup setup;
static struct page pages[MAX_PAGES];
static struct profile profiles[MAX_PROFILES];
/* Where the recorder itself writes each page, whatever its protection. */
static uint8_t *alias[MAX_PAGES];

static struct state state;
static struct result result;
static volatile int inTest, ticks, finishedBy;

static uint8_t alternateStack[1 << 16] __attribute__((aligned(64)));
static ucontext_t frame[1] __attribute__((aligned(64)));
static struct _libc_fpstate fpstate __attribute__((aligned(64)));

uint64_t savedRsp, hostFsBase, seenFsBase, seenGsBase;
/* ds es fs gs to load, and those that were found. */
uint16_t loadSegments[4], seenSegments[4];
uint64_t loadFsBase, loadGsBase, loadBases;

void runCase(void *context);
void finishCase(void) __attribute__((noreturn));
void onSignal(int, siginfo_t *, void *);
void handleSignal(int, siginfo_t *, void *);

__asm__(
    ".text\n"
    ".globl runCase\n"
    "runCase:\n"
    "  push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
    "  mov %rsp, savedRsp(%rip)\n"
    "  mov loadSegments(%rip), %ds\n"
    "  mov loadSegments+2(%rip), %es\n"
    "  mov loadSegments+4(%rip), %fs\n"
    "  mov loadSegments+6(%rip), %gs\n"
    "  cmpq $0, loadBases(%rip)\n"
    "  je 1f\n"
    "  mov loadFsBase(%rip), %rax\n"
    "  wrfsbase %rax\n"
    "  mov loadGsBase(%rip), %rax\n"
    "  wrgsbase %rax\n"
    "1: mov %rdi, %rsp\n"
    "  mov $15, %eax\n" /* rt_sigreturn */
    "  syscall\n"
    "  ud2\n"
    ".globl finishCase\n"
    "finishCase:\n"
    "  mov savedRsp(%rip), %rsp\n"
    "  push $0x202; popf\n"
    "  pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
    "  ret\n"
    ".globl onSignal\n"
    "onSignal:\n"
    "  push $0x202; popf\n" /* AC and NT are the test's */
    "  mov %ds, %ax; mov %ax, seenSegments(%rip)\n"
    "  mov %es, %ax; mov %ax, seenSegments+2(%rip)\n"
    "  mov %fs, %ax; mov %ax, seenSegments+4(%rip)\n"
    "  mov %gs, %ax; mov %ax, seenSegments+6(%rip)\n"
    "  rdfsbase %rax; mov %rax, seenFsBase(%rip)\n"
    "  rdgsbase %rax; mov %rax, seenGsBase(%rip)\n"
    "  xor %eax, %eax; mov %eax, %fs; mov %eax, %gs\n"
    "  mov hostFsBase(%rip), %rax\n"
    "  wrfsbase %rax\n"
    "  jmp handleSignal\n");

/* TLS works again here; still no libc: whatever was interrupted is abandoned, never resumed. */
void handleSignal(int signal, siginfo_t *info, void *context) {
  (void)info;
  const ucontext_t *uc = context;
  const greg_t *g = uc->uc_mcontext.gregs;
  if (!inTest) {
    if (signal == SIGALRM) return;
    static const char text[] = "record: the recorder itself faulted\n";
    (void)!write(2, text, sizeof text - 1);
    _exit(3);
  }
  inTest = 0;
  finishedBy = signal;
  if (signal == SIGALRM) finishCase();

  const uint16_t endRip = (uint16_t)(state.rip + state.codeLength);
  result.vector = (int32_t)g[REG_TRAPNO];
  result.error = (uint32_t)g[REG_ERR];
  result.cr2 = g[REG_CR2];
  result.rip = g[REG_RIP];
  if (result.vector == 1) {
    result.vector = VECTOR_NONE;
  } else if (result.vector == 3 && (uint16_t)result.rip == (uint16_t)(endRip + 1)) {
    /* The INT3 behind the instruction. */
    result.vector = VECTOR_NONE;
    result.rip--;
  }
  static const uint8_t order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                    REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
  for (int i = 0; i < 16; i++) result.gpr[i] = g[order[i]];
  result.eflags = (uint32_t)g[REG_EFL];
  result.segment[0] = seenSegments[1];
  result.segment[1] = (uint16_t)g[REG_CSGSFS];
  result.segment[2] = (uint16_t)((uint64_t)g[REG_CSGSFS] >> 48);
  result.segment[3] = seenSegments[0];
  result.segment[4] = seenSegments[2];
  result.segment[5] = seenSegments[3];
  result.fsBase = seenFsBase;
  result.gsBase = seenGsBase;
  const struct _libc_fpstate *fp = uc->uc_mcontext.fpregs;
  result.mxcsr = fp->mxcsr;
  result.fcw = fp->cwd;
  result.fsw = fp->swd;
  result.ftw = (uint8_t)fp->ftw;
  for (int i = 0; i < 8; i++) __builtin_memcpy(result.st[i], &fp->_st[i], 10);
  __builtin_memcpy(result.xmm, fp->_xmm, sizeof result.xmm);
  finishCase();
}

static void readFully(void *to, size_t bytes, int mayEnd) {
  size_t got = fread(to, 1, bytes, stdin);
  if (got == bytes) return;
  if (mayEnd && got == 0) {
    fflush(stdout);
    exit(0);
  }
  fprintf(stderr, "record: input ends in mid-structure\n");
  exit(2);
}

static void fail(const char *what) {
  perror(what);
  exit(2);
}

static void mapPages(void) {
  int memory = memfd_create("vectors", 0);
  if (memory < 0 || ftruncate(memory, MAX_PAGES * 4096) != 0) fail("record: memfd");
  for (uint32_t i = 0; i < setup.pages; i++) {
    struct page *p = &pages[i];
    int protection = PROT_READ | (p->flags & PAGE_WRITE ? PROT_WRITE : 0) | (p->flags & PAGE_EXECUTE ? PROT_EXEC : 0);
    void *at = mmap((void *)(uintptr_t)p->address, 4096, protection, MAP_SHARED | MAP_FIXED_NOREPLACE, memory, i * 4096);
    if (at != (void *)(uintptr_t)p->address) fail("record: mmap of a test page");
    alias[i] = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory, i * 4096);
    if (alias[i] == MAP_FAILED) fail("record: mmap of an alias");
    memcpy(alias[i], p->bytes, 4096);
  }
  /* Present from the start: a first write to a read-only page would otherwise report a page that is not present. */
  if (mlockall(MCL_CURRENT) != 0) fail("record: mlockall");
  for (uint32_t i = 0; i < setup.pages; i++) (void)*(volatile uint8_t *)(uintptr_t)pages[i].address;
}

static void loadDescriptor(const struct descriptor *d) {
  struct user_desc u;
  memset(&u, 0, sizeof u);
  u.entry_number = d->index;
  u.base_addr = d->base;
  u.limit = d->limit;
  u.seg_32bit = d->is32;
  u.contents = d->contents;
  u.read_exec_only = d->readExecOnly;
  u.limit_in_pages = d->pages;
  u.seg_not_present = d->notPresent;
  u.useable = 1;
  /* Its error comes back as a 32-bit number, which glibc does not take for one. */
  if (syscall(SYS_modify_ldt, 0x11, &u, sizeof u) != 0) {
    fprintf(stderr, "record: modify_ldt refuses descriptor %u\n", d->index);
    exit(2);
  }
}

/* Writes into the test pages and into what they are compared with. Bytes outside every page are dropped. */
static void poke(uint32_t address, const uint8_t *bytes, uint32_t length) {
  for (uint32_t i = 0; i < length; i++) {
    for (uint32_t p = 0; p < setup.pages; p++) {
      uint32_t offset = address + i - pages[p].address;
      if (offset >= 4096) continue;
      alias[p][offset] = bytes[i];
      pages[p].bytes[offset] = bytes[i];
    }
  }
}

static void pokeWindow(uint32_t address, const uint8_t *bytes) {
  for (uint32_t p = 0; p < setup.pages; p++) {
    if ((address & ~4095u) == pages[p].address) {
      uint32_t offset = address & 4095, first = 4096 - offset < WINDOW_BYTES ? 4096 - offset : WINDOW_BYTES;
      memcpy(alias[p] + offset, bytes, first);
      memcpy(pages[p].bytes + offset, bytes, first);
      if (first < WINDOW_BYTES) {
        memcpy(alias[p + 1], bytes + first, WINDOW_BYTES - first);
        memcpy(pages[p + 1].bytes, bytes + first, WINDOW_BYTES - first);
      }
    }
  }
}

static uint8_t runs[MAX_PAGES * 4096 * 5];

/* Collects what changed and puts it back. */
static uint32_t diffMemory(void) {
  uint32_t used = 0;
  for (uint32_t p = 0; p < setup.pages; p++) {
    if (memcmp(alias[p], pages[p].bytes, 4096) == 0) continue;
    for (uint32_t i = 0; i < 4096;) {
      if (alias[p][i] == pages[p].bytes[i]) {
        i++;
        continue;
      }
      uint32_t end = i;
      while (end < 4096 && alias[p][end] != pages[p].bytes[end]) end++;
      uint32_t header[2] = {pages[p].address + i, end - i};
      memcpy(runs + used, header, 8);
      memcpy(runs + used + 8, alias[p] + i, end - i);
      used += 8 + end - i;
      i = end;
    }
    memcpy(alias[p], pages[p].bytes, 4096);
  }
  return used;
}

static void prepareFrame(void) {
  const struct profile *profile = &profiles[state.profile];
  greg_t *g = frame->uc_mcontext.gregs;
  static const uint8_t order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                    REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
  for (int i = 0; i < 16; i++) g[order[i]] = (greg_t)state.gpr[i];
  g[REG_RIP] = (greg_t)state.rip;
  g[REG_EFL] = (state.eflags & ~0x100u) | (state.stop == 0 ? 0x100 : 0);
  g[REG_CSGSFS] = (greg_t)(profile->cs | (uint64_t)profile->ss << 48);
  frame->uc_flags = 6; /* UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS */
  frame->uc_stack.ss_sp = alternateStack;
  frame->uc_stack.ss_size = sizeof alternateStack;
  frame->uc_mcontext.fpregs = &fpstate;
  memset(&fpstate, 0, sizeof fpstate);
  fpstate.cwd = state.fcw;
  fpstate.swd = state.fsw;
  fpstate.ftw = state.ftw;
  fpstate.mxcsr = state.mxcsr;
  for (int i = 0; i < 8; i++) memcpy(&fpstate._st[i], state.st[i], 10);
  memcpy(fpstate._xmm, state.xmm, sizeof state.xmm);
  loadSegments[0] = profile->ds;
  loadSegments[1] = profile->es;
  loadSegments[2] = profile->fs;
  loadSegments[3] = profile->gs;
  loadBases = profile->is64;
  loadFsBase = profile->fsBase;
  loadGsBase = profile->gsBase;
}

int main(void) {
  static char outputBuffer[1 << 20];
  setvbuf(stdout, outputBuffer, _IOFBF, sizeof outputBuffer);
  readFully(&setup, sizeof setup, 0);
  if (setup.pages > MAX_PAGES || setup.profiles > MAX_PROFILES) fail("record: too many pages or profiles");
  readFully(pages, setup.pages * sizeof(struct page), 0);
  for (uint32_t i = 0; i < setup.descriptors; i++) {
    struct descriptor d;
    readFully(&d, sizeof d, 0);
    loadDescriptor(&d);
  }
  readFully(profiles, setup.profiles * sizeof(struct profile), 0);
  mapPages();
  if (syscall(SYS_arch_prctl, ARCH_GET_FS, &hostFsBase) != 0) fail("record: arch_prctl");

  stack_t stack = {.ss_sp = alternateStack, .ss_size = sizeof alternateStack};
  if (sigaltstack(&stack, 0) != 0) fail("record: sigaltstack");
  static const int signals[] = {SIGTRAP, SIGSEGV, SIGILL, SIGFPE, SIGBUS, SIGALRM};
  for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = onSignal;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTART;
    if (sigaction(signals[i], &action, 0) != 0) fail("record: sigaction");
  }
  struct itimerval every = {{0, 300000}, {0, 300000}};
  setitimer(ITIMER_REAL, &every, 0);

  static uint8_t filler[MAX_CODE], longCode[MAX_CODE];
  memset(filler, 0xcc, sizeof filler);
  for (;;) {
    readFully(&state, sizeof state, 1);
    if (state.profile >= setup.profiles || state.codeLength > MAX_CODE) fail("record: bad state");
    uint8_t *code = state.code;
    if (state.codeLength > sizeof state.code) readFully(code = longCode, state.codeLength, 0);
    for (int i = 0; i < WINDOWS; i++) pokeWindow(setup.window[i], state.window[i]);
    poke(state.codeLinear, code, state.codeLength);
    ticks = 0;
    for (;;) {
      memset(&result, 0, sizeof result);
      prepareFrame();
      inTest = 1;
      runCase(frame);
      result.memoryBytes = diffMemory();
      if (finishedBy != SIGALRM) break;
      /* Interrupted by the watchdog: once more from the start, unless it keeps happening. */
      if (++ticks == 3) {
        result.vector = VECTOR_TIMEOUT;
        break;
      }
    }
    poke(state.codeLinear, filler, state.codeLength);
    fwrite(&result, sizeof result, 1, stdout);
    fwrite(runs, 1, result.memoryBytes, stdout);
  }
}
