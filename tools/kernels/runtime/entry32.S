/* Entry, stacks and exception stubs of -m32 kernels. */
#include "multiboot.S"
        .text
        .globl _start
_start:
        mov $stack_top, %esp
        cld
        push %ebx
        push %eax
        call runtime_start

/* Back from an exception: to where TRY was entered, on its stack, with the kernel's segments. */
        .globl recover
recover:
        mov $0x10, %eax
        mov %ax, %ds
        mov %ax, %es
        mov %ax, %ss
        mov recover_sp, %esp
        mov recover_bp, %ebp
        xor %eax, %eax
        mov %ax, %fs
        mov %ax, %gs
        push $2
        popf
        jmp *recover_ip

        .balign 16
stub_0:
        .set vector, 0
        .rept 256
        .balign 16
        .if (vector == 8) || ((vector >= 10) && (vector <= 14)) || (vector == 17) || (vector == 21) || (vector == 29) || (vector == 30)
        .else
        push $0
        .endif
        push $vector
        jmp common
        .set vector, vector + 1
        .endr

common:
        pusha
        push %ds
        push %es
        mov $0x10, %eax
        mov %ax, %ds
        mov %ax, %es
        cld
        push %esp
        call on_trap
        add $4, %esp
        pop %es
        pop %ds
        popa
        add $8, %esp
        iret

        .section .rodata
        .balign 4
        .globl stubs
stubs:
        .set vector, 0
        .rept 256
        .long stub_0 + vector * 16
        .set vector, vector + 1
        .endr

        .bss
        .balign 16
        .skip 16384
        .globl stack_top
stack_top:
        .skip 8192
        .globl trap_stack_top
trap_stack_top:
        .skip 8192
        .globl user_stack_top
user_stack_top:
