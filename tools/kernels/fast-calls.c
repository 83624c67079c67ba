/* SYSENTER, SYSEXIT, SYSCALL and SYSRET in 32-bit protected mode (the latter two as AMD has them there, APM vol. 2, 6.1). */
#include "runtime.h"

#define MSR_SYSENTER_CS 0x174
#define MSR_SYSENTER_ESP 0x175
#define MSR_SYSENTER_EIP 0x176
#define MSR_STAR 0xc0000081u

VISIBLE static u32 seen_cs, seen_ss, seen_sp, seen_flags, seen_cx;
void at_sysenter(void), at_syscall(void);
#define NOTE "mov %cs, %ss:seen_cs\n\tmov %ss, %ss:seen_ss\n\tmov %esp, %ss:seen_sp\n\tmov %ecx, %ss:seen_cx\n\t"
asm("at_sysenter:\n\t" NOTE "pushf\n\tpopl %ss:seen_flags\n\tmov %ebp, %ecx\n\tmov %esi, %edx\n\tsysexit\n"
    "at_syscall:\n\t" NOTE "mov $trap_stack_top, %esp\n\tpushf\n\tpopl %ss:seen_flags\n\tmov %ebp, %esp\n\tsysret\n");

void kernel_main(u32 magic, u32 info) {
  (void)magic, (void)info;
  write_msr(MSR_SYSENTER_CS, 0);
  TRY_USER("sysenter without a selector", "sysenter");
  /* CS, SS of the kernel, CS, SS of the user, one behind the other. */
  gdt[FREE_ENTRY + 0] = gdt[CODE / 8];
  gdt[FREE_ENTRY + 1] = gdt[DATA / 8];
  gdt[FREE_ENTRY + 2] = gdt[USER_CODE / 8];
  gdt[FREE_ENTRY + 3] = gdt[USER_DATA / 8];
  write_msr(MSR_SYSENTER_CS, SELECTOR(FREE_ENTRY));
  write_msr(MSR_SYSENTER_ESP, (word)trap_stack_top);
  write_msr(MSR_SYSENTER_EIP, (word)at_sysenter);
  TRY_USER("sysenter and sysexit",
           "mov %%esp, %%ebp\n\tmov $3f, %%esi\n\tmov $0x77, %%ecx\n\tsysenter\n\tud2\n3:\tmov recover_bp, %%edi\n\tcmp $user_stack_top, %%esp\n\tje 3f\n\tint3\n3:");
  print("  inside: cs %x ss %x, esp the msr's %d, if %d, ecx %x; back: cs %x ss %x if %d\n", seen_cs & 0xffff, seen_ss & 0xffff,
        seen_sp == (word)trap_stack_top, (seen_flags & FLAG_IF) != 0, seen_cx, (u32)trap.cs, (u32)trap.ss, (trap.flags & FLAG_IF) != 0);
  TRY_USER("sysexit at cpl 3", "sysexit");
  print("sysenter msrs: %x %d %d\n", (u32)read_msr(MSR_SYSENTER_CS), (u32)read_msr(MSR_SYSENTER_ESP) == (word)trap_stack_top,
        (u32)read_msr(MSR_SYSENTER_EIP) == (word)at_sysenter);

  TRY_USER("syscall without efer.sce", "syscall");
  write_msr(MSR_EFER, read_msr(MSR_EFER) | EFER_SCE);
  write_msr(MSR_STAR, (u64)(SELECTOR(FREE_ENTRY + 2) | 3) << 48 | (u64)SELECTOR(FREE_ENTRY) << 32 | (word)at_syscall);
  TRY_USER("syscall and sysret", "mov %%esp, %%ebp\n\tsyscall\n\tcmp $user_stack_top, %%esp\n\tje 3f\n\tint3\n3:");
  print("  inside: cs %x ss %x, esp the user's %d, if %d, ecx behind it %d; back: cs %x ss %x if %d\n", seen_cs & 0xffff, seen_ss & 0xffff,
        seen_sp == (word)user_stack_top, (seen_flags & FLAG_IF) != 0, (int)(seen_cx - tried_ip), (u32)trap.cs, (u32)trap.ss,
        (trap.flags & FLAG_IF) != 0);
  TRY_USER("sysret at cpl 3", "sysret");
  write_msr(MSR_EFER, read_msr(MSR_EFER) & ~(u64)EFER_SCE);
  TRY("sysret without efer.sce", "sysret");
}
