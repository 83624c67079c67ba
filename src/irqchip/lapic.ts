/**
 * One vCPU's local APIC (Intel SDM 3A chapter 11; AMD APM 2 chapter 16): xAPIC registers, x2APIC rules, priorities
 * and the timer. The bus clock is 1 GHz, so a tick at divide-by-1 is a nanosecond of guest time, as in KVM.
 * The caller holds the irqchip lock.
 */
import type { Views } from '../base/views.ts';
import { highestBit } from '../base/bits.ts';
import { LOCAL_APIC_BASE } from '../base/platform.ts';
import { LAPIC, LVT_ERROR, LVT_LINT0, LVT_LINT1, LVT_TIMER, lapicAddress } from '../layout/irqchip.ts';
import { vcpuAddress } from '../layout/map.ts';
import type { GuestClock } from '../time/clock.ts';
import { tscToTime } from '../time/tsc.ts';
import { DELIVERY_EXTINT, DELIVERY_FIXED, DELIVERY_LOWEST, DELIVERY_NMI } from './line.ts';
import type { InterruptMessage } from './line.ts';

const BASE_LOW = LAPIC.at.baseLow >>> 2;
const BASE_HIGH = LAPIC.at.baseHigh >>> 2;
const ID = LAPIC.at.id >>> 2;
const TPR = LAPIC.at.taskPriority >>> 2;
const LDR = LAPIC.at.logicalDestination >>> 2;
const DFR = LAPIC.at.destinationFormat >>> 2;
const SVR = LAPIC.at.spurious >>> 2;
const ESR = LAPIC.at.errorStatus >>> 2;
const ESR_PENDING = LAPIC.at.errorPending >>> 2;
const ICR_LOW = LAPIC.at.commandLow >>> 2;
const ICR_HIGH = LAPIC.at.commandHigh >>> 2;
const LVT = LAPIC.at.lvt >>> 2;
const DIVIDE = LAPIC.at.divide >>> 2;
const INITIAL_COUNT = LAPIC.at.initialCount >>> 2;
const IRR = LAPIC.at.irr >>> 2;
const ISR = LAPIC.at.isr >>> 2;
const TMR = LAPIC.at.tmr >>> 2;
const LINT0_LEVEL = LAPIC.at.lint0 >>> 2;
const INIT = LAPIC.at.init >>> 2;
const STARTUP = LAPIC.at.startup >>> 2;
const DEADLINE = LAPIC.at.timerDeadline >>> 3;
const TSC_DEADLINE_LOW = LAPIC.at.tscDeadlineLow >>> 2;
const TSC_DEADLINE_HIGH = LAPIC.at.tscDeadlineHigh >>> 2;

/** IA32_APIC_BASE. */
export const APIC_BASE_BSP = 1 << 8;
export const APIC_BASE_X2APIC = 1 << 10;
export const APIC_BASE_ENABLE = 1 << 11;

/** Version 14h, six LVT entries, no EOI-broadcast suppression (bit 24). */
const VERSION = (5 << 16) | 0x14;

const SVR_ENABLE = 1 << 8;
const LVT_MASKED = 1 << 16;
const LVT_MODE_SHIFT = 17;
const TIMER_PERIODIC = 1;
const TIMER_TSC_DEADLINE = 2;

/** Writable bits per LVT entry; remote IRR (14) and delivery status (12) are read-only. */
const LVT_WRITABLE = [0x700ff, 0x107ff, 0x107ff, 0x1a7ff, 0x1a7ff, 0x100ff] as const;

/** Error status register (SDM 11.5.3). */
const ERROR_SEND_VECTOR = 1 << 5;
const ERROR_RECEIVE_VECTOR = 1 << 6;
const ERROR_REGISTER = 1 << 7;

const TRIGGER_LEVEL = 1 << 15;
const LEVEL_ASSERT = 1 << 14;
const DESTINATION_LOGICAL = 1 << 11;

