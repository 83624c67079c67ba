/* Real mode: the way there and back, vectors, limits of 64 KiB, big ("unreal") segments, address line 20. */
#include "runtime.h"

#define SEGMENT 0x7000
#define BASE (SEGMENT << 4)
#define RESULTS ((volatile u16 *)(BASE + 0xe000))

extern const u8 blob_start[], blob_end[];
VISIBLE static u32 saved_sp, wanted;
VISIBLE static struct {
  u16 limit;
  u32 base;
} __attribute__((packed)) saved_idtr;
void call_real(void);

/*
 * call_real copies nothing: the blob is at 7000:0 already. It goes through 16-bit protected mode (selectors CODE16 and DATA16),
 * clears PE, calls the piece whose offset is in `wanted`, and comes back. An exception ends the piece.
 */
#define OFFSET(label) #label "-blob_start"
asm("call_real:\n\t"
    "pusha\n\tsidt saved_idtr\n\tmov %esp, saved_sp\n\tmov wanted, %edx\n\t"
    "ljmp $0x18, $" OFFSET(small) "\n"
    "back:\n\t"
    "mov $0x10, %eax\n\tmov %ax, %ds\n\tmov %ax, %es\n\tmov %ax, %ss\n\tmov saved_sp, %esp\n\t"
    "xor %eax, %eax\n\tmov %ax, %fs\n\tmov %ax, %gs\n\tlidt saved_idtr\n\tpopa\n\tret\n"
    ".code16\n"
    ".balign 8\nblob_start:\n"
    "small:\n\t"
    "mov $0x20, %ax\n\tmov %ax, %ds\n\tmov %ax, %es\n\tmov %ax, %ss\n\tmov %ax, %gs\n\t"
    "mov $0x58, %ax\n\tmov %ax, %fs\n\t" /* stays big, if the kernel made it so */
    "lidtl " OFFSET(vectors) "\n\t"
    "mov %cr0, %eax\n\tand $0xfe, %al\n\tmov %eax, %cr0\n\tljmp $0x7000, $" OFFSET(real) "\n"
    "real:\n\t"
    "mov $0x7000, %ax\n\tmov %ax, %ds\n\tmov %ax, %es\n\tmov %ax, %ss\n\tmov $0xd000, %sp\n\txor %eax, %eax\n\tmov %ax, %fs\n\t"
    "call *%dx\n"
    "leave_real:\n\t"
    "cli\n\tmov $0x7000, %ax\n\tmov %ax, %ds\n\tmov %cr0, %eax\n\tor $1, %al\n\tmov %eax, %cr0\n\tljmpl $0x08, $back\n"
    "vectors:\n\t.word 0x3ff\n\t.long 0\n"
    /* Vector n enters at handlers16 + 8 n with IP, CS and FLAGS on the stack. */
    ".balign 8\nhandlers16:\n\t.set vector, 0\n\t.rept 32\n\t.balign 8\n\tpush $vector\n\tjmp note\n\t.set vector, vector + 1\n\t.endr\n"
    "note:\n\t"
    "mov $0x7000, %ax\n\tmov %ax, %ds\n\tmovw $1, 0xe000\n\tpop 0xe002\n\tpop 0xe004\n\tpop 0xe006\n\tpop 0xe008\n\tpushf\n\tpop 0xe00a\n\t"
    "mov %sp, 0xe00c\n\tmov %ss, 0xe00e\n\tmov $0xcffe, %sp\n\tmov $0x7000, %ax\n\tmov %ax, %ss\n\tjmp leave_real\n"
    /* The pieces. */
    "r_store:\n\tmov %cs, 0xe010\n\tsmsw 0xe012\n\tpushf\n\tpop 0xe014\n\tmov %sp, 0xe016\n\tret\n"
    "r_int:\n\tmov $0xbeef, %bx\n\tint $0x13\n\tud2\n"
    "r_int3:\n\tint3\n"
    "r_divide:\n\txor %cx, %cx\n\tdiv %cx\n"
    "r_bound:\n\tmov $9, %ax\n\tbound %ax, 0xe100\n\tret\n"
    "r_undefined:\n\tud2\n"
    "r_limit:\n\tmov 0xffff, %ax\n"
    "r_limit_byte:\n\tmov 0xffff, %al\n\tret\n"
    "r_far:\n\tmov $0x10000, %eax\n\tmov (%eax), %al\n"
    "r_stack:\n\tmov %ss:0xffff, %ax\n"
    "r_wrap:\n\tmov $0xffff, %ax\n\tmov %ax, %es\n\tmov %es:0x10, %ax\n\tmov %ax, 0xe010\n\tret\n"
    "r_lar:\n\tlar %ax, %ax\n"
    "r_lldt:\n\tlldt %ax\n"
    "r_ltr:\n\tltr %ax\n"
    "r_unreal:\n\tmov $0x100000, %eax\n\tmov %fs:(%eax), %ax\n\tmov %ax, 0xe010\n\tret\n"
    "r_step:\n\tpush $0x102\n\tpopf\n\tnop\n\tnop\n"
    "r_fld:\n\tmov %cr0, %eax\n\tor $8, %al\n\tmov %eax, %cr0\n\tfld1\n"
    "r_jump32:\n\tmov $0x12340, %eax\n\tjmp *%eax\n"
    "r_a20_off:\n\tin $0x92, %al\n\tand $0xfd, %al\n\tout %al, $0x92\n\t"
    "mov $0xffff, %ax\n\tmov %ax, %es\n\tmovl $0x5a5aa5a5, %es:0x510\n\tmov %es:0x510, %ebx\n\txor %ax, %ax\n\tmov %ax, %es\n\t"
    "mov %es:0x500, %eax\n\tmov %eax, 0xe010\n\tmov %ebx, 0xe014\n\tin $0x92, %al\n\tmov %al, 0xe018\n\tor $2, %al\n\tout %al, $0x92\n\t"
    "mov $0xffff, %ax\n\tmov %ax, %es\n\tmov %es:0x510, %eax\n\tmov %eax, 0xe01c\n\tret\n"
    "r_large:\n\tmov $0x12345678, %eax\n\tpush %eax\n\tpop %ecx\n\tmov %ecx, 0xe010\n\tpushal\n\tpopal\n\tmov %sp, 0xe014\n\tret\n"
    "r_iret:\n\tpushf\n\tpush %cs\n\tcall 3f\n3:\tpop %ax\n\tadd $6, %ax\n\tpush %ax\n\tiret\n\tmov %sp, 0xe010\n\tret\n"
    "r_lidt:\n\tlidtw " OFFSET(short_table) "\n\tint $0x13\n"
    "short_table:\n\t.word 0x4b\n\t.long 0\n"
    "r_cs_limit:\n\tljmp $0x6fff, $0xffff\n"
    "blob_end:\n"
    ".code32");

