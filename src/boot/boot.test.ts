import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { bootGuest, planBoot } from './boot.ts';
import type { BootRequest } from './boot-request.ts';
import { ByteWriter } from './byte-writer.ts';
import { memoryMap } from './e820.ts';
import type { BootMemory, Load } from './load.ts';
import { checkLoads, load } from './load.ts';
import { descriptorOf } from './start-state.ts';

const MIB = 0x10_0000;

/** A small relocatable 64-bit bzImage of boot protocol 2.15: one setup sector and 64 KiB of kernel. */
function bzImage(change: (file: ByteWriter) => void = () => undefined): Uint8Array {
  const file = new ByteWriter(1024 + 0x1_0000)
    .u8(0x1f1, 1) // setup_sects
    .u32(0x1f4, 0x1000) // syssize, in 16 bytes
    .u16(0x1fe, 0xaa55)
    .u16(0x200, 0x6aeb) // jump: the header ends at 26Ch
    .ascii(0x202, 'HdrS')
    .u16(0x206, 0x020f)
    .u8(0x211, 1) // LOADED_HIGH
    .u32(0x22c, 0x7fff_ffff) // initrd_addr_max
    .u32(0x230, 0x20_0000) // kernel_alignment
    .u8(0x234, 1)
    .u16(0x236, 0x3f) // xloadflags
    .u32(0x238, 2047) // cmdline_size
    .u64(0x258, 0x100_0000) // pref_address
    .u32(0x260, 0x200_0000) // init_size
    .ascii(1024, 'the kernel');
  change(file);
  return file.bytes;
}