/** Register offsets (SDM table 11-1); an x2APIC MSR is 800h + offset / 16. */
const REG_ID = 0x20;
const REG_VERSION = 0x30;
const REG_TPR = 0x80;
const REG_APR = 0x90;
const REG_PPR = 0xa0;
const REG_EOI = 0xb0;
const REG_LDR = 0xd0;
const REG_DFR = 0xe0;
const REG_SVR = 0xf0;
const REG_ISR = 0x100;
const REG_TMR = 0x180;
const REG_IRR = 0x200;
const REG_ESR = 0x280;
const REG_ICR = 0x300;
const REG_ICR_HIGH = 0x310;
const REG_LVT_TIMER = 0x320;
const REG_LVT_ERROR = 0x370;
const REG_INITIAL_COUNT = 0x380;
const REG_CURRENT_COUNT = 0x390;
const REG_DIVIDE = 0x3e0;
const REG_SELF_IPI = 0x3f0;

/** What the local APIC needs from the rest of the irqchip. */
export interface LapicBoard {
  /** Something may be deliverable to this vCPU. */
  interrupt(cpu: number): void;
  nmi(cpu: number): void;
  /** A level-triggered vector is done. */
  endOfInterrupt(vector: number): void;
  /** Sends the message of an ICR; `shorthand` as in its bits 18-19. */
  send(from: number, message: InterruptMessage, shorthand: number): void;
}

export class LocalApic {
  readonly #views: Views;
  readonly #u32: Uint32Array;
  readonly #cpu: number;
  readonly #at: number;
  readonly #deadline: number;
  readonly #clock: GuestClock;
  readonly #board: LapicBoard;

  constructor(views: Views, cpu: number, clock: GuestClock, board: LapicBoard) {
    this.#clock = clock;
    this.#views = views;
    this.#u32 = views.u32;
    this.#cpu = cpu;
    this.#at = lapicAddress(cpu) >>> 2;
    this.#deadline = (lapicAddress(cpu) >>> 3) + DEADLINE;
    this.#board = board;
  }

