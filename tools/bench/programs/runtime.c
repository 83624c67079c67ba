#include "runtime.h"

#ifdef __x86_64__
enum {
  NR_READ = 0, NR_WRITE = 1, NR_OPEN = 2, NR_CLOSE = 3, NR_MMAP = 9, NR_MUNMAP = 11, NR_PIPE = 22, NR_DUP2 = 33,
  NR_FORK = 57, NR_EXECVE = 59, NR_EXIT_GROUP = 231, NR_WAIT4 = 61, NR_GETPPID = 110, NR_CLOCK_GETTIME = 228,
};

long system_call(long number, long a, long b, long c, long d, long e, long f) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}

/* The stack pointer at entry is where the kernel put argc. */
__asm__(".globl _start\n_start: xor %ebp, %ebp; mov %rsp, %rdi; and $-16, %rsp; call start");
#else
enum {
  NR_READ = 3, NR_WRITE = 4, NR_OPEN = 5, NR_CLOSE = 6, NR_MMAP = 192, NR_MUNMAP = 91, NR_PIPE = 42, NR_DUP2 = 63,
  NR_FORK = 2, NR_EXECVE = 11, NR_EXIT_GROUP = 252, NR_WAIT4 = 114, NR_GETPPID = 64, NR_CLOCK_GETTIME = 265,
};

long system_call(long number, long a, long b, long c, long d, long e, long f);
/* ebp carries the sixth argument, which the compiler cannot be asked for. */
__asm__("system_call: push %ebx; push %esi; push %edi; push %ebp\n"
        "mov 20(%esp), %eax; mov 24(%esp), %ebx; mov 28(%esp), %ecx; mov 32(%esp), %edx\n"
        "mov 36(%esp), %esi; mov 40(%esp), %edi; mov 44(%esp), %ebp\n"
        "int $0x80; pop %ebp; pop %edi; pop %esi; pop %ebx; ret");

__asm__(".globl _start\n_start: xor %ebp, %ebp; mov %esp, %eax; and $-16, %esp; sub $12, %esp; push %eax; call start");
#endif

static const char *const *environment;

static size length(const char *text) {
  size n = 0;
  while (text[n] != 0) n++;
  return n;
}

static int equal(const char *a, const char *b) {
  while (*a != 0 && *a == *b) a++, b++;
  return *a == *b;
}

void leave(int status) {
  for (;;) system_call(NR_EXIT_GROUP, status, 0, 0, 0, 0, 0);
}

long check(long result, const char *what) {
  if (result >= 0 || result < -4095) return result;
  system_call(NR_WRITE, 2, (long)program_name, length(program_name), 0, 0, 0);
  system_call(NR_WRITE, 2, (long)": failed: ", 10, 0, 0, 0);
  system_call(NR_WRITE, 2, (long)what, length(what), 0, 0, 0);
  system_call(NR_WRITE, 2, (long)"\n", 1, 0, 0, 0);
  leave(1);
  return 0;
}

static void *map(size bytes, int protection) {
  /* MAP_PRIVATE | MAP_ANONYMOUS */
  return (void *)check(system_call(NR_MMAP, 0, bytes, protection, 0x22, -1, 0), "mmap");
}

void *pages(size bytes) { return map(bytes, 3); }

void *code_pages(size bytes) { return map(bytes, 7); }

void release(void *start, size bytes) { check(system_call(NR_MUNMAP, (long)start, bytes, 0, 0, 0, 0), "munmap"); }

void write_pipe(int file, const void *data, size bytes) {
  const u8 *from = data;
  while (bytes > 0) {
    long done = check(system_call(NR_WRITE, file, (long)from, bytes, 0, 0, 0), "write");
    from += done;
    bytes -= done;
  }
}

size read_pipe(int file, void *data, size bytes) {
  return check(system_call(NR_READ, file, (long)data, bytes, 0, 0, 0), "read");
}

void make_pipe(int ends[2]) { check(system_call(NR_PIPE, (long)ends, 0, 0, 0, 0, 0), "pipe"); }

