/*
 * Runs one x87 instruction on this machine's CPU from a given FPU state and returns the state after it.
 * The instruction is assembled into an executable page between FRSTOR and FNSAVE, neither of which looks
 * at pending exceptions after the load, so that unmasked exceptions can be recorded without a signal.
 */
#ifndef RECORD_X87_MACHINE_H
#define RECORD_X87_MACHINE_H
#include <stdint.h>
#include <string.h>
#include <stdlib.h>
#include <stdio.h>
#include <sys/mman.h>

/* The 108-byte image of FNSAVE, 32-bit protected-mode format. */
typedef struct __attribute__((packed)) {
  uint16_t control, pad0, status, pad1, tag, pad2;
  uint32_t code_offset;
  uint16_t code_selector, opcode;
  uint32_t data_offset;
  uint16_t data_selector, pad3;
  uint8_t st[8][10];
} image;

typedef uint64_t (*runner)(const image *in, image *out, void *mem, uint64_t flags);

static uint8_t *code_page;

static void machine_open(void) {
  code_page = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (code_page == MAP_FAILED) { perror("mmap"); exit(1); }
}

/* Assembles: mov rax,rdx; push rcx; popfq; frstor [rdi]; <insn>; fnsave [rsi]; pushfq; pop rax; ret.
 * Memory operands of the instruction are [rdx]. */
static runner assemble(const uint8_t *insn, int length) {
  static const uint8_t head[] = {0x48, 0x89, 0xd0, 0x51, 0x9d, 0xdd, 0x27};
  static const uint8_t tail[] = {0xdd, 0x36, 0x9c, 0x58, 0xc3};
  memcpy(code_page, head, sizeof head);
  memcpy(code_page + sizeof head, insn, length);
  memcpy(code_page + sizeof head + length, tail, sizeof tail);
  __builtin___clear_cache((char *)code_page, (char *)code_page + 64);
  return (runner)(void *)code_page;
}
#endif
