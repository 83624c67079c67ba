import { describe, expect, it } from 'vitest';
import { planBoot, takesModules } from './boot.ts';
import type { BootPlan } from './boot.ts';
import type { BootRequest } from './boot-request.ts';
import { ByteWriter } from './byte-writer.ts';
import type { Load } from './load.ts';

const MIB = 0x10_0000;
const MAGIC = 0x1bad_b002;

function checksum(flags: number): number {
  return -(MAGIC + flags) >>> 0;
}

/** A 32-bit ELF file: a multiboot header at 1000h, one segment of 4 KiB (12 KiB in memory) at 1 MiB, linked at C0100000h. */
function elfKernel(change: (file: ByteWriter) => void = () => undefined, flags = 3): Uint8Array {
  const file = new ByteWriter(0x2000)
    .put(0, [0x7f, 0x45, 0x4c, 0x46, 1, 1, 1])
    .u16(16, 2) // ET_EXEC
    .u16(18, 3) // EM_386
    .u32(24, 0xc010_0010)
    .u32(28, 52) // program headers
    .u16(42, 32)
    .u16(44, 1)
    .u32(52, 1) // PT_LOAD
    .u32(56, 0x1000)
    .u32(60, 0xc010_0000)
    .u32(64, 0x10_0000)
    .u32(68, 0x1000)
    .u32(72, 0x3000)
    .u32(0x1000, MAGIC)
    .u32(0x1004, flags)
    .u32(0x1008, checksum(flags));
  change(file);
  return file.bytes;
}

/** A file of any format with the address fields: header at byte 20h, loaded from byte 10h to 200000h. */
function addressedKernel(change: (file: ByteWriter) => void = () => undefined): Uint8Array {
  const flags = 0x1_0003;
  const file = new ByteWriter(0x1000)
    .ascii(0x10, 'first byte')
    .u32(0x20, MAGIC)
    .u32(0x24, flags)
    .u32(0x28, checksum(flags))
    .u32(0x2c, 0x20_0010) // header_addr
    .u32(0x30, 0x20_0000) // load_addr
    .u32(0x34, 0x20_0800) // load_end_addr
    .u32(0x38, 0x20_2000) // bss_end_addr
    .u32(0x3c, 0x20_0040); // entry_addr
  change(file);
  return file.bytes;
}

function request(kernel: Uint8Array, more: Partial<BootRequest> = {}): BootRequest {
  return { kernel, kernelName: 'kernel.elf', commandLine: 'log=3', ramBytes: 64 * MIB, cpus: 1, ...more };
}

function plan(kernel: Uint8Array, more: Partial<BootRequest> = {}): BootPlan {
  const result = planBoot(request(kernel, more));
  if (!result.ok) throw new Error(result.error.message);
  return result.value;
}

function find(loads: readonly Load[], what: string): Load {
  const found = loads.find((item) => item.what === what);
  if (found === undefined) throw new Error(`no load "${what}"`);
  return found;
}

/** Reads the boot information as a kernel would: by guest-physical address. */
function information({ loads, start }: BootPlan) {
  const { gpa, bytes } = find(loads, 'The multiboot information');
  const view = new DataView(bytes.buffer);
  const u32 = (address: number): number => view.getUint32(address - gpa, true);
  const text = (address: number): string => {
    const from = address - gpa;
    return new TextDecoder().decode(bytes.subarray(from, bytes.indexOf(0, from)));
  };
  const info = start.general[3]!;
  return { info, field: (offset: number) => u32(info + offset), u32, text };
}