  /** Power-on. The boot processor's LINT0 passes the 8259 on, as firmware leaves it (MP specification 3.6.2.2). */
  reset(): void {
    this.#u32[this.#at + BASE_LOW] =
      (LOCAL_APIC_BASE | APIC_BASE_ENABLE | (this.#cpu === 0 ? APIC_BASE_BSP : 0)) >>> 0;
    this.#u32[this.#at + BASE_HIGH] = 0;
    this.#u32[this.#at + LINT0_LEVEL] = 0;
    this.#u32[this.#at + STARTUP] = 0;
    this.#u32[this.#at + INIT] = 0;
    this.#resetRegisters();
    this.#u32[this.#at + ID] = this.#cpu << 24;
    if (this.#cpu === 0) this.#u32[this.#at + LVT + LVT_LINT0] = DELIVERY_EXTINT << 8;
  }

  /** State after INIT: all but the ID and the base (SDM 11.4.7.3). */
  #resetRegisters(): void {
    const at = this.#at;
    const u32 = this.#u32;
    for (const register of [TPR, LDR, ESR, ESR_PENDING, ICR_LOW, ICR_HIGH, DIVIDE, INITIAL_COUNT])
      u32[at + register] = 0;
    u32[at + DFR] = 0xffffffff;
    u32[at + SVR] = 0xff;
    u32.fill(LVT_MASKED, at + LVT, at + LVT + 6);
    u32.fill(0, at + IRR, at + IRR + 8);
    u32.fill(0, at + ISR, at + ISR + 8);
    u32.fill(0, at + TMR, at + TMR + 8);
    u32[at + TSC_DEADLINE_LOW] = 0;
    u32[at + TSC_DEADLINE_HIGH] = 0;
    this.#views.f64[this.#deadline] = Infinity;
    if (this.x2apic) this.#setX2apicIds();
  }

  get enabled(): boolean {
    return (this.#u32[this.#at + BASE_LOW]! & APIC_BASE_ENABLE) !== 0;
  }

  get x2apic(): boolean {
    const both = APIC_BASE_ENABLE | APIC_BASE_X2APIC;
    return (this.#u32[this.#at + BASE_LOW]! & both) === both;
  }

  /** Bit 8 of the spurious-interrupt vector register. */
  get #softwareEnabled(): boolean {
    return this.enabled && (this.#u32[this.#at + SVR]! & SVR_ENABLE) !== 0;
  }

  readBase(): readonly [high: number, low: number] {
    return [this.#u32[this.#at + BASE_HIGH]!, this.#u32[this.#at + BASE_LOW]!];
  }

  /**
   * WRMSR IA32_APIC_BASE; false: #GP. Modes change only along SDM figure 11-27. The registers do not move:
   * another base address is refused.
   */
  writeBase(high: number, low: number): boolean {
    const at = this.#at;
    const mode = APIC_BASE_ENABLE | APIC_BASE_X2APIC;
    if (high !== 0 || (low & 0x2ff) !== 0 || (low & 0xfffff000) >>> 0 !== LOCAL_APIC_BASE) return false;
    const from = this.#u32[at + BASE_LOW]! & mode;
    const to = low & mode;
    if (to === APIC_BASE_X2APIC) return false;
    if (from === mode && to === APIC_BASE_ENABLE) return false;
    if (from === 0 && to === mode) return false;
    // The BSP flag is written like the rest (it is read/write).
    this.#u32[at + BASE_LOW] = low;
    if (from !== 0 && to === 0) {
      this.#resetRegisters();
      this.#u32[at + ID] = this.#cpu << 24;
    }
    if (from === APIC_BASE_ENABLE && to === mode) this.#setX2apicIds();
    if (from !== to) this.#board.interrupt(this.#cpu);
    return true;
  }

  /** SDM 11.12.5.1 and 11.12.10.2: the ID is 32 bits wide, the logical ID derives from it. */
  #setX2apicIds(): void {
    this.#u32[this.#at + ID] = this.#cpu;
    this.#u32[this.#at + LDR] = ((this.#cpu >>> 4) << 16) | (1 << (this.#cpu & 15));
  }

  // --- accepting

  /** True if the message addresses this APIC (SDM 11.6.2). */
  matches(message: InterruptMessage): boolean {
    if (!this.enabled) return false;
    if (message.broadcast) return true;
    const { destination } = message;
    if (!message.logical) return destination === this.apicId;
    const ldr = this.#u32[this.#at + LDR]!;
    if (this.x2apic) return destination >>> 16 === ldr >>> 16 && (destination & ldr & 0xffff) !== 0;
    if (this.#u32[this.#at + DFR]! >>> 28 === 0xf) return (destination & (ldr >>> 24)) !== 0;
    // Cluster model: 15 is every cluster.
    const cluster = destination >>> 4;
    return (cluster === 0xf || cluster === ldr >>> 28) && (destination & (ldr >>> 24) & 0xf) !== 0;
  }

  get apicId(): number {
    const id = this.#u32[this.#at + ID]!;
    return this.x2apic ? id : id >>> 24;
  }

  /** For lowest-priority arbitration: -1 if software has disabled this APIC. */
  get arbitrationPriority(): number {
    return this.#softwareEnabled ? this.#processorPriority() : -1;
  }

  /** A fixed or lowest-priority interrupt. */
  accept(vector: number, level: boolean): void {
    if (!this.#softwareEnabled) return;
    if (vector < 16) {
      this.#error(ERROR_RECEIVE_VECTOR);
      return;
    }
    this.#setVector(IRR, vector, true);
    this.#setVector(TMR, vector, level);
    this.#board.interrupt(this.#cpu);
  }

  acceptInit(): void {
    this.#resetRegisters();
    this.#u32[this.#at + INIT] = 1;
    this.#u32[this.#at + STARTUP] = 0;
  }

  /** A start-up IPI counts only while the CPU waits for it, which the run loop knows. */
  acceptStartup(vector: number): void {
    this.#u32[this.#at + STARTUP] = 0x100 | vector;
  }

  takeInit(): boolean {
    const pending = this.#u32[this.#at + INIT] !== 0;
    this.#u32[this.#at + INIT] = 0;
    return pending;
  }

  takeStartup(): number {
    const startup = this.#u32[this.#at + STARTUP]!;
    this.#u32[this.#at + STARTUP] = 0;
    return startup === 0 ? -1 : startup & 0xff;
  }

  /** LINT0, wired to the 8259's INTR. */
  setLint0(level: boolean): void {
    const rising = level && this.#u32[this.#at + LINT0_LEVEL] === 0;
    this.#u32[this.#at + LINT0_LEVEL] = level ? 1 : 0;
    if (rising) this.#lint(LVT_LINT0);
  }

  /** LINT1, wired to NMI. */
  pulseLint1(): void {
    if (!this.enabled) this.#board.nmi(this.#cpu);
    else this.#lint(LVT_LINT1);
  }

  /** True if the 8259's request goes to this CPU: APIC off, or LINT0 in ExtINT mode. */
  get acceptsPic(): boolean {
    if (!this.enabled) return true;
    const lint0 = this.#u32[this.#at + LVT + LVT_LINT0]!;
    return (lint0 & LVT_MASKED) === 0 && ((lint0 >>> 8) & 7) === DELIVERY_EXTINT;
  }

  #lint(entry: number): void {
    if (entry === LVT_LINT0 && this.acceptsPic) {
      this.#board.interrupt(this.#cpu);
      return;
    }
    const lvt = this.#u32[this.#at + LVT + entry]!;
    if (!this.enabled || (lvt & LVT_MASKED) !== 0) return;
    const mode = (lvt >>> 8) & 7;
    if (mode === DELIVERY_NMI) this.#board.nmi(this.#cpu);
    // Level-triggered mode exists for LINT0 only, with a remote IRR that EOI clears; see #endOfInterrupt.
    else if (mode === DELIVERY_FIXED)
      this.accept(lvt & 0xff, entry === LVT_LINT0 && (lvt & TRIGGER_LEVEL) !== 0);
  }

  #error(bit: number): void {
    this.#u32[this.#at + ESR_PENDING]! |= bit;
    const lvt = this.#u32[this.#at + LVT + LVT_ERROR]!;
    // A vector below 16 here would be an error again, for ever.
    if ((lvt & LVT_MASKED) === 0 && (lvt & 0xff) >= 16) this.accept(lvt & 0xff, false);
  }

  // --- priorities (SDM 11.8.3)

  #setVector(register: number, vector: number, value: boolean): void {
    const index = this.#at + register + (vector >>> 5);
    const bit = 1 << (vector & 31);
    if (value) this.#u32[index]! |= bit;
    else this.#u32[index]! &= ~bit;
  }

  #highestVector(register: number): number {
    for (let word = 7; word >= 0; word--) {
      const value = this.#u32[this.#at + register + word]!;
      if (value !== 0) return word * 32 + highestBit(value);
    }
    return -1;
  }

  #processorPriority(): number {
    const taskPriority = this.#u32[this.#at + TPR]!;
    const inService = this.#highestVector(ISR);
    if (inService < 0 || taskPriority >>> 4 >= inService >>> 4) return taskPriority;
    return inService & 0xf0;
  }

  /** The vector in IRR that outranks PPR, or -1. */
  pending(): number {
    if (!this.enabled) return -1;
    const vector = this.#highestVector(IRR);
    return vector >= 0 && vector >>> 4 > this.#processorPriority() >>> 4 ? vector : -1;
  }

  /** Moves `vector` from IRR to ISR. */
  acknowledge(vector: number): void {
    this.#setVector(IRR, vector, false);
    this.#setVector(ISR, vector, true);
  }

  get taskPriority(): number {
    return this.#u32[this.#at + TPR]!;
  }

  set taskPriority(value: number) {
    this.#u32[this.#at + TPR] = value & 0xff;
    this.#priorityDropped();
  }

  #priorityDropped(): void {
    if (this.pending() >= 0) this.#board.interrupt(this.#cpu);
  }

