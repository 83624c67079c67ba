/** Writes the boot protocol's start state into a vCPU that was just reset. */
import { TWO_32 } from '../base/bits.ts';
import type { Views } from '../base/views.ts';
import type { SegmentState, StartState } from '../boot/start-state.ts';
import { SEG_CS, SEG_DS, SEG_ES, SEG_FS, SEG_GS, SEG_LDTR, SEG_SS, SEG_TR, VCPU } from '../layout/vcpu.ts';

/** The core's `updateMode` must follow. */
export function writeStartState(views: Views, cpu: number, state: StartState): void {
  const word = (offset: number, value: number): void => {
    views.u32[(cpu + offset) >>> 2] = value;
  };
  const quad = (offset: number, value: number): void => {
    word(offset, value >>> 0);
    word(offset + 4, Math.floor(value / TWO_32));
  };
  const segment = (number: number, { selector, base, limit, attributes }: SegmentState): void => {
    quad(VCPU.at.segBase + number * 8, base);
    word(VCPU.at.segLimit + number * 4, limit);
    word(VCPU.at.segAttr + number * 4, attributes);
    word(VCPU.at.segSelector + number * 4, selector);
  };

  for (const [register, value] of state.general.entries()) quad(VCPU.at.regs + register * 8, value);
  quad(VCPU.at.rip, state.rip);
  // The boot protocols start with the arithmetic flags clear.
  word(VCPU.at.eflags, state.rflags);
  segment(SEG_ES, state.segments.es);
  segment(SEG_CS, state.segments.cs);
  segment(SEG_SS, state.segments.ss);
  segment(SEG_DS, state.segments.ds);
  segment(SEG_FS, state.segments.fs);
  segment(SEG_GS, state.segments.gs);
  segment(SEG_LDTR, state.segments.ldtr);
  segment(SEG_TR, state.segments.tr);
  quad(VCPU.at.gdtBase, state.gdt.base);
  word(VCPU.at.gdtLimit, state.gdt.limit);
  quad(VCPU.at.idtBase, state.idt.base);
  word(VCPU.at.idtLimit, state.idt.limit);
  quad(VCPU.at.cr0, state.cr0);
  quad(VCPU.at.cr3, state.cr3);
  quad(VCPU.at.cr4, state.cr4);
  quad(VCPU.at.efer, state.efer);
}
