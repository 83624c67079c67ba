/*
 * What the benchmark programs stand on instead of a C library, so that every subject executes the same
 * instructions: glibc would pick its routines by CPUID. Linux system calls, 32- and 64-bit x86.
 */
#ifndef RUNTIME_H
#define RUNTIME_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef int s32;
typedef unsigned long long u64;
typedef long long s64;
typedef __SIZE_TYPE__ size;

#define NULL ((void *)0)

/* Defined by each program. The result is its checksum: the same on every machine and in both word sizes. */
extern const char program_name[];
u64 program(u32 scale);

/* What a program that starts itself does then, when its first argument is "child". */
int program_child(void);

long system_call(long number, long a, long b, long c, long d, long e, long f);

/* Ends the process with a message if a system call has failed. */
long check(long result, const char *what);

/* Zeroed pages, readable and writable. */
void *pages(size bytes);
void release(void *start, size bytes);
/* The same and executable. */
void *code_pages(size bytes);

void write_pipe(int file, const void *data, size bytes);
size read_pipe(int file, void *data, size bytes);
void make_pipe(int ends[2]);
void close_file(int file);
int fork_process(void);
void wait_process(int process);
void execute(const char *path, const char *const arguments[]);
void duplicate(int from, int to);
void leave(int status);
int parent_process(void);
int open_file(const char *path);

/* xorshift64*, by Vigna: the same sequence everywhere. */
u32 random_next(u64 *state);
/* One step of FNV-1a over the eight bytes of `value`. */
u64 mix(u64 sum, u64 value);
#define MIX_START 0xcbf29ce484222325ull

void *memcpy(void *to, const void *from, size bytes);
void *memset(void *to, int value, size bytes);

#endif