  #endOfInterrupt(): void {
    const vector = this.#highestVector(ISR);
    if (vector < 0) return;
    this.#setVector(ISR, vector, false);
    if ((this.#u32[this.#at + TMR + (vector >>> 5)]! & (1 << (vector & 31))) !== 0) {
      this.#board.endOfInterrupt(vector);
      const lint0 = this.#u32[this.#at + LVT + LVT_LINT0]!;
      // A level-triggered LINT0 that is still high asks again.
      if (
        (lint0 & 0xff) === vector &&
        (lint0 & TRIGGER_LEVEL) !== 0 &&
        this.#u32[this.#at + LINT0_LEVEL] !== 0
      ) {
        this.#lint(LVT_LINT0);
      }
    }
    this.#priorityDropped();
  }

  // --- registers

  /** An aligned 32-bit read at `offset` in the register page. */
  read(offset: number): number {
    const u32 = this.#u32;
    const at = this.#at;
    if (offset >= REG_ISR && offset < REG_ESR) {
      const word = (offset >>> 4) & 7;
      if (offset < REG_TMR) return u32[at + ISR + word]!;
      return u32[at + (offset < REG_IRR ? TMR : IRR) + word]!;
    }
    if (offset >= REG_LVT_TIMER && offset <= REG_LVT_ERROR)
      return u32[at + LVT + ((offset - REG_LVT_TIMER) >>> 4)]!;
    switch (offset) {
      case REG_ID:
        return u32[at + ID]!;
      case REG_VERSION:
        return VERSION;
      case REG_TPR:
        return u32[at + TPR]!;
      case REG_APR:
      case REG_PPR:
        return this.#processorPriority();
      case REG_EOI:
        return 0;
      case REG_LDR:
        return u32[at + LDR]!;
      case REG_DFR:
        return u32[at + DFR]!;
      case REG_SVR:
        return u32[at + SVR]!;
      case REG_ESR:
        return u32[at + ESR]!;
      case REG_ICR:
        return u32[at + ICR_LOW]!;
      case REG_ICR_HIGH:
        return u32[at + ICR_HIGH]!;
      case REG_INITIAL_COUNT:
        return u32[at + INITIAL_COUNT]!;
      case REG_CURRENT_COUNT:
        return this.#currentCount(this.#clock.now());
      case REG_DIVIDE:
        return u32[at + DIVIDE]!;
    }
    this.#error(ERROR_REGISTER);
    return 0;
  }