describe('a multiboot kernel in ELF', () => {
  it('is loaded at its physical addresses with the rest zeroed', () => {
    expect(find(plan(elfKernel()).loads, 'The kernel')).toMatchObject({ gpa: MIB, memoryBytes: 0x3000 });
  });

  it('is entered in protected mode at the physical address of e_entry, with magic and information', () => {
    const { protocol, start } = plan(elfKernel());
    expect(protocol).toBe('multiboot');
    expect(start).toMatchObject({
      rip: 0x10_0010,
      rflags: 2,
      cr0: 0x11,
      cr4: 0,
      efer: 0,
      segments: {
        cs: { selector: 8, base: 0, limit: 0xffff_ffff, attributes: 0xc09b },
        ds: { selector: 0x10, base: 0, limit: 0xffff_ffff, attributes: 0xc093 },
        ss: { selector: 0x10, base: 0, limit: 0xffff_ffff, attributes: 0xc093 },
      },
      gdt: { base: 0x1000, limit: 0x1f },
    });
    expect([start.general[0], start.general[3]]).toEqual([0x2bad_b002, 0x1020]);
  });

  it('may have an e_entry that is physical already', () => {
    expect(plan(elfKernel((file) => file.u32(24, 0x10_0020))).start.rip).toBe(0x10_0020);
  });

  it('gets a stack in memory that nothing else uses', () => {
    const { loads, start } = plan(elfKernel());
    const { gpa, bytes, memoryBytes } = find(loads, 'The multiboot information');
    expect(start.general[4]).toBe(gpa + memoryBytes);
    expect(memoryBytes - bytes.length).toBeGreaterThan(4000);
  });

  it('gets memory sizes, command line, loader name and nothing that it did not ask for', () => {
    const { field, text } = information(plan(elfKernel()));
    expect({
      flags: field(0),
      lower: field(4),
      upper: field(8),
      commandLine: text(field(16)),
      loader: text(field(64)),
      modules: field(20),
      video: [field(72), field(76), field(88)],
    }).toEqual({
      flags: 0x24d,
      lower: 639,
      upper: 63 * 1024,
      commandLine: 'kernel.elf log=3',
      loader: 'Virtab',
      modules: 0,
      video: [0, 0, 0],
    });
  });

  it('gets a memory map whose entries do not count their size field', () => {
    const { field, u32 } = information(plan(elfKernel()));
    const at = field(48);
    expect([field(44), u32(at), u32(at + 4), u32(at + 12), u32(at + 20)]).toEqual([
      5 * 24,
      20,
      0,
      0x9_fc00,
      1,
    ]);
    expect([u32(at + 72), u32(at + 76), u32(at + 84), u32(at + 92)]).toEqual([20, MIB, 63 * MIB, 1]);
  });

  it('gets its modules page-aligned behind it, each with its words', () => {
    const machine = plan(elfKernel(), {
      modules: [
        { commandLine: 'one.bin a=1', bytes: new Uint8Array(5000).fill(1) },
        { commandLine: 'two', bytes: new Uint8Array(0) },
        { commandLine: 'drei ü', bytes: new Uint8Array(3).fill(3) },
      ],
    });
    const { field, u32, text } = information(machine);
    const list = field(24);
    expect(field(20)).toBe(3);
    expect([0, 16, 32].map((at) => [u32(list + at), u32(list + at + 4), text(u32(list + at + 8))])).toEqual([
      [0x10_3000, 0x10_3000 + 5000, 'one.bin a=1'],
      [0x10_5000, 0x10_5000, 'two'],
      [0x10_5000, 0x10_5003, 'drei ü'],
    ]);
    expect(find(machine.loads, 'The module "drei ü"').gpa).toBe(0x10_5000);
  });

  it('gets an initrd as its only module', () => {
    const { field, text, u32 } = information(plan(elfKernel(), { initrd: new Uint8Array(10) }));
    expect([field(20), text(u32(field(24) + 8))]).toEqual([1, 'initrd']);
  });

  it('may lie in low memory where the boot information would be', () => {
    const kernel = elfKernel((file) => file.u32(64, 0x2000).u32(60, 0x2000).u32(24, 0x2010));
    const { loads, start } = plan(kernel);
    expect([start.rip, start.general[3], start.gdt.base]).toEqual([0x2010, MIB + 0x20, MIB]);
    expect(find(loads, 'The multiboot information').gpa).toBe(MIB);
  });

  it('may have a command line that does not fit below 640 KiB', () => {
    const { field, text, info } = information(plan(elfKernel(), { commandLine: 'x'.repeat(MIB) }));
    expect([info, text(field(16)).length]).toEqual([0x10_3020, MIB + 'kernel.elf '.length]);
  });

  it('is booted although it asks for a video mode, and is told that there is none', () => {
    const { field } = information(plan(elfKernel(() => undefined, 7)));
    expect(field(0) & 0x1800).toBe(0);
  });

  it('is taken by multiboot even if it has a PVH entry too, as QEMU does', () => {
    const kernel = elfKernel((file) =>
      file
        .u16(44, 2)
        .u32(84, 4) // PT_NOTE
        .u32(88, 0x200)
        .u32(100, 20)
        .u32(0x200, 4)
        .u32(0x204, 4)
        .u32(0x208, 18)
        .ascii(0x20c, 'Xen')
        .u32(0x210, 0x10_0040),
    );
    expect(plan(kernel).protocol).toBe('multiboot');
  });
});

