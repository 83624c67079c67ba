/**
 * A firmware image that does nothing but enter a boot plan of ours on QEMU's `pc` machine: so a real CPU model and real
 * device models can judge what src/boot lays out. It sets up what firmware owes the plan (PIIX4's port base, interrupt
 * routing, ACPI mode) and then the CPU state of the plan.
 */
import { PM1A_EVENT_PORT } from '../../src/base/platform.ts';
import { RBX, RSI, RSP } from '../../src/boot/start-state.ts';
import type { StartState } from '../../src/boot/start-state.ts';
import type { Load } from '../../src/boot/load.ts';

/** QEMU maps an image of this size at E0000h, and at the end of the first 4 GiB. */
const ROM_BASE = 0xe_0000;
const ROM_BYTES = 0x2_0000;
const CODE = 0xf_8000;
const GDT = 0xf_9000;
const RESET_VECTOR = 0xf_fff0;
const CS_REAL = 0xf000;

const SELECTOR_CODE32 = 0x08;
const SELECTOR_CODE64 = 0x10;
const SELECTOR_DATA = 0x18;

export function isInRom(item: Load): boolean {
  return item.gpa >= ROM_BASE && item.gpa + item.memoryBytes <= ROM_BASE + ROM_BYTES;
}

export function bootRom(start: StartState, loads: readonly Load[]): Uint8Array {
  const rom = new Uint8Array(ROM_BYTES);
  const put = (address: number, bytes: ArrayLike<number>): void => rom.set(bytes, address - ROM_BASE);
  for (const item of loads.filter(isInRom)) put(item.gpa, item.bytes);
  // jmp F000:offset of CODE
  put(RESET_VECTOR, [0xea, ...u16(CODE - CS_REAL * 16), ...u16(CS_REAL)]);
  put(
    GDT,
    bytes([
      [0, 0, 0, 0, 0, 0, 0, 0],
      [0xff, 0xff, 0, 0, 0, 0x9b, 0xcf, 0],
      [0xff, 0xff, 0, 0, 0, 0x9b, 0xaf, 0],
      [0xff, 0xff, 0, 0, 0, 0x93, 0xcf, 0],
    ]),
  );
  put(GDT + 0x40, [...u16(0x1f), ...u32(GDT)]);
  put(GDT + 0x48, [...u16(start.gdt.limit), ...u32(start.gdt.base), ...u32(0)]);
  const code16 = bytes([
    [0xfa], // cli
    pciWrite(1, 0, 0x60, 0x0b0b0a0a), // PIRQ routing
    pciWrite(1, 3, 0x40, PM1A_EVENT_PORT | 1), // PMBA
    pciWrite(1, 3, 0x80, 1), // PMREGMISC.PMIOSE
    [0xb0, 0xf1, 0xe6, 0xb2], // mov al, F1h; out B2h, al: ACPI mode
    [0xb8, ...u16(CS_REAL), 0x8e, 0xd8], // mov ax, F000h; mov ds, ax
    [0x66, 0x0f, 0x01, 0x16, ...u16(GDT + 0x40 - CS_REAL * 16)], // lgdt
    [0x0f, 0x20, 0xc0, 0x0c, 0x01, 0x0f, 0x22, 0xc0], // cr0.PE = 1
  ]);
  const code32At = CODE + code16.length + 8;
  put(CODE, [...code16, 0x66, 0xea, ...u32(code32At), ...u16(SELECTOR_CODE32)]);
  const code32 = bytes([
    [0xb8, ...u32(SELECTOR_DATA)], // mov eax, data
    [0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0, 0x8e, 0xe0, 0x8e, 0xe8], // mov ds, es, ss, fs, gs
    [0xbc, ...u32(start.general[RSP]!)], // mov esp
    [0xbb, ...u32(start.general[RBX]!)], // mov ebx
    [0xbe, ...u32(start.general[RSI]!)], // mov esi
  ]);
  if (start.efer === 0) {
    put(code32At, [...code32, 0xb8, ...u32(start.rip), 0xff, 0xe0]); // jmp eax
    return rom;
  }
  code32.push(
    ...bytes([
      [0xb8, ...u32(start.cr4), 0x0f, 0x22, 0xe0],
      [0xb8, ...u32(start.cr3), 0x0f, 0x22, 0xd8],
      [0xb9, ...u32(0xc000_0080), 0x0f, 0x32, 0x0d, ...u32(start.efer & 0x100), 0x0f, 0x30], // EFER.LME
      [0xb8, ...u32(start.cr0), 0x0f, 0x22, 0xc0],
    ]),
  );
  const code64At = code32At + code32.length + 7;
  put(code32At, [...code32, 0xea, ...u32(code64At), ...u16(SELECTOR_CODE64)]);
  put(
    code64At,
    bytes([
      [0x0f, 0x01, 0x14, 0x25, ...u32(GDT + 0x48)], // lgdt: the plan's own
      [0xb8, ...u32(start.rip), 0xff, 0xe0], // mov eax, rip; jmp rax
    ]),
  );
  return rom;
}

/** mov dx, CF8h; mov eax, address; out dx, eax; mov dx, CFCh; mov eax, value; out dx, eax: 16-bit code. */
function pciWrite(slot: number, fn: number, register: number, value: number): number[] {
  const address = 0x8000_0000 + (slot << 11) + (fn << 8) + register;
  return bytes([
    [0xba, ...u16(0xcf8), 0x66, 0xb8, ...u32(address), 0x66, 0xef],
    [0xba, ...u16(0xcfc), 0x66, 0xb8, ...u32(value), 0x66, 0xef],
  ]);
}

/** One line per instruction. */
function bytes(instructions: readonly (readonly number[])[]): number[] {
  return instructions.flat();
}

function u16(value: number): number[] {
  return [value & 0xff, (value >>> 8) & 0xff];
}

function u32(value: number): number[] {
  return [...u16(value & 0xffff), ...u16(value >>> 16)];
}