  /** An aligned 32-bit write at `offset` in the register page. */
  write(offset: number, value: number): void {
    const u32 = this.#u32;
    const at = this.#at;
    if (offset >= REG_LVT_TIMER && offset <= REG_LVT_ERROR) {
      this.#writeLvt((offset - REG_LVT_TIMER) >>> 4, value);
      return;
    }
    switch (offset) {
      case REG_ID:
        // Read/write in xAPIC mode (SDM 11.4.6).
        u32[at + ID] = value & 0xff000000;
        return;
      case REG_TPR:
        this.taskPriority = value;
        return;
      case REG_EOI:
        this.#endOfInterrupt();
        return;
      case REG_LDR:
        u32[at + LDR] = value & 0xff000000;
        return;
      case REG_DFR:
        u32[at + DFR] = value | 0x0fffffff;
        return;
      case REG_SVR:
        this.#writeSpurious(value);
        return;
      case REG_ESR:
        u32[at + ESR] = u32[at + ESR_PENDING]!;
        u32[at + ESR_PENDING] = 0;
        return;
      case REG_ICR:
        u32[at + ICR_LOW] = value & 0xccfff;
        this.#sendCommand(value, u32[at + ICR_HIGH]! >>> 24);
        return;
      case REG_ICR_HIGH:
        u32[at + ICR_HIGH] = value & 0xff000000;
        return;
      case REG_INITIAL_COUNT:
        this.#writeInitialCount(value >>> 0, this.#clock.now());
        return;
      case REG_DIVIDE:
        this.#writeDivide(value, this.#clock.now());
        return;
      case REG_VERSION:
      case REG_APR:
      case REG_PPR:
      case REG_CURRENT_COUNT:
        return;
    }
    if (offset < REG_ISR || offset >= REG_ESR) this.#error(ERROR_REGISTER);
  }