void close_file(int file) { system_call(NR_CLOSE, file, 0, 0, 0, 0, 0); }

int open_file(const char *path) { return check(system_call(NR_OPEN, (long)path, 0, 0, 0, 0, 0), path); }

int fork_process(void) { return check(system_call(NR_FORK, 0, 0, 0, 0, 0, 0), "fork"); }

void wait_process(int process) { check(system_call(NR_WAIT4, process, 0, 0, 0, 0, 0), "wait4"); }

void duplicate(int from, int to) { check(system_call(NR_DUP2, from, to, 0, 0, 0, 0), "dup2"); }

int parent_process(void) { return system_call(NR_GETPPID, 0, 0, 0, 0, 0, 0); }

void execute(const char *path, const char *const arguments[]) {
  check(system_call(NR_EXECVE, (long)path, (long)arguments, (long)environment, 0, 0, 0), path);
}

u32 random_next(u64 *state) {
  u64 x = *state;
  x ^= x >> 12;
  x ^= x << 25;
  x ^= x >> 27;
  *state = x;
  return (u32)((x * 0x2545f4914f6cdd1dull) >> 32);
}

u64 mix(u64 sum, u64 value) {
  for (int i = 0; i < 8; i++) {
    sum = (sum ^ (value & 0xff)) * 0x100000001b3ull;
    value >>= 8;
  }
  return sum;
}

__attribute__((optimize("no-tree-loop-distribute-patterns"))) void *memcpy(void *to, const void *from, size bytes) {
  u8 *d = to;
  const u8 *s = from;
  while (bytes-- > 0) *d++ = *s++;
  return to;
}

__attribute__((optimize("no-tree-loop-distribute-patterns"))) void *memset(void *to, int value, size bytes) {
  u8 *d = to;
  while (bytes-- > 0) *d++ = (u8)value;
  return to;
}

/* CLOCK_MONOTONIC in microseconds. */
static u64 now(void) {
  struct { long seconds, nanoseconds; } time;
  check(system_call(NR_CLOCK_GETTIME, 1, (long)&time, 0, 0, 0, 0), "clock_gettime");
  return (u64)(unsigned long)time.seconds * 1000000 + (u32)time.nanoseconds / 1000;
}

static char *put_text(char *at, const char *text) {
  while (*text != 0) *at++ = *text++;
  return at;
}

static char *put_hex(char *at, u64 value) {
  for (int shift = 60; shift >= 0; shift -= 4) *at++ = "0123456789abcdef"[(value >> shift) & 15];
  return at;
}

static char *put_decimal(char *at, u32 value) {
  if (value >= 10) at = put_decimal(at, value / 10);
  *at++ = '0' + value % 10;
  return at;
}

static u32 number(const char *text) {
  u32 value = 0;
  while (*text >= '0' && *text <= '9') value = value * 10 + (*text++ - '0');
  return value;
}

/* In one system call, so that no other line gets between. */
static void print(const char *line, const char *end) {
  system_call(NR_WRITE, 1, (long)line, end - line, 0, 0, 0);
}

__attribute__((used)) void start(const long *stack) {
  const char *const *arguments = (const char *const *)(stack + 1);
  environment = arguments + stack[0] + 1;
  const char *first = stack[0] > 1 ? arguments[1] : "1";
  if (equal(first, "child")) leave(program_child());
  char line[160];
  char *end = put_text(line, "@bench start ");
  end = put_text(end, program_name);
  *end++ = '\n';
  print(line, end);
  u64 from = now();
  u64 sum = program(number(first));
  u64 to = now();
  end = put_text(line, "@bench end ");
  end = put_text(end, program_name);
  *end++ = ' ';
  end = put_hex(end, sum);
  *end++ = ' ';
  end = put_decimal(end, (u32)(to - from));
  *end++ = '\n';
  print(line, end);
  leave(0);
}

__attribute__((weak)) int program_child(void) { return 0; }
