/**
 * The machine's interrupt controllers as one: lines in, vectors out. State is in shared memory under one lock, so any
 * thread may raise a line; each thread makes its own `IrqChip` over the same memory.
 *
 * Routing is that of QEMU's `pc`: lines 0-15 go to the 8259 pair and to the I/O APIC (line 0 to its pin 2), 16-23 to
 * the I/O APIC only. The 8259's INTR is every local APIC's LINT0.
 */
import type { Views } from '../base/views.ts';
import { IO_APIC_LINES, LOCAL_APIC_BASE, PIT_GSI } from '../base/platform.ts';
import { IRQCHIP, IRQCHIP_ADDRESS } from '../layout/irqchip.ts';
import { CAUSE_INTERRUPT, THREAD_VCPU0 } from '../layout/machine.ts';
import { vcpuAddress } from '../layout/map.ts';
import { ATTENTION_INIT, ATTENTION_INTERRUPT, ATTENTION_NMI, VCPU } from '../layout/vcpu.ts';
import { SharedLock } from '../sync/lock.ts';
import type { LockWait } from '../sync/lock.ts';
import { wakeThread } from '../sync/wake.ts';
import type { GuestClock } from '../time/clock.ts';
import type { TimerSource } from '../time/deadline.ts';
import { IoApic } from './ioapic.ts';
import { LocalApic } from './lapic.ts';
import {
  DELIVERY_EXTINT,
  DELIVERY_FIXED,
  DELIVERY_INIT,
  DELIVERY_LOWEST,
  DELIVERY_NMI,
  DELIVERY_SMI,
  DELIVERY_STARTUP,
} from './line.ts';
import type { InterruptLine, InterruptMessage } from './line.ts';
import { PicPair } from './pic.ts';
import { Pit } from './pit.ts';

const LINES = (IRQCHIP_ADDRESS + IRQCHIP.at.lines) >>> 2;
const INPUTS = (IRQCHIP_ADDRESS + IRQCHIP.at.inputs) >>> 2;
const ISA_LINES = 16;
const PIT_LINE = 0;

const SHORTHAND_NONE = 0;
const SHORTHAND_SELF = 1;
const SHORTHAND_ALL = 2;

export interface IrqChipOptions {
  readonly views: Views;
  readonly clock: GuestClock;
  readonly vcpus: number;
  /** What this thread may do while another holds the lock. */
  readonly wait?: LockWait;
  /** Called under the lock after attention was set for `cpu`: its own thread then uses up its budget. */
  readonly onAttention?: (cpu: number) => void;
}

export class IrqChip {
  readonly #views: Views;
  readonly #lock: SharedLock;
  readonly #pic: PicPair;
  readonly #pit: Pit;
  readonly #ioapic: IoApic;
  readonly #lapics: readonly LocalApic[];
  readonly #onAttention: (cpu: number) => void;
  /** The PIT as a timer of the machine; local APIC timers are per vCPU (`nextDeadline`). */
  readonly pitTimer: TimerSource;