#define PIECE(name) \
  ({ \
    extern const u8 r_##name[]; \
    (u32)(r_##name - blob_start); \
  })

static u32 start;

static void try_real(const char *name, u32 piece) {
  for (int index = 0; index < 32; index++) RESULTS[index] = 0;
  wanted = start = piece;
  call_real();
  print("%s: ", name);
  if (RESULTS[0]) {
    print("vector %u +%d cs %x flags %x, then %x, sp %x\n", RESULTS[1], (int)(u16)(RESULTS[2] - start), RESULTS[3],
          RESULTS[4] & 0x7300, RESULTS[5] & 0x7300, RESULTS[6]);
  } else
    print("ok\n");
}
#define TRY_REAL(name, piece) try_real(name, PIECE(piece))

void kernel_main(u32 magic, u32 info) {
  (void)magic, (void)info;
  extern const u8 handlers16[];
  copy((void *)BASE, blob_start, blob_end - blob_start);
  for (u32 vector = 0; vector < 32; vector++) ((volatile u32 *)0)[vector] = SEGMENT << 16 | (u32)(handlers16 - blob_start + vector * 8);
  gdt[CODE16 / 8] = descriptor(BASE, 0xffff, A_CODE);
  gdt[DATA16 / 8] = descriptor(BASE, 0xffff, A_DATA);
  gdt[FREE_ENTRY] = gdt[DATA16 / 8];
  *(volatile u32 *)(BASE + 0xe100) = 8 << 16 | 5;

  TRY_REAL("stores", store);
  print("  cs %x, pe %d, flags %x, sp %x\n", RESULTS[8], RESULTS[9] & 1, RESULTS[10], RESULTS[11]);
  TRY_REAL("int", int);
  TRY_REAL("int3", int3);
  TRY_REAL("division by zero", divide);
  TRY_REAL("bound", bound);
  TRY_REAL("undefined", undefined);
  TRY_REAL("byte at the end of 64 KiB", limit_byte);
  TRY_REAL("single step", step);
  TRY_REAL("1 MiB + 0 with a20", wrap);
  print("  the multiboot header %d\n", RESULTS[8] == 0xb002);
  TRY_REAL("lar", lar);
  TRY_REAL("lldt", lldt);
  TRY_REAL("ltr", ltr);
  TRY_REAL("x87 with ts", fld);
  asm volatile("clts");
  TRY_REAL("32-bit operands", large);
  print("  %x%x, sp %x\n", RESULTS[9], RESULTS[8], RESULTS[10]);
  TRY_REAL("iret", iret);
  print("  sp %x\n", RESULTS[8]);
  TRY_REAL("a20 off", a20_off);
  print("  at 500h %x%x, at 100500h %x%x, port 92h %d; with a20 again the same at 100500h: %d\n", RESULTS[9], RESULTS[8],
        RESULTS[11], RESULTS[10], RESULTS[12] & 2, *(volatile u32 *)&RESULTS[14] == 0x5a5aa5a5);
#ifdef WITH_LIMITS
  TRY_REAL("word over 64 KiB", limit);
  TRY_REAL("byte behind 64 KiB", far);
  TRY_REAL("word of the stack over 64 KiB", stack);
  TRY_REAL("jump behind 64 KiB", jump32);
  TRY_REAL("segment without unreal", unreal);
  TRY_REAL("vector behind the limit of the IDT", lidt);
#endif
  gdt[FREE_ENTRY] = descriptor(0, 0xfffff, A_DATA | A_BIG | A_PAGES);
  TRY_REAL("unreal segment", unreal);
  print("  the multiboot header %d\n", RESULTS[8] == 0xb002);
  TRY("back in protected mode", "ud2");
}
