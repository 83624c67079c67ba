/* probe CW SW TW INSN(hex bytes) [st0 st1 ... as SEXP:SIG hex] [m=HEXBYTES] : runs one instruction, prints the state after it. */
#include "machine.h"

int main(int argc, char **argv) {
  machine_open();
  image in, out;
  memset(&in, 0, sizeof in);
  in.control = strtoul(argv[1], 0, 16);
  in.status = strtoul(argv[2], 0, 16);
  in.tag = strtoul(argv[3], 0, 16);
  uint8_t insn[16];
  int length = 0;
  for (char *p = argv[4]; *p && p[1]; p += 2) { char b[3] = {p[0], p[1], 0}; insn[length++] = strtoul(b, 0, 16); }
  static uint8_t mem[1024] __attribute__((aligned(64)));
  memset(mem, 0xcc, 128);
  int st = 0;
  for (int i = 5; i < argc; i++) {
    if (argv[i][0] == 'm' && argv[i][1] == '=') {
      int n = 0;
      for (char *p = argv[i] + 2; *p && p[1]; p += 2) { char b[3] = {p[0], p[1], 0}; mem[n++] = strtoul(b, 0, 16); }
    } else {
      char *colon;
      uint16_t se = strtoul(argv[i], &colon, 16);
      uint64_t sig = strtoull(colon + 1, 0, 16);
      memcpy(in.st[st], &sig, 8);
      memcpy(in.st[st] + 8, &se, 2);
      st++;
    }
  }
  uint64_t flags = assemble(insn, length)(&in, &out, mem, 2);
  printf("cw %04x sw %04x (top %d C3 %d C2 %d C1 %d C0 %d ex %02x) tw %04x fip+%x cs %04x op %03x fdp %+ld ds %04x flags %03lx\n", out.control,
         out.status, out.status >> 11 & 7, out.status >> 14 & 1, out.status >> 10 & 1, out.status >> 9 & 1, out.status >> 8 & 1,
         out.status & 0xff, out.tag, out.code_offset - (uint32_t)(uintptr_t)code_page, out.code_selector, out.opcode,
         (long)out.data_offset - (long)(uint32_t)(uintptr_t)mem, out.data_selector, flags);
  for (int i = 0; i < 3; i++) {
    uint64_t sig; uint16_t se;
    memcpy(&sig, out.st[i], 8);
    memcpy(&se, out.st[i] + 8, 2);
    printf(" st%d %04x:%016lx", i, se, sig);
  }
  printf("\n mem");
  for (int i = 0; i < 28; i++) printf(" %02x", mem[i]);
  printf("\n");
}
