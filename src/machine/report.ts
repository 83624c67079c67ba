/** The state of a vCPU as text, in the order of QEMU's `info registers`: what a user attaches to an issue. */
import type { Views } from '../base/views.ts';
import { EXIT_NAMES } from '../layout/exits.ts';
import { vcpuAddress } from '../layout/map.ts';
import { MODE_CODE16, MODE_CODE64, MODE_CODE_MASK, VCPU } from '../layout/vcpu.ts';
import { readCounter } from './counters.ts';

const GENERAL = [
  'RAX', 'RCX', 'RDX', 'RBX', 'RSP', 'RBP', 'RSI', 'RDI', 'R8 ', 'R9 ', 'R10', 'R11', 'R12', 'R13', 'R14', 'R15',
] as const; // prettier-ignore
const SEGMENTS = ['ES', 'CS', 'SS', 'DS', 'FS', 'GS', 'LDT', 'TR'] as const;
const CONTROL = [
  ['CR0', VCPU.at.cr0],
  ['CR2', VCPU.at.cr2],
  ['CR3', VCPU.at.cr3],
  ['CR4', VCPU.at.cr4],
  ['EFER', VCPU.at.efer],
] as const;
const COUNTERS = [
  ['instructions', VCPU.at.countInstructions],
  ['exceptions', VCPU.at.countExceptions],
  ['interrupts', VCPU.at.countInterrupts],
  ['undefined opcodes', VCPU.at.countUndefined],
  ['region entries', VCPU.at.countRegionEntries],
  ['instructions in regions', VCPU.at.countRegionInstructions],
] as const;

function hex(value: number, digits: number): string {
  return (value >>> 0).toString(16).padStart(digits, '0');
}

/** The u64 at `address` as 16 hexadecimal digits. */
function hex64(views: Views, address: number): string {
  return hex(views.u32[(address >>> 2) + 1]!, 8) + hex(views.u32[address >>> 2]!, 8);
}

export function readRip(views: Views, index = 0): string {
  return hex64(views, vcpuAddress(index) + VCPU.at.rip);
}

export function describeVcpu(views: Views, index = 0): string {
  const cpu = vcpuAddress(index);
  const word = (offset: number): number => views.u32[(cpu + offset) >>> 2]!;
  const quad = (offset: number): string => hex64(views, cpu + offset);
  const mode = word(VCPU.at.mode) & MODE_CODE_MASK;
  const width = mode === MODE_CODE64 ? 64 : mode === MODE_CODE16 ? 16 : 32;
  const exception = word(VCPU.at.exception);
  const exit = word(VCPU.at.exitReason);

  const lines = [`vCPU ${index}: ${width}-bit code, CPL ${word(VCPU.at.cpl)}`];
  for (let row = 0; row < 16; row += 4) {
    const cells = GENERAL.slice(row, row + 4).map(
      (name, n) => `${name}=${quad(VCPU.at.regs + (row + n) * 8)}`,
    );
    lines.push(cells.join(' '));
  }
  lines.push(
    `RIP=${quad(VCPU.at.rip)} EFLAGS=${hex(word(VCPU.at.eflags), 8)} (arithmetic flags not included)`,
  );
  for (const [segment, name] of SEGMENTS.entries()) {
    const selector = hex(word(VCPU.at.segSelector + segment * 4), 4);
    const base = quad(VCPU.at.segBase + segment * 8);
    const limit = hex(word(VCPU.at.segLimit + segment * 4), 8);
    lines.push(
      `${name.padEnd(3)}=${selector} base=${base} limit=${limit} attr=${hex(word(VCPU.at.segAttr + segment * 4), 4)}`,
    );
  }
  lines.push(
    `GDT=${quad(VCPU.at.gdtBase)} ${hex(word(VCPU.at.gdtLimit), 4)}  IDT=${quad(VCPU.at.idtBase)} ${hex(word(VCPU.at.idtLimit), 4)}`,
    CONTROL.map(([name, offset]) => `${name}=${quad(offset)}`).join(' '),
    `last exit=${EXIT_NAMES[exit] ?? exit} arguments=${hex(word(VCPU.at.exitArg0), 8)} ${hex(word(VCPU.at.exitArg1), 8)} ` +
      `halted=${word(VCPU.at.halted)} attention=${hex(word(VCPU.at.attention), 2)}`,
    exception === 0
      ? 'no exception pending'
      : `exception pending: vector ${exception - 1}, error ${hex(word(VCPU.at.exceptionError), 4)}, address ${quad(VCPU.at.exceptionAddress)}`,
    COUNTERS.map(([name, offset]) => `${name} ${readCounter(views, cpu + offset)}`).join(', '),
  );
  return lines.join('\n');
}