/** An x86-64 ELF file with one segment of 4 KiB (8 KiB in memory) at 16 MiB and a PVH note. */
function vmlinux(change: (file: ByteWriter) => void = () => undefined): Uint8Array {
  const file = new ByteWriter(0x2000)
    .put(0, [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
    .u16(16, 2) // ET_EXEC
    .u16(18, 62) // EM_X86_64
    .u64(24, 0x100_0000)
    .u64(32, 64) // program headers
    .u16(54, 56)
    .u16(56, 2)
    // PT_LOAD
    .u32(64, 1)
    .u64(64 + 8, 0x1000)
    .u64(64 + 24, 0x100_0000)
    .u64(64 + 32, 0x1000)
    .u64(64 + 40, 0x2000)
    // PT_NOTE
    .u32(120, 4)
    .u64(120 + 8, 0x200)
    .u64(120 + 32, 24)
    // namesz, descsz, XEN_ELFNOTE_PHYS32_ENTRY, name, entry
    .u32(0x200, 4)
    .u32(0x204, 8)
    .u32(0x208, 18)
    .ascii(0x20c, 'Xen')
    .u64(0x210, 0x100_0040)
    .ascii(0x1000, 'the kernel');
  change(file);
  return file.bytes;
}

function request(kernel: Uint8Array, more: Partial<BootRequest> = {}): BootRequest {
  return { kernel, commandLine: 'console=ttyS0', ramBytes: 128 * MIB, cpus: 1, ...more };
}

function planned(
  kernel: Uint8Array,
  more: Partial<BootRequest> = {},
): { find(what: string): Load; start: unknown } {
  const plan = planBoot(request(kernel, more));
  if (!plan.ok) throw new Error(plan.error.message);
  return {
    start: plan.value.start,
    find: (what) =>
      plan.value.loads.find((item) => item.what === what) ?? load('missing', -1, new Uint8Array(0)),
  };
}

function u32(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, true);
}

function text(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

describe('bzImage', () => {
  it('is loaded at pref_address without its setup code', () => {
    const kernel = planned(bzImage()).find('The kernel');
    expect(kernel.gpa).toBe(0x100_0000);
    expect(kernel.bytes.length).toBe(0x1_0000);
    expect(text(kernel.bytes.subarray(0, 10))).toBe('the kernel');
  });

  it('is entered in 64-bit mode at 200h with RSI at the zero page', () => {
    expect(planned(bzImage()).start).toMatchObject({
      rip: 0x100_0200,
      general: [0, 0, 0, 0, 0x1_0000, 0, 0x7000, 0, 0, 0, 0, 0, 0, 0, 0, 0],
      rflags: 2,
      cr0: 0x8000_0011,
      cr3: 0x9000,
      cr4: 0x20,
      efer: 0x500,
      segments: {
        cs: { selector: 0x10, base: 0, limit: 0xffff_ffff, attributes: 0xa09b },
        ds: { selector: 0x18, base: 0, limit: 0xffff_ffff, attributes: 0xc093 },
        tr: { selector: 0x20, base: 0, limit: 0x67, attributes: 0x8b },
      },
      gdt: { base: 0x1000, limit: 0x2f },
    });
  });

  it('is entered in protected mode without paging if it has no 64-bit entry', () => {
    expect(planned(bzImage((file) => file.u16(0x236, 0))).start).toMatchObject({
      rip: 0x100_0000,
      general: [0, 0, 0, 0, 0x1_0000, 0, 0x7000, 0, 0, 0, 0, 0, 0, 0, 0, 0],
      rflags: 2,
      cr0: 0x11,
      cr4: 0,
      efer: 0,
      segments: {
        cs: { selector: 0x10, base: 0, limit: 0xffff_ffff, attributes: 0xc09b },
        ds: { selector: 0x18, base: 0, limit: 0xffff_ffff, attributes: 0xc093 },
      },
    });
  });

  it('finds its selectors in the GDT', () => {
    const gdt = planned(bzImage()).find('The first GDT').bytes;
    expect(Array.from(gdt.subarray(0x10, 0x20))).toEqual([
      0xff, 0xff, 0, 0, 0, 0x9b, 0xaf, 0, 0xff, 0xff, 0, 0, 0, 0x93, 0xcf, 0,
    ]);
  });

  it('has the first 4 GiB mapped one to one', () => {
    const { gpa, bytes } = planned(bzImage()).find('The first page tables');
    expect([gpa, u32(bytes, 0), u32(bytes, 0x1000), u32(bytes, 0x1018)]).toEqual([
      0x9000, 0xa003, 0xb003, 0xe003,
    ]);
    expect([u32(bytes, 0x2000), u32(bytes, 0x2008), u32(bytes, 0x5ff8)]).toEqual([
      0x83, 0x20_0083, 0xffe0_0083,
    ]);
  });

  it('gets a zero page with its own header, command line, memory map and ACPI', () => {
    const page = planned(bzImage()).find('The zero page').bytes;
    expect({
      header: text(page.subarray(0x202, 0x206)),
      loader: page[0x210],
      commandLine: u32(page, 0x228),
      rsdp: u32(page, 0x070),
      entries: page[0x1e8],
      firstEntry: [u32(page, 0x2d0), u32(page, 0x2d8), u32(page, 0x2e0)],
      // Behind the header: padding that must be zero.
      behindHeader: u32(page, 0x26c),
    }).toEqual({
      header: 'HdrS',
      loader: 0xff,
      commandLine: 0x2_0000,
      rsdp: 0xf_0000,
      entries: 5,
      firstEntry: [0, 0x9_fc00, 1],
      behindHeader: 0,
    });
  });

  it('gets its command line with a NUL, in UTF-8', () => {
    const { bytes } = planned(bzImage(), { commandLine: 'a=ü€😀' }).find('The command line');
    expect(Array.from(bytes)).toEqual([0x61, 0x3d, 0xc3, 0xbc, 0xe2, 0x82, 0xac, 0xf0, 0x9f, 0x98, 0x80, 0]);
  });

  it('gets its initrd at the end of memory, on a page boundary', () => {
    const initrd = new Uint8Array(5000);
    const plan = planned(bzImage(), { initrd });
    const page = plan.find('The zero page').bytes;
    expect(plan.find('The initrd').gpa).toBe(128 * MIB - 8192);
    expect([u32(page, 0x218), u32(page, 0x21c)]).toEqual([128 * MIB - 8192, 5000]);
  });

  it('gets its initrd below initrd_addr_max', () => {
    const kernel = bzImage((file) => file.u32(0x22c, 0x5ff_ffff));
    expect(planned(kernel, { initrd: new Uint8Array(4096) }).find('The initrd').gpa).toBe(0x600_0000 - 4096);
  });

  it('takes setup_sects 0 as 4', () => {
    const old = new Uint8Array(2560 + 0x1_0000);
    old.set(bzImage((file) => file.u8(0x1f1, 0)).subarray(0, 1024));
    old.set([0x42], 2560);
    expect(planned(old).find('The kernel').bytes[0]).toBe(0x42);
  });
});

describe('vmlinux', () => {
  it('is entered by PVH in 32-bit mode with EBX at the start info', () => {
    expect(planned(vmlinux()).start).toMatchObject({
      rip: 0x100_0040,
      general: [0, 0, 0, 0x2000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
      cr0: 0x11,
      cr4: 0,
      efer: 0,
      segments: {
        cs: { selector: 8, base: 0, limit: 0xffff_ffff, attributes: 0xc09b },
        ss: { selector: 0x10, base: 0, limit: 0xffff_ffff, attributes: 0xc093 },
        tr: { selector: 0x18, base: 0, limit: 0x67, attributes: 0x8b },
      },
    });
  });

  it('is loaded at its physical addresses with the rest of each segment zeroed', () => {
    const kernel = planned(vmlinux()).find('The kernel');
    expect([kernel.gpa, kernel.bytes.length, kernel.memoryBytes]).toEqual([0x100_0000, 0x1000, 0x2000]);
  });

  it('gets a start info with initrd, command line, ACPI and memory map', () => {
    const plan = planned(vmlinux(), { initrd: new Uint8Array(4096) });
    const info = plan.find('The PVH start info').bytes;
    const fields = [0, 4, 8, 12, 16, 24, 32, 40, 48].map((at) => u32(info, at));
    expect(fields).toEqual([0x336e_c578, 1, 0, 1, 0x2040, 0x2_0000, 0xf_0000, 0x2080, 5]);
    // hvm_modlist_entry: address and size; hvm_memmap_table_entry: address, size, type.
    expect([u32(info, 0x40), u32(info, 0x48)]).toEqual([128 * MIB - 4096, 4096]);
    expect([u32(info, 0x80), u32(info, 0x88), u32(info, 0x90)]).toEqual([0, 0x9_fc00, 1]);
  });

  it('has no module list without an initrd', () => {
    const info = planned(vmlinux()).find('The PVH start info').bytes;
    expect([u32(info, 12), u32(info, 16)]).toEqual([0, 0]);
  });
});

describe('what cannot be started', () => {
  it.each<[string, Uint8Array, Partial<BootRequest>, string, string]>([
    ['nothing', new Uint8Array(0), {}, 'bad-kernel', 'The kernel file is empty.'],
    [
      'text',
      Uint8Array.from('#!/bin/sh', (character) => character.charCodeAt(0)),
      {},
      'bad-kernel',
      'The file is not a kernel: it has neither a Linux nor a multiboot header, and is no ELF file.',
    ],
    [
      'a gzip file',
      Uint8Array.of(0x1f, 0x8b, 8),
      {},
      'bad-kernel',
      'The kernel file is gzip-compressed as a whole.',
    ],
    [
      'a disk image',
      new ByteWriter(1024).u16(0x1fe, 0xaa55).bytes,
      {},
      'bad-kernel',
      'The kernel file is a disk image or boot sector, not a kernel.',
    ],
    [
      'an ARM kernel',
      new ByteWriter(1024).ascii(0x38, 'ARMd').bytes,
      {},
      'bad-kernel',
      'The kernel is for 64-bit ARM.',
    ],
    [
      'a header that is cut off',
      bzImage().subarray(0, 0x210),
      {},
      'bad-kernel',
      'The kernel has only 528 bytes and ends inside its header.',
    ],
    [
      'a wrong boot flag',
      bzImage((file) => file.u16(0x1fe, 0)),
      {},
      'bad-kernel',
      'The kernel has a wrong boot flag (0xAA55 at offset 0x1FE).',
    ],
    [
      'a version from nowhere',
      bzImage((file) => file.u16(0x206, 0x7777)),
      {},
      'bad-kernel',
      'The kernel says that it has boot protocol 119.119, which does not exist.',
    ],
    [
      'an old version',
      bzImage((file) => file.u16(0x206, 0x0205)),
      {},
      'unsupported',
      'The kernel has boot protocol 2.05; 2.10 (Linux 2.6.31) is the oldest that can be started.',
    ],
    [
      'a zImage',
      bzImage((file) => file.u8(0x211, 0)),
      {},
      'unsupported',
      'The kernel is a zImage, which loads below 1 MiB.',
    ],
    [
      'an impossible header length',
      bzImage((file) => file.u8(0x201, 0x10)),
      {},
      'bad-kernel',
      "The kernel's boot header claims to end at 0x212.",
    ],
    [
      'a truncated kernel',
      bzImage().subarray(0, 5000),
      {},
      'bad-kernel',
      'The kernel is truncated: its header announces 66560 bytes, the file has 5000.',
    ],
    [
      'a kernel that asks for a place below 1 MiB',
      bzImage((file) => file.u64(0x258, 0x1000)),
      {},
      'bad-kernel',
      'The kernel asks to be loaded at 0x1000.',
    ],
    [
      'too little memory for the kernel',
      bzImage(),
      { ramBytes: 32 * MIB },
      'memory-too-small',
      'The kernel needs 48 MiB of memory to start, but the machine has 32 MiB.',
    ],
    [
      'too little memory for the initrd',
      bzImage(),
      { ramBytes: 64 * MIB, initrd: new Uint8Array(17 * MIB) },
      'memory-too-small',
      'Kernel and initrd (17 MiB) do not fit into 64 MiB of memory.',
    ],
    [
      'an initrd that the kernel cannot reach',
      bzImage((file) => file.u32(0x22c, 0x37f_ffff)),
      { initrd: new Uint8Array(9 * MIB) },
      'bad-initrd',
      'The initrd has 9 MiB, but this kernel can only take one of 8 MiB.',
    ],
    [
      'a command line that is too long',
      bzImage(),
      { commandLine: 'x'.repeat(2048) },
      'unsupported',
      'The kernel command line has 2048 bytes; this kernel takes 2047.',
    ],
    [
      'ELF without a PVH entry',
      vmlinux((file) => file.u32(0x208, 1)),
      {},
      'unsupported',
      'The kernel is an ELF file without a multiboot header and without a PVH entry point (the note XEN_ELFNOTE_PHYS32_ENTRY).',
    ],
    [
      'ELF for another processor',
      vmlinux((file) => file.u16(18, 183)),
      {},
      'bad-kernel',
      'The kernel is an ELF file for another processor (e_machine 183).',
    ],
    [
      'an ELF object file',
      vmlinux((file) => file.u16(16, 1)),
      {},
      'bad-kernel',
      'The kernel is an ELF file, but not an executable.',
    ],
    [
      'truncated ELF',
      vmlinux().subarray(0, 0x1800),
      {},
      'bad-kernel',
      'The kernel is truncated: segment 0 ends at byte 8192, the file has 6144.',
    ],
    [
      'ELF that ends in its header',
      vmlinux().subarray(0, 20),
      {},
      'bad-kernel',
      'The kernel is truncated inside its ELF header.',
    ],
    [
      'ELF in video memory',
      vmlinux((file) => file.u64(64 + 24, 0xa_0000)),
      {},
      'bad-kernel',
      'The kernel is to be loaded at 0xa0000, where a PC has its video memory.',
    ],
    [
      'ELF beyond the end of memory',
      vmlinux((file) => file.u64(64 + 24, 128 * MIB)),
      {},
      'memory-too-small',
      'The kernel needs memory up to 129 MiB, but the machine has 128 MiB.',
    ],
    [
      'ELF over the boot data',
      vmlinux((file) => file.u64(64 + 24, 0x1_f000).u64(0x210, 0x1_f000)),
      {},
      'bad-kernel',
      'The kernel and The command line would lie over each other at 0x20000.',
    ],
    [
      'a PVH entry outside of the kernel',
      vmlinux((file) => file.u64(0x210, 0x50_0000)),
      {},
      'bad-kernel',
      "The kernel's PVH entry point 0x500000 lies outside of what it loads.",
    ],
  ])('%s', (_, kernel, more, kind, message) => {
    expect(planBoot(request(kernel, more))).toEqual({
      ok: false,
      error: { kind, message, advice: expect.stringMatching(/^[A-Z].{8,}\.$/) },
    });
  });

  it.each([0, 1, 4, 0x201, 0x202, 0x206, 0x264, 1023])(
    'a kernel cut after %i bytes is an error, never an exception',
    (bytes) => {
      expect(planBoot(request(bzImage().subarray(0, bytes))).ok).toBe(false);
      expect(planBoot(request(vmlinux().subarray(0, bytes))).ok).toBe(false);
    },
  );
});

describe('memory', () => {
  class RecordingMemory implements BootMemory {
    readonly ramBytes = 64 * MIB;
    readonly bytes = new Uint8Array(this.ramBytes).fill(0xcc);
    write(gpa: number, bytes: Uint8Array): boolean {
      this.bytes.set(bytes, gpa);
      return true;
    }
    fill(gpa: number, bytes: number, value: number): boolean {
      this.bytes.fill(value, gpa, gpa + bytes);
      return true;
    }
  }

  it('holds the kernel with its bss zeroed after bootGuest', () => {
    const memory = new RecordingMemory();
    bootGuest(memory, { kernel: vmlinux(), commandLine: 'quiet', cpus: 1 });
    expect(text(memory.bytes.subarray(0x100_0000, 0x100_000a))).toBe('the kernel');
    expect([memory.bytes[0x100_1fff], memory.bytes[0x100_2000]]).toEqual([0, 0xcc]);
    expect(text(memory.bytes.subarray(0x2_0000, 0x2_0006))).toBe('quiet\0');
    expect(text(memory.bytes.subarray(0xf_0000, 0xf_0008))).toBe('RSD PTR ');
  });

  it('is left alone when the guest does not fit', () => {
    const memory = new RecordingMemory();
    bootGuest(memory, { kernel: bzImage((file) => file.u32(0x260, 0x400_0000)), commandLine: '', cpus: 1 });
    expect(memory.bytes.every((byte) => byte === 0xcc)).toBe(true);
  });

  it('map ascends, has no overlaps, and leaves the legacy holes out', () => {
    expect(memoryMap(128 * MIB)).toEqual([
      { start: 0, bytes: 0x9_fc00, type: 1 },
      { start: 0x9_fc00, bytes: 0x400, type: 2 },
      { start: 0xe_0000, bytes: 0x2_0000, type: 2 },
      { start: 0x10_0000, bytes: 127 * MIB, type: 1 },
      { start: 0xfffc_0000, bytes: 0x4_0000, type: 2 },
    ]);
  });

  it('loads that only touch are accepted', () => {
    const loads = [load('B', 0x2000, new Uint8Array(1)), load('A', 0x1000, new Uint8Array(16), 0x1000)];
    expect(checkLoads(loads, MIB).ok).toBe(true);
  });
});

it('a descriptor spreads base and limit over its fields', () => {
  expect(descriptorOf({ selector: 8, base: 0x1234_5678, limit: 0xf_ffff, attributes: 0x4093 })).toEqual([
    0x5678_ffff, 0x124f_9334,
  ]);
});

/** A file of the default guest. */
function guestFile(name: string): Buffer {
  const file = new URL(`../../build/guest/${name}`, import.meta.url);
  if (!existsSync(file)) throw new Error(`There is no default guest (${name}): npm run setup builds it.`);
  return readFileSync(file);
}

describe("Debian's cloud kernel", () => {
  it('is planned for the 64-bit entry with its initrd', () => {
    const plan = planned(guestFile('vmlinuz'), { initrd: guestFile('initrd.img'), ramBytes: 512 * MIB });
    expect(plan.find('The kernel').gpa).toBe(0x100_0000);
    expect(plan.find('The initrd').gpa + plan.find('The initrd').memoryBytes).toBeLessThanOrEqual(512 * MIB);
    expect(plan.start).toMatchObject({ rip: 0x100_0200 });
  });

  it('says how much memory it needs when there is too little', () => {
    const result = planBoot(request(guestFile('vmlinuz'), { ramBytes: 32 * MIB }));
    expect(result).toMatchObject({
      ok: false,
      error: {
        kind: 'memory-too-small',
        message: expect.stringMatching(/^The kernel needs \d+ MiB of memory to start/),
      },
    });
  });
});