describe('a multiboot kernel with address fields', () => {
  it('is loaded from the byte that stands at load_addr, whatever its format', () => {
    const kernel = find(plan(addressedKernel()).loads, 'The kernel');
    expect([kernel.gpa, kernel.bytes.length, kernel.memoryBytes]).toEqual([0x20_0000, 0x800, 0x2000]);
    expect(String.fromCharCode(...kernel.bytes.subarray(0, 10))).toBe('first byte');
  });

  it('is entered at entry_addr', () => {
    expect(plan(addressedKernel()).start.rip).toBe(0x20_0040);
  });

  it('is loaded to the end of the file, without a bss, where the ends are 0', () => {
    const kernel = find(plan(addressedKernel((file) => file.u32(0x34, 0).u32(0x38, 0))).loads, 'The kernel');
    expect([kernel.bytes.length, kernel.memoryBytes]).toEqual([0xff0, 0xff0]);
  });

  it('may be a 64-bit ELF file', () => {
    expect(plan(addressedKernel((file) => file.put(0, [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]))).start.rip).toBe(
      0x20_0040,
    );
  });
});

describe('a multiboot kernel is refused with a sentence', () => {
  it.each<[string, Uint8Array, Partial<BootRequest>, string, string]>([
    [
      'unknown demands',
      elfKernel(() => undefined, 0x13),
      {},
      'unsupported',
      "The kernel's multiboot header demands something that the specification does not know (flags 0x10).",
    ],
    [
      'neither ELF nor address fields',
      elfKernel((file) => file.u8(0, 0)),
      {},
      'bad-kernel',
      "The kernel's multiboot header has no address fields (flag 16), and the file is not ELF: where to load it is unknown.",
    ],
    [
      '64-bit ELF',
      elfKernel((file) =>
        file
          .u8(4, 2)
          .u16(18, 62)
          .u64(32, 64)
          .u16(54, 56)
          .u16(56, 1)
          .u32(64, 1)
          .u64(72, 0x1000)
          .u64(88, MIB)
          .u64(96, 16)
          .u64(104, 16),
      ),
      {},
      'unsupported',
      'The kernel is a 64-bit ELF file; Multiboot 1 enters 32-bit code and takes 32-bit ELF files.',
    ],
    [
      'truncated ELF',
      elfKernel().subarray(0, 0x1800),
      {},
      'bad-kernel',
      'The kernel is truncated: segment 0 ends at byte 8192, the file has 6144.',
    ],
    [
      'ELF for another processor',
      elfKernel((file) => file.u16(18, 40)),
      {},
      'bad-kernel',
      'The kernel is an ELF file for another processor (e_machine 40).',
    ],
    [
      'an entry outside of the kernel',
      elfKernel((file) => file.u32(24, 0x1234)),
      {},
      'bad-kernel',
      "The kernel's entry point 0x1234 lies outside of what it loads.",
    ],
    [
      'a segment in video memory',
      elfKernel((file) => file.u32(64, 0xb_8000)),
      {},
      'bad-kernel',
      'The kernel is to be loaded at 0xb8000, where a PC has its video memory.',
    ],
    [
      'a segment over the BIOS data',
      elfKernel((file) => file.u32(60, 0).u32(64, 0).u32(24, 0x10)),
      {},
      'bad-kernel',
      'The kernel and The BIOS data area would lie over each other at 0x400.',
    ],
    [
      'a segment that wraps around',
      elfKernel((file) => file.u32(64, 0xffff_f000)),
      {},
      'memory-too-small',
      'The kernel needs memory up to 4097 MiB, but the machine has 64 MiB.',
    ],
    [
      'modules larger than memory',
      elfKernel(),
      { modules: [{ commandLine: 'big', bytes: new Uint8Array(63 * MIB) }] },
      'memory-too-small',
      'Kernel and modules (63 MiB) do not fit into 64 MiB of memory.',
    ],
    [
      'a header behind the end of what is loaded',
      addressedKernel((file) => file.u32(0x34, 0x20_0008)),
      {},
      'bad-kernel',
      "The kernel's multiboot header says that loading ends at 0x200008, before the end of the header.",
    ],
    [
      'a load address behind the header',
      addressedKernel((file) => file.u32(0x30, 0x20_0020)),
      {},
      'bad-kernel',
      "The kernel's multiboot header says that loading begins at 0x200020, behind the header (0x200010).",
    ],
    [
      'a load address before the file',
      addressedKernel((file) => file.u32(0x30, 0x10_0000)),
      {},
      'bad-kernel',
      "The kernel's multiboot header is at byte 32 of the file but claims to be 1048592 bytes behind the start of what is loaded.",
    ],
    [
      'a bss that ends before it begins',
      addressedKernel((file) => file.u32(0x38, 0x20_0700)),
      {},
      'bad-kernel',
      "The kernel's multiboot header says that the bss ends at 0x200700, before the data does (0x200800).",
    ],
    [
      'a truncated file',
      addressedKernel().subarray(0, 0x400),
      {},
      'bad-kernel',
      'The kernel is truncated: its header announces 2064 bytes, the file has 1024.',
    ],
    [
      'a header that is cut off',
      addressedKernel().subarray(0, 0x30),
      {},
      'bad-kernel',
      "The kernel's multiboot header is cut off.",
    ],
    [
      'an entry_addr in the boot information',
      addressedKernel((file) => file.u32(0x3c, 0x1000)),
      {},
      'bad-kernel',
      "The kernel's entry point 0x1000 lies outside of what it loads.",
    ],
  ])('%s', (_, kernel, more, kind, message) => {
    expect(planBoot(request(kernel, more))).toEqual({
      ok: false,
      error: { kind, message, advice: expect.stringMatching(/^[A-Z].{8,}\.$/) },
    });
  });

  it.each([0, 3, 40, 52, 0x1000, 0x1008, 0x100b])('cut after %i bytes, without an exception', (bytes) => {
    expect(planBoot(request(elfKernel().subarray(0, bytes))).ok).toBe(false);
  });
});

describe('the multiboot header', () => {
  it.each<[string, number, boolean]>([
    ['at the last place', 8192 - 12, true],
    ['reaching out of the first 8 KiB', 8192 - 8, false],
    ['not on a 4-byte boundary', 0x102, false],
  ])('%s', (_, at, isFound) => {
    const file = new ByteWriter(0x4000)
      .u32(at, MAGIC)
      .u32(at + 4, 0)
      .u32(at + 8, checksum(0)).bytes;
    expect(takesModules(file)).toBe(isFound);
  });

  it('with a wrong checksum is passed over for a right one', () => {
    const file = elfKernel((out) => out.u32(0x800, MAGIC).u32(0x804, 3).u32(0x808, 1));
    expect(plan(file).protocol).toBe('multiboot');
  });

  it('in a bzImage does not make it a multiboot kernel', () => {
    expect(takesModules(elfKernel((file) => file.ascii(0x202, 'HdrS')))).toBe(false);
  });
});