  /** RDMSR 800h + `index` in x2APIC mode; undefined: #GP (SDM 11.12.1.2 and table 11-6). */
  readX2apic(index: number): readonly [high: number, low: number] | undefined {
    const offset = index << 4;
    switch (offset) {
      case REG_ICR:
        return [this.#u32[this.#at + ICR_HIGH]!, this.#u32[this.#at + ICR_LOW]!];
      case REG_APR:
      case REG_EOI:
      case REG_DFR:
      case REG_ICR_HIGH:
      case REG_SELF_IPI:
        return undefined;
    }
    return isRegister(offset) ? [0, this.read(offset)] : undefined;
  }

  /** WRMSR 800h + `index` in x2APIC mode; false: #GP. Reserved bits must be zero. */
  writeX2apic(index: number, high: number, low: number): boolean {
    const offset = index << 4;
    if (offset === REG_ICR) {
      if ((low & ~0xccfff) !== 0) return false;
      this.#u32[this.#at + ICR_LOW] = low;
      this.#u32[this.#at + ICR_HIGH] = high;
      this.#sendCommand(low, high);
      return true;
    }
    if (high !== 0) return false;
    switch (offset) {
      case REG_SELF_IPI:
        if ((low & ~0xff) !== 0) return false;
        this.#acceptOwn(low);
        return true;
      case REG_EOI:
      case REG_ESR:
        if (low !== 0) return false;
        break;
      case REG_TPR:
        if ((low & ~0xff) !== 0) return false;
        break;
      case REG_SVR:
        if ((low & ~0x3ff) !== 0) return false;
        break;
      case REG_DIVIDE:
        if ((low & ~0xb) !== 0) return false;
        break;
      case REG_INITIAL_COUNT:
        break;
      default: {
        const entry = (offset - REG_LVT_TIMER) >>> 4;
        const writable = offset >= REG_LVT_TIMER ? LVT_WRITABLE[entry] : undefined;
        // Read-only bits 12 and 14 may be written with anything.
        if (writable === undefined || (low & ~(writable | 0x5000)) !== 0) return false;
      }
    }
    this.write(offset, low);
    return true;
  }

  #writeSpurious(value: number): void {
    const at = this.#at;
    this.#u32[at + SVR] = value & 0x3ff;
    if ((value & SVR_ENABLE) === 0) {
      // Software disable masks every LVT entry (SDM 11.4.7.2).
      for (let entry = 0; entry < 6; entry++) this.#u32[at + LVT + entry]! |= LVT_MASKED;
    }
    this.#priorityDropped();
  }

  #writeLvt(entry: number, value: number): void {
    const at = this.#at;
    const before = this.#u32[at + LVT + entry]!;
    let lvt = value & LVT_WRITABLE[entry]!;
    if ((this.#u32[at + SVR]! & SVR_ENABLE) === 0) lvt |= LVT_MASKED;
    this.#u32[at + LVT + entry] = lvt;
    if (entry === LVT_TIMER) {
      const modeBefore = (before >>> LVT_MODE_SHIFT) & 3;
      const mode = (lvt >>> LVT_MODE_SHIFT) & 3;
      // To or from TSC-deadline mode disarms the timer (SDM 11.5.4.1).
      if (modeBefore !== mode && (modeBefore === TIMER_TSC_DEADLINE || mode === TIMER_TSC_DEADLINE))
        this.#disarm();
    }
    if (entry === LVT_LINT0 && this.#u32[at + LINT0_LEVEL] !== 0) {
      if (this.acceptsPic || (before & LVT_MASKED) !== 0) this.#lint(LVT_LINT0);
    }
  }

  /** SDM 11.6.1. */
  #sendCommand(command: number, destination: number): void {
    const mode = (command >>> 8) & 7;
    const shorthand = (command >>> 18) & 3;
    const level = (command & TRIGGER_LEVEL) !== 0;
    const vector = command & 0xff;
    // INIT level de-assert does nothing on any processor of today.
    if (level && (command & LEVEL_ASSERT) === 0) return;
    if ((mode === DELIVERY_FIXED || mode === DELIVERY_LOWEST) && vector < 16) {
      this.#error(ERROR_SEND_VECTOR);
      return;
    }
    const broadcast = this.x2apic ? destination === 0xffffffff : destination === 0xff;
    const logical = (command & DESTINATION_LOGICAL) !== 0;
    // IPIs are edge triggered whatever the bit says.
    this.#board.send(this.#cpu, { vector, mode, logical, destination, broadcast, level: false }, shorthand);
  }