  constructor(options: IrqChipOptions) {
    const { views, clock } = options;
    this.#views = views;
    this.#lock = new SharedLock(views, IRQCHIP_ADDRESS + IRQCHIP.at.lock, options.wait);
    this.#onAttention = options.onAttention ?? (() => {});
    this.#pic = new PicPair(views);
    this.#ioapic = new IoApic(views, (message) => this.#deliver(message));
    this.#pit = new Pit(views, clock, (level) => this.#drive(PIT_LINE, level));
    this.#lapics = Array.from(
      { length: options.vcpus },
      (_, cpu) =>
        new LocalApic(views, cpu, clock, {
          interrupt: (target) => this.#signal(target, ATTENTION_INTERRUPT),
          nmi: (target) => this.#signal(target, ATTENTION_NMI),
          endOfInterrupt: (vector) => this.#ioapic.endOfInterrupt(vector),
          send: (from, message, shorthand) => this.#send(from, message, shorthand),
        }),
    );
    this.pitTimer = {
      nextDeadline: () => this.#pit.deadline,
      expire: (now) => this.#locked(() => this.#pit.expire(now)),
    };
  }

  /** Power-on state of all controllers. */
  reset(): void {
    this.#locked(() => {
      this.#views.u32[LINES] = 0;
      this.#views.u32.fill(0, INPUTS, INPUTS + IO_APIC_LINES);
      this.#pic.reset();
      this.#ioapic.reset();
      this.#pit.reset();
      for (const lapic of this.#lapics) lapic.reset();
    });
  }

  // --- inputs, from any thread

  /** Line `gsi` (0-23) for one of up to 32 devices that share it: it is asserted while any `input` is. */
  line(gsi: number, input = 0): InterruptLine {
    if (!(gsi >= 0 && gsi < IO_APIC_LINES && input >= 0 && input < 32))
      throw new Error(`no line ${gsi}.${input}`);
    const index = INPUTS + gsi;
    const bit = 1 << input;
    return {
      set: (asserted) => {
        this.#locked(() => {
          const inputs = asserted ? this.#views.u32[index]! | bit : this.#views.u32[index]! & ~bit;
          this.#views.u32[index] = inputs;
          this.#drive(gsi, inputs !== 0);
        });
      },
    };
  }

  /** A device's memory write into FEExxxxxh (SDM 11.11). False if the address is not one of an MSI. */
  sendMsi(address: number, data: number): boolean {
    if ((address & 0xfff00000) >>> 0 !== LOCAL_APIC_BASE) return false;
    const destination = (address >>> 12) & 0xff;
    const message: InterruptMessage = {
      vector: data & 0xff,
      mode: (data >>> 8) & 7,
      logical: (address & 4) !== 0,
      destination,
      broadcast: destination === 0xff,
      level: (data & 0x8000) !== 0,
    };
    this.#locked(() => this.#deliver(message));
    return true;
  }

  /** The platform's NMI, on every CPU's LINT1. */
  raiseNmi(): void {
    this.#locked(() => {
      for (const lapic of this.#lapics) lapic.pulseLint1();
    });
  }

  // --- for the run loop of vCPU `cpu`

  /**
   * The vector that `acknowledge` would deliver now, -1 if none. Without one ATTENTION_INTERRUPT is cleared; it comes
   * back with the next interrupt, and when an EOI or a lower task priority makes one deliverable.
   */
  pendingVector(cpu: number): number {
    this.#lock.acquire();
    try {
      const vector = this.#pending(cpu);
      if (vector < 0) {
        const attention = (vcpuAddress(cpu) + VCPU.at.attention) >>> 2;
        // Under the lock that every setter of this bit holds, so no interrupt falls between the look and the clearing.
        Atomics.and(this.#views.i32, attention, ~ATTENTION_INTERRUPT);
      }
      return vector;
    } finally {
      this.#lock.release();
    }
  }

  /** INTA: takes the vector, which is now in service. -1 if there is none any more. */
  acknowledge(cpu: number): number {
    this.#lock.acquire();
    try {
      const lapic = this.#lapics[cpu]!;
      if (this.#pic.output && lapic.acceptsPic) {
        const vector = this.#pic.acknowledge();
        this.#picChanged();
        return vector;
      }
      const vector = lapic.pending();
      if (vector >= 0) lapic.acknowledge(vector);
      return vector;
    } finally {
      this.#lock.release();
    }
  }

  /** When this vCPU's local APIC timer is due, in guest ns. */
  nextDeadline(cpu: number): number {
    return this.#lapics[cpu]!.deadline;
  }

  /** Fires this vCPU's local APIC timer if it is due. */
  expire(cpu: number, now: number): void {
    if (this.#lapics[cpu]!.deadline > now) return;
    this.#locked(() => this.#lapics[cpu]!.expire(now));
  }

  /** ATTENTION_INIT: an INIT arrived (true once). */
  takeInit(cpu: number): boolean {
    return this.#locked(() => this.#lapics[cpu]!.takeInit());
  }

  /** The vector of a start-up IPI, -1 if none arrived: code starts at vector * 4096. */
  takeStartup(cpu: number): number {
    return this.#locked(() => this.#lapics[cpu]!.takeStartup());
  }

  // --- registers

  /** CR8: the upper four bits of the task priority. */
  taskPriority(cpu: number): number {
    return this.#lapics[cpu]!.taskPriority >>> 4;
  }

  setTaskPriority(cpu: number, value: number): void {
    this.#locked(() => {
      this.#lapics[cpu]!.taskPriority = (value & 15) << 4;
    });
  }

  /** True while the register page answers at FEE00000h (not in x2APIC mode). */
  lapicMapped(cpu: number): boolean {
    const lapic = this.#lapics[cpu]!;
    return lapic.enabled && !lapic.x2apic;
  }

  readLapic(cpu: number, offset: number): number {
    return this.#locked(() => this.#lapics[cpu]!.read(offset)) >>> 0;
  }

  writeLapic(cpu: number, offset: number, value: number): void {
    this.#locked(() => this.#lapics[cpu]!.write(offset, value));
  }

  /** IA32_APIC_BASE. */
  readApicBase(cpu: number): readonly [high: number, low: number] {
    return this.#lapics[cpu]!.readBase();
  }

  /** False: #GP. */
  writeApicBase(cpu: number, high: number, low: number): boolean {
    return this.#locked(() => this.#lapics[cpu]!.writeBase(high, low));
  }

  /** MSR 800h + `index`; undefined: #GP. */
  readX2apic(cpu: number, index: number): readonly [high: number, low: number] | undefined {
    const lapic = this.#lapics[cpu]!;
    return lapic.x2apic ? this.#locked(() => lapic.readX2apic(index)) : undefined;
  }

  /** MSR 800h + `index`; false: #GP. */
  writeX2apic(cpu: number, index: number, high: number, low: number): boolean {
    const lapic = this.#lapics[cpu]!;
    return lapic.x2apic && this.#locked(() => lapic.writeX2apic(index, high, low));
  }

  readTscDeadline(cpu: number): readonly [high: number, low: number] {
    return this.#lapics[cpu]!.readTscDeadline();
  }

  writeTscDeadline(cpu: number, high: number, low: number): void {
    this.#locked(() => this.#lapics[cpu]!.writeTscDeadline(high, low));
  }

  /** To be called after this vCPU's TSC offset has changed. */
  tscMoved(cpu: number): void {
    this.#locked(() => this.#lapics[cpu]!.tscMoved());
  }

  readIoApic(offset: number): number {
    return this.#locked(() => this.#ioapic.read(offset)) >>> 0;
  }

  writeIoApic(offset: number, value: number): void {
    this.#locked(() => this.#ioapic.write(offset, value));
  }

  /** Ports 20h, 21h, A0h, A1h, 4D0h, 4D1h. */
  readPic(port: number): number {
    return this.#locked(() => {
      const value = this.#pic.read(port);
      this.#picChanged();
      return value;
    });
  }

  writePic(port: number, value: number): void {
    this.#locked(() => {
      this.#pic.write(port, value);
      this.#picChanged();
    });
  }

  /** Ports 40h-43h. */
  readPit(port: number): number {
    return this.#locked(() => this.#pit.read(port));
  }

  writePit(port: number, value: number): void {
    this.#locked(() => this.#pit.write(port, value));
  }

  /** Port 61h. */
  readSpeaker(): number {
    return this.#locked(() => this.#pit.readSpeaker());
  }

  writeSpeaker(value: number): void {
    this.#locked(() => this.#pit.writeSpeaker(value));
  }

  // --- under the lock

  #locked<T>(action: () => T): T {
    this.#lock.acquire();
    try {
      return action();
    } finally {
      this.#lock.release();
    }
  }

  #pending(cpu: number): number {
    const lapic = this.#lapics[cpu]!;
    if (this.#pic.output && lapic.acceptsPic) return this.#pic.peek();
    return lapic.pending();
  }

  #drive(gsi: number, asserted: boolean): void {
    const bit = 1 << gsi;
    const lines = this.#views.u32[LINES]!;
    const wasAsserted = (lines & bit) !== 0;
    if (wasAsserted === asserted) return;
    this.#views.u32[LINES] = asserted ? lines | bit : lines & ~bit;
    if (gsi < ISA_LINES) {
      this.#pic.setLine(gsi, asserted);
      this.#picChanged();
    }
    const pin = gsi === PIT_LINE ? PIT_GSI : gsi;
    // Pin 2 is the PIT's; the cascade is no line of its own.
    if (gsi !== PIT_GSI) this.#ioapic.setPin(pin, asserted);
  }

  #picChanged(): void {
    const level = this.#pic.output;
    for (const lapic of this.#lapics) lapic.setLint0(level);
  }

  #deliver(message: InterruptMessage): void {
    if (message.mode === DELIVERY_LOWEST) {
      let chosen: LocalApic | undefined;
      for (const lapic of this.#lapics) {
        const priority = lapic.arbitrationPriority;
        if (priority < 0 || !lapic.matches(message)) continue;
        if (chosen === undefined || priority < chosen.arbitrationPriority) chosen = lapic;
      }
      chosen?.accept(message.vector, message.level);
      return;
    }
    this.#lapics.forEach((lapic, cpu) => {
      if (lapic.matches(message)) this.#deliverTo(cpu, message);
    });
  }

  #deliverTo(cpu: number, message: InterruptMessage): void {
    const lapic = this.#lapics[cpu]!;
    switch (message.mode) {
      case DELIVERY_FIXED:
      case DELIVERY_LOWEST:
        lapic.accept(message.vector, message.level);
        return;
      case DELIVERY_NMI:
        this.#signal(cpu, ATTENTION_NMI);
        return;
      case DELIVERY_INIT:
        lapic.acceptInit();
        this.#signal(cpu, ATTENTION_INIT);
        return;
      case DELIVERY_STARTUP:
        lapic.acceptStartup(message.vector);
        this.#signal(cpu, ATTENTION_INIT);
        return;
      // There is no system management mode; ExtINT reaches a CPU through LINT0 only, as in KVM.
      case DELIVERY_SMI:
      case DELIVERY_EXTINT:
        return;
    }
  }

  #send(from: number, message: InterruptMessage, shorthand: number): void {
    if (shorthand === SHORTHAND_NONE) {
      this.#deliver(message);
      return;
    }
    if (shorthand === SHORTHAND_SELF) {
      this.#deliverTo(from, message);
      return;
    }
    for (let cpu = 0; cpu < this.#lapics.length; cpu++) {
      if (cpu === from && shorthand !== SHORTHAND_ALL) continue;
      if (this.#lapics[cpu]!.enabled) this.#deliverTo(cpu, message);
    }
  }

  #signal(cpu: number, attention: number): void {
    const index = (vcpuAddress(cpu) + VCPU.at.attention) >>> 2;
    // The interrupt is in the controllers' state before the bit; the vCPU takes the lock before it reads that state.
    Atomics.or(this.#views.i32, index, attention);
    wakeThread(this.#views, THREAD_VCPU0 + cpu, CAUSE_INTERRUPT);
    this.#onAttention(cpu);
  }
}
