/* What a C program of any trade does, printed in full: gcc.sh compiles it at several levels and runs it each time. */
#include <complex.h>
#include <ctype.h>
#include <errno.h>
#include <fenv.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

static uint64_t state = 88172645463325252u;

static uint64_t next_random(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

static uint64_t mix(uint64_t hash, uint64_t value) {
  return (hash ^ value) * UINT64_C(0x100000001b3);
}

static void integers(void) {
  uint64_t hash = UINT64_C(0xcbf29ce484222325);
  for (int i = 0; i < 20000; i++) {
    const uint64_t a = next_random(), b = next_random() >> (next_random() & 63);
    const int64_t sa = (int64_t)a, sb = (int64_t)b;
    hash = mix(hash, a + b), hash = mix(hash, a - b), hash = mix(hash, a * b);
    if (b != 0) hash = mix(hash, a / b), hash = mix(hash, a % b);
    if (sb != 0 && sb != -1) hash = mix(hash, (uint64_t)(sa / sb)), hash = mix(hash, (uint64_t)(sa % sb));
    hash = mix(hash, (a << (b & 63)) | (a >> (-b & 63))), hash = mix(hash, (uint64_t)(sa >> (b & 63)));
    hash = mix(hash, (uint32_t)a * (uint64_t)(uint32_t)b), hash = mix(hash, (uint64_t)((int64_t)(int32_t)a * (int32_t)b));
    hash = mix(hash, (uint16_t)a / ((uint16_t)b | 1)), hash = mix(hash, (uint64_t)((int8_t)a * (int8_t)b));
    hash = mix(hash, (uint64_t)__builtin_popcountll(a)), hash = mix(hash, (uint64_t)__builtin_clzll(a | 1));
    hash = mix(hash, (uint64_t)__builtin_ctzll(b | (UINT64_C(1) << 63))), hash = mix(hash, __builtin_bswap64(a));
    int64_t sum;
    hash = mix(hash, __builtin_add_overflow(sa, sb, &sum) ? 1 : (uint64_t)sum);
    hash = mix(hash, __builtin_mul_overflow(sa, sb, &sum) ? 2 : (uint64_t)sum);
    hash = mix(hash, sa < sb ? 3 : 4), hash = mix(hash, a < b ? 5 : 6), hash = mix(hash, (int32_t)a < (int32_t)b ? 7 : 8);
  }
  printf("integers %016" PRIx64 "\n", hash);
  printf("printf [%5d|%-5d|%05d|%+d|%x|%#o|%u|%lld|%" PRIu64 "|%hhd|%c|%5s|%.2s|%%]\n", 42, 42, 42, 42, 48879, 8, 4000000000u,
         -1234567890123456789ll, UINT64_MAX, (char)200, 'c', "ab", "abcdef");
}

static uint64_t bits(double value) {
  uint64_t result;
  memcpy(&result, &value, sizeof result);
  return result;
}

static void doubles(void) {
  uint64_t hash = 0;
  for (int i = 0; i < 20000; i++) {
    const double a = (double)(int64_t)next_random() / 1e10, b = (double)(next_random() >> 20) * 1e-7 + 1e-3;
    const float f = (float)a, g = (float)b;
    hash = mix(hash, bits(a + b)), hash = mix(hash, bits(a - b)), hash = mix(hash, bits(a * b)), hash = mix(hash, bits(a / b));
    hash = mix(hash, bits(sqrt(fabs(a)))), hash = mix(hash, bits(f * g)), hash = mix(hash, bits(f / g + f));
    hash = mix(hash, (uint64_t)(int64_t)(a / 3)), hash = mix(hash, (uint64_t)(int32_t)(b)), hash = mix(hash, bits(floor(a) + ceil(b)));
    hash = mix(hash, a < b), hash = mix(hash, (uint64_t)lrint(b)), hash = mix(hash, bits(fmod(a, b))), hash = mix(hash, bits(rint(a * 0.5)));
  }
  printf("doubles %016" PRIx64 "\n", hash);
  printf("printf [%f|%.3f|%e|%g|%a|%10.2f|%-10.1f|%+.0f|%.17g|%Lg]\n", 3.14159, 2.71828, 12345.678, 1e-5, 1.0 / 3, -1.5, 2.25, 0.5,
         0.1, 1.0L / 3);
  printf("limits %g %g %g %.20Lg %Lg\n", DBL_MAX, DBL_MIN, 5e-324, LDBL_EPSILON, LDBL_MAX);
  printf("special %f %f %f %d %d\n", INFINITY, -INFINITY, fabs(NAN), isnan(NAN - INFINITY), fpclassify(1e-310) == FP_SUBNORMAL);
  for (double x = 0.125; x < 40; x *= 2.7)
    printf("libm %a %a %a %a %a %a %a %a\n", sin(x), cos(x), tan(x), exp(-x), log(x), pow(x, 1.7), atan(x), tgamma(x));
  for (float x = 0.125f; x < 40; x *= 2.7f)
    printf("libmf %a %a %a %a %a\n", (double)sinf(x), (double)expf(x), (double)logf(x), (double)powf(x, 1.7f), (double)atan2f(x, 3));
  long double sum = 0;
  for (int i = 1; i <= 3000; i++) sum += 1.0L / i;
  printf("long double %.18Lf %.18Lf %.18Lf %.18Lf %La\n", sum, sinl(1.5L), expl(2.5L), powl(1.1L, 10), fmodl(1e18L, 7.3L));
  const double complex z = cexp(I * 1.25) * csqrt(-3 + 4 * I) / (2 - I);
  printf("complex %.15f %.15f %.15f\n", creal(z), cimag(z), cabs(z));
  static const int modes[] = {FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO};
  for (int i = 0; i < 4; i++) {
    fesetround(modes[i]);
    volatile double one = 1, three = 3;
    volatile long double ten = 10;
    printf("rounding %a %ld %ld %La %.3f\n", one / three, lrint(2.5), lrint(-2.5), one / ten, 1.0005);
  }
  fesetround(FE_TONEAREST);
  feclearexcept(FE_ALL_EXCEPT);
  volatile double zero = 0, tiny = 1e-300, big = 1e300, result;
  result = 1 / zero, printf("exceptions %d", fetestexcept(FE_DIVBYZERO) != 0);
  result = zero / zero, printf(" %d", fetestexcept(FE_INVALID) != 0);
  result = big * big, printf(" %d", fetestexcept(FE_OVERFLOW) != 0);
  result = tiny * tiny, printf(" %d", fetestexcept(FE_UNDERFLOW) != 0);
  result = 1.0 / 3, printf(" %d %g\n", fetestexcept(FE_INEXACT) != 0, result);
}

static int by_text(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static void strings(void) {
  char text[] = "the quick brown fox jumps over the lazy dog and runs away from the bear";
  char *words[32];
  int count = 0;
  for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " ")) words[count++] = word;
  qsort(words, (size_t)count, sizeof *words, by_text);
  for (int i = 0; i < count; i++) printf("%s%s", words[i], i + 1 < count ? " " : "\n");
  char *large = malloc(1 << 20), *other = malloc(1 << 20);
  for (int i = 0; i < 1 << 20; i++) large[i] = (char)('a' + next_random() % 26);
  large[(1 << 20) - 1] = 0;
  memcpy(other, large, 1 << 20);
  memmove(other + 3, other, 500000);
  memset(other + 700001, 'x', 777);
  uint64_t hash = 0;
  for (int i = 0; i < 1 << 20; i++) hash = mix(hash, (unsigned char)other[i]);
  printf("memory %016" PRIx64 " %zu %d %ld %ld\n", hash, strlen(large), memcmp(large, other, 1 << 20) < 0 ? -1 : 1,
         (long)(strstr(large, "abcd") - large), (long)((char *)memchr(large + 1000, 'q', 1000) - large));
  printf("parse %ld %lu %.17g %.17g %d %s\n", strtol("-0x7fff", NULL, 16), strtoul("4294967295", NULL, 10), strtod("1.7976931348623157e308", NULL),
         atof("0.30000000000000004"), toupper('q'), strerror(ENOENT));
  int a, b;
  char word[16];
  printf("scanf %d", sscanf("12 abc 0x1f", "%d %15s %i", &a, word, &b));
  printf(" %d %s %d\n", a, word, b);
  free(large), free(other);
}

static int add_all(int count, ...) {
  va_list list;
  va_start(list, count);
  double sum = 0;
  for (int i = 0; i < count; i++) sum += i % 2 ? va_arg(list, double) : va_arg(list, int);
  va_end(list);
  return (int)(sum * 100);
}

static sigjmp_buf recover;
static volatile sig_atomic_t signal_seen, code_seen;
static void *volatile address_seen;

static void on_fault(int number, siginfo_t *info, void *context) {
  (void)context;
  signal_seen = number, code_seen = info->si_code, address_seen = info->si_addr;
  siglongjmp(recover, 1);
}

static void faults(void) {
  struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
  static const int numbers[] = {SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGBUS};
  for (int i = 0; i < 5; i++) sigaction(numbers[i], &action, NULL);
  char *page = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  volatile int zero = 0, least = INT32_MIN, minus = -1;
  for (volatile int kind = 0; kind < 6; kind++) {
    signal_seen = 0;
    if (sigsetjmp(recover, 1) == 0) {
      if (kind == 0) page[4097] = 1;
      if (kind == 1) *(volatile int *)0x10 = 1;
      if (kind == 2) printf("%d", 7 / zero);
      if (kind == 3) printf("%d", least / minus);
      if (kind == 4) __asm__ volatile("ud2");
      if (kind == 5) __asm__ volatile("int3");
    }
    printf("fault %d: signal %d code %d %s\n", kind, (int)signal_seen, (int)code_seen,
           kind == 0 ? ((char *)address_seen == page + 4097 ? "here" : "elsewhere") : "");
  }
  mprotect(page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC);
  /* mov eax, 42; ret, and then another constant over it. */
  memcpy(page, "\xb8\x2a\0\0\0\xc3", 6);
  int first = ((int (*)(void))page)();
  for (int i = 0; i < 5000; i++) page[1] = (char)(i & 63), first += ((int (*)(void))page)();
  printf("code made at run time %d\n", first);
}