  #acceptOwn(vector: number): void {
    if (vector < 16) this.#error(ERROR_SEND_VECTOR);
    else this.accept(vector, false);
  }

  // --- timer (SDM 11.5.4)

  get deadline(): number {
    return this.#views.f64[this.#deadline]!;
  }

  /** Nanoseconds per count: divide configuration bits 3, 1, 0. */
  #tick(): number {
    const divide = this.#u32[this.#at + DIVIDE]!;
    const code = (divide & 3) | ((divide >>> 1) & 4);
    return code === 7 ? 1 : 2 << code;
  }

  #timerMode(): number {
    return (this.#u32[this.#at + LVT + LVT_TIMER]! >>> LVT_MODE_SHIFT) & 3;
  }

  #currentCount(now: number): number {
    const deadline = this.deadline;
    if (deadline === Infinity || this.#timerMode() === TIMER_TSC_DEADLINE) return 0;
    const tick = this.#tick();
    const period = this.#u32[this.#at + INITIAL_COUNT]! * tick;
    let left = deadline - now;
    if (left <= 0) {
      // Due but not yet expired by the run loop.
      if (this.#timerMode() !== TIMER_PERIODIC) return 0;
      left = period - (-left % period);
    }
    return Math.ceil(left / tick) >>> 0;
  }

  #writeInitialCount(value: number, now: number): void {
    // In TSC-deadline mode writes are ignored (SDM 11.5.4.1).
    if (this.#timerMode() === TIMER_TSC_DEADLINE) return;
    this.#u32[this.#at + INITIAL_COUNT] = value;
    this.#views.f64[this.#deadline] = value === 0 ? Infinity : now + value * this.#tick();
  }

  /** The count goes on from where it is, at the new rate. */
  #writeDivide(value: number, now: number): void {
    const left = this.#currentCount(now);
    this.#u32[this.#at + DIVIDE] = value & 0xb;
    if (this.deadline !== Infinity && this.#timerMode() !== TIMER_TSC_DEADLINE) {
      this.#views.f64[this.#deadline] = now + left * this.#tick();
    }
  }

  #disarm(): void {
    this.#views.f64[this.#deadline] = Infinity;
    this.#u32[this.#at + INITIAL_COUNT] = 0;
    this.#u32[this.#at + TSC_DEADLINE_LOW] = 0;
    this.#u32[this.#at + TSC_DEADLINE_HIGH] = 0;
  }

  readTscDeadline(): readonly [high: number, low: number] {
    return [this.#u32[this.#at + TSC_DEADLINE_HIGH]!, this.#u32[this.#at + TSC_DEADLINE_LOW]!];
  }

  /** WRMSR IA32_TSC_DEADLINE: ignored outside its mode, 0 disarms, the past fires at once. */
  writeTscDeadline(high: number, low: number): void {
    if (this.#timerMode() !== TIMER_TSC_DEADLINE || !this.enabled) return;
    const now = this.#clock.now();
    this.#u32[this.#at + TSC_DEADLINE_HIGH] = high;
    this.#u32[this.#at + TSC_DEADLINE_LOW] = low;
    const off = high === 0 && low === 0;
    this.#views.f64[this.#deadline] = off
      ? Infinity
      : tscToTime(this.#views, vcpuAddress(this.#cpu), now, high, low);
    this.expire(now);
  }

  /** After the TSC was set: a pending TSC deadline lies elsewhere in time now. */
  tscMoved(): void {
    const [high, low] = this.readTscDeadline();
    if (high !== 0 || low !== 0) this.writeTscDeadline(high, low);
  }

  expire(now: number): void {
    const deadline = this.deadline;
    if (deadline > now) return;
    const lvt = this.#u32[this.#at + LVT + LVT_TIMER]!;
    const period = this.#u32[this.#at + INITIAL_COUNT]! * this.#tick();
    if (this.#timerMode() === TIMER_PERIODIC && period > 0) {
      // Periods that passed while nobody looked are one interrupt: IRR holds no more.
      this.#views.f64[this.#deadline] = deadline + (Math.floor((now - deadline) / period) + 1) * period;
    } else {
      this.#views.f64[this.#deadline] = Infinity;
      this.#u32[this.#at + TSC_DEADLINE_LOW] = 0;
      this.#u32[this.#at + TSC_DEADLINE_HIGH] = 0;
    }
    if ((lvt & LVT_MASKED) === 0) this.accept(lvt & 0xff, false);
  }
}

/** Offsets that an x2APIC has a register at. */
function isRegister(offset: number): boolean {
  if (offset >= REG_ISR && offset <= REG_ESR) return true;
  if (offset >= REG_LVT_TIMER && offset <= REG_CURRENT_COUNT) return true;
  return [REG_ID, REG_VERSION, REG_TPR, REG_PPR, REG_LDR, REG_SVR, REG_DIVIDE].includes(offset);
}
