/* A bytecode interpreter with switch dispatch: indirect jumps that are hard to predict. It runs a sieve and Collatz sequences. */
#include "runtime.h"

const char program_name[] = "bytecode";

enum { PUSH, LOAD, STORE, GET, PUT, ADD, MUL, HALVE, AND, LESS, JUMP, JUMP_ZERO, INCREMENT, DUPLICATE, HALT };

enum { RESULT, I, J, LIMIT };
static s32 variables[4];
static u8 array[8192];

static s32 execute_code(const s32 *code) {
  s32 stack[32];
  s32 *top = stack;
  const s32 *at = code;
  for (;;) {
    switch (*at++) {
      case PUSH: *top++ = *at++; break;
      case LOAD: *top++ = variables[*at++]; break;
      case STORE: variables[*at++] = *--top; break;
      case GET: top[-1] = array[top[-1]]; break;
      case PUT: top -= 2; array[top[0]] = (u8)top[1]; break;
      case ADD: top--; top[-1] += top[0]; break;
      case MUL: top--; top[-1] *= top[0]; break;
      case HALVE: top[-1] = (s32)((u32)top[-1] >> 1); break;
      case AND: top--; top[-1] &= top[0]; break;
      case LESS: top--; top[-1] = top[-1] < top[0]; break;
      case JUMP: at = code + *at; break;
      case JUMP_ZERO: at = *--top == 0 ? code + *at : at + 1; break;
      case INCREMENT: variables[*at++]++; break;
      case DUPLICATE: *top = top[-1]; top++; break;
      case HALT: return variables[RESULT];
    }
  }
}

static s32 sieve[128], collatz[128];
static s32 *out;

static void op(s32 code) { *out++ = code; }
static void op1(s32 code, s32 operand) { *out++ = code, *out++ = operand; }
static void set(s32 variable, s32 value) { op1(PUSH, value), op1(STORE, variable); }
/* Leaves the loop or skips unless variable < limit; the result is where the target belongs. */
static s32 *unless_less(s32 variable, s32 limit) {
  op1(LOAD, variable), op1(LOAD, limit), op(LESS), op1(JUMP_ZERO, 0);
  return out - 1;
}

/* RESULT = how many primes are below LIMIT. */
static void make_sieve(void) {
  out = sieve;
  set(RESULT, 0), set(I, 2), set(LIMIT, sizeof array);
  s32 *outer = out;
  s32 *end = unless_less(I, LIMIT);
  op1(LOAD, I), op(GET), op1(JUMP_ZERO, 0);
  s32 *composite = out - 1;
  op1(INCREMENT, RESULT), op1(LOAD, I), op(DUPLICATE), op(ADD), op1(STORE, J);
  s32 *inner = out;
  s32 *done = unless_less(J, LIMIT);
  op1(LOAD, J), op1(PUSH, 0), op(PUT), op1(LOAD, J), op1(LOAD, I), op(ADD), op1(STORE, J), op1(JUMP, inner - sieve);
  *composite = *done = out - sieve;
  op1(INCREMENT, I), op1(JUMP, outer - sieve);
  *end = out - sieve;
  op(HALT);
}

/* RESULT = all steps of the sequences that start below LIMIT. */
static void make_collatz(void) {
  out = collatz;
  set(RESULT, 0), set(I, 1), set(LIMIT, 1000);
  s32 *outer = out;
  s32 *end = unless_less(I, LIMIT);
  op1(LOAD, I), op1(STORE, J);
  s32 *inner = out;
  op1(PUSH, 1), op1(LOAD, J), op(LESS), op1(JUMP_ZERO, 0);
  s32 *done = out - 1;
  op1(INCREMENT, RESULT), op1(LOAD, J), op1(PUSH, 1), op(AND), op1(JUMP_ZERO, 0);
  s32 *even = out - 1;
  op1(LOAD, J), op1(PUSH, 3), op(MUL), op1(PUSH, 1), op(ADD), op1(STORE, J), op1(JUMP, inner - collatz);
  *even = out - collatz;
  op1(LOAD, J), op(HALVE), op1(STORE, J), op1(JUMP, inner - collatz);
  *done = out - collatz;
  op1(INCREMENT, I), op1(JUMP, outer - collatz);
  *end = out - collatz;
  op(HALT);
}

u64 program(u32 scale) {
  u64 sum = MIX_START;
  make_sieve();
  make_collatz();
  for (u32 pass = 0; pass < scale * 8; pass++) {
    memset(array, 1, sizeof array);
    sum = mix(sum, execute_code(sieve));
    sum = mix(sum, execute_code(collatz));
  }
  return sum;
}