static atomic_int shared;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int guarded;
static __thread int own;

static void *work(void *argument) {
  for (int i = 0; i < 2000; i++) {
    atomic_fetch_add(&shared, 1), own++;
    pthread_mutex_lock(&mutex), guarded += own & 1, pthread_mutex_unlock(&mutex);
  }
  return (void *)((intptr_t)argument * own);
}

static void threads(void) {
  pthread_t all[4];
  intptr_t results = 0;
  for (intptr_t i = 0; i < 4; i++) pthread_create(&all[i], NULL, work, (void *)i);
  for (int i = 0; i < 4; i++) {
    void *result;
    pthread_join(all[i], &result);
    results += (intptr_t)result;
  }
  printf("threads %d %d %ld\n", (int)shared, guarded, (long)results);
}

static int ackermann(int m, int n) {
  return m == 0 ? n + 1 : n == 0 ? ackermann(m - 1, 1) : ackermann(m - 1, ackermann(m, n - 1));
}

static void programs(void) {
  enum { N = 24 };
  static double a[N][N], b[N][N], c[N][N];
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) a[i][j] = i + j * 0.5, b[i][j] = i * 0.25 - j;
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++)
      for (int k = 0; k < N; k++) c[i][j] += a[i][k] * b[k][j];
  double trace = 0;
  for (int i = 0; i < N; i++) trace += c[i][i];
  char sieve[20000] = {0};
  int primes = 0;
  for (int i = 2; i < 20000; i++) {
    if (sieve[i]) continue;
    primes++;
    for (int j = 2 * i; j < 20000; j += i) sieve[j] = 1;
  }
  uint32_t crc = ~0u;
  for (int i = 0; i < 20000; i++) {
    crc ^= (uint8_t)sieve[i];
    for (int k = 0; k < 8; k++) crc = (crc >> 1) ^ (0xedb88320u & -(crc & 1));
  }
  const time_t moment = 1234567890;
  char date[64];
  strftime(date, sizeof date, "%a %d %b %Y %T", gmtime(&moment));
  printf("programs %.6f %d %08x %d %d %s %ls\n", trace, primes, ~crc, ackermann(2, 60), add_all(4, 1, 2.5, 3, 4.25), date, L"wide");
}

int main(void) {
  integers();
  doubles();
  strings();
  faults();
  threads();
  programs();
  return 0;
}
