/* Multiboot header (3.1). ADDRESSED: with the address fields, for a file without a format. */
        .section .multiboot, "a"
        .balign 4
        .globl multiboot_header
#ifdef ADDRESSED
#define FLAGS 0x10003
#else
#define FLAGS 3
#endif
multiboot_header:
        .long 0x1badb002, FLAGS, -(0x1badb002 + FLAGS)
#ifdef ADDRESSED
        .long multiboot_header, load_start, load_end, bss_end, _start
#endif
