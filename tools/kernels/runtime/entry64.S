/* Entry, first page tables, stacks and exception stubs of -m64 kernels. Built as ELF64, converted to ELF32 for the loader. */
#include "multiboot.S"
        .text
        .code32
        .globl _start
_start:
        mov $stack_top, %esp
        cld
        mov %eax, %esi
        mov %ebx, %edi
        /* 4 GiB one to one in 2 MiB pages, kernel and user. */
        movl $page_pointers + 7, page_map
        mov $page_pointers, %edx
        mov $page_directories + 7, %eax
        mov $4, %ecx
1:      mov %eax, (%edx)
        add $0x1000, %eax
        add $8, %edx
        loop 1b
        mov $page_directories, %edx
        mov $0x87, %eax
        mov $2048, %ecx
1:      mov %eax, (%edx)
        add $0x200000, %eax
        add $8, %edx
        loop 1b
        mov $0x20, %eax
        mov %eax, %cr4
        mov $page_map, %eax
        mov %eax, %cr3
        mov $0xc0000080, %ecx
        rdmsr
        or $0x100, %eax
        wrmsr
        mov %cr0, %eax
        or $0x80000000, %eax
        mov %eax, %cr0
        lgdt first_gdtr
        ljmp $0x08, $1f
        .code64
1:      mov $0x10, %eax
        mov %eax, %ds
        mov %eax, %es
        mov %eax, %ss
        mov $stack_top, %esp
        xchg %edi, %esi
        call runtime_start

/* Back from an exception: to where TRY was entered, on its stack, with the kernel's segments. */
        .globl recover
recover:
        mov $0x10, %eax
        mov %eax, %ds
        mov %eax, %es
        mov %eax, %ss
        mov recover_sp, %rsp
        mov recover_bp, %rbp
        xor %eax, %eax
        mov %eax, %fs
        mov %eax, %gs
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
        push %rax
        push %rcx
        push %rdx
        push %rbx
        push %rsp
        push %rbp
        push %rsi
        push %rdi
        push %r8
        push %r9
        push %r10
        push %r11
        push %r12
        push %r13
        push %r14
        push %r15
        cld
        mov %rsp, %rdi
        mov %rsp, %rbx
        and $-16, %rsp
        call on_trap
        mov %rbx, %rsp
        pop %r15
        pop %r14
        pop %r13
        pop %r12
        pop %r11
        pop %r10
        pop %r9
        pop %r8
        pop %rdi
        pop %rsi
        pop %rbp
        add $8, %rsp
        pop %rbx
        pop %rdx
        pop %rcx
        pop %rax
        add $16, %rsp
        iretq

        .section .rodata
        .balign 8
        .globl stubs
stubs:
        .set vector, 0
        .rept 256
        .quad stub_0 + vector * 16
        .set vector, vector + 1
        .endr
first_gdt:
        .quad 0, 0x00af9a000000ffff, 0x00cf92000000ffff
first_gdtr:
        .word 23
        .long first_gdt

        .bss
        .balign 4096
        .globl page_map, page_pointers, page_directories
page_map:
        .skip 4096
page_pointers:
        .skip 4096
page_directories:
        .skip 4 * 4096
        .skip 16384
        .globl stack_top
stack_top:
        .skip 8192
        .globl trap_stack_top
trap_stack_top:
        .skip 8192
        .globl user_stack_top
user_stack_top:
