/**
 * The two 8259A interrupt controllers of a PC (Intel 8259A data sheet, 231468; ELCR: 82371SB 2.5.3), the slave on
 * the master's input 2. The caller holds the irqchip lock.
 *
 * Edge inputs keep their request when the line falls before it is acknowledged, as QEMU and KVM do (the chip would
 * then answer with input 7): a guest that is descheduled between the edge and INTA must not lose a timer tick.
 */
import type { Views } from '../base/views.ts';
import { lowestBit } from '../base/bits.ts';
import { PIC, PIC_MASTER, PIC_SLAVE } from '../layout/irqchip.ts';

const IRR = PIC.at.irr >>> 2;
const IMR = PIC.at.imr >>> 2;
const ISR = PIC.at.isr >>> 2;
const LAST_LEVEL = PIC.at.lastLevel >>> 2;
const PRIORITY_ADD = PIC.at.priorityAdd >>> 2;
const VECTOR_BASE = PIC.at.vectorBase >>> 2;
const READ_ISR = PIC.at.readIsr >>> 2;
const POLL = PIC.at.poll >>> 2;
const SPECIAL_MASK = PIC.at.specialMask >>> 2;
const INIT_STATE = PIC.at.initState >>> 2;
const AUTO_EOI = PIC.at.autoEoi >>> 2;
const ROTATE_ON_AUTO_EOI = PIC.at.rotateOnAutoEoi >>> 2;
const SPECIAL_FULLY_NESTED = PIC.at.specialFullyNested >>> 2;
const ICW4_NEEDED = PIC.at.icw4Needed >>> 2;
const SINGLE = PIC.at.single >>> 2;
const LEVEL_MODE = PIC.at.levelMode >>> 2;
const ELCR = PIC.at.elcr >>> 2;
const OUTPUT = PIC.at.output >>> 2;

const READY = 0;
const WANTS_ICW2 = 1;
const WANTS_ICW3 = 2;
const WANTS_ICW4 = 3;

const MASTER = PIC_MASTER >>> 2;
const SLAVE = PIC_SLAVE >>> 2;
/** The master's input that the slave drives. */
const CASCADE = 2;

/** Inputs whose trigger mode is fixed to edge: timer, keyboard, cascade; RTC, coprocessor error. */
const ELCR_WRITABLE_MASTER = 0xf8;
const ELCR_WRITABLE_SLAVE = 0xde;

export class PicPair {
  readonly #u32: Uint32Array;

  constructor(views: Views) {
    this.#u32 = views.u32;
  }

  reset(): void {
    this.#u32.fill(0, MASTER, MASTER + (PIC.size >>> 2));
    this.#u32.fill(0, SLAVE, SLAVE + (PIC.size >>> 2));
  }

  /** Level of INTR. */
  get output(): boolean {
    return this.#u32[MASTER + OUTPUT] !== 0;
  }

  /** Drives input `irq` (0-15; the cascade is not an input for devices). */
  setLine(irq: number, level: boolean): void {
    if (irq === CASCADE) return;
    this.#setInput(irq < 8 ? MASTER : SLAVE, irq & 7, level);
    this.#update();
  }

  /** The vector that `acknowledge` would return now; -1 if INTR is low. */
  peek(): number {
    const u32 = this.#u32;
    const irq = this.#highest(MASTER);
    if (irq < 0) return -1;
    if (irq !== CASCADE) return u32[MASTER + VECTOR_BASE]! + irq;
    const slave = this.#highest(SLAVE);
    return u32[SLAVE + VECTOR_BASE]! + (slave < 0 ? 7 : slave);
  }

  /**
   * The two INTA cycles. An input that is gone by now gives vector 7 of its controller without an
   * in-service bit there (data sheet, "Default IR7"); the master's cascade bit is set all the same.
   */
  acknowledge(): number {
    const u32 = this.#u32;
    const irq = this.#highest(MASTER);
    let vector = u32[MASTER + VECTOR_BASE]! + (irq < 0 ? 7 : irq);
    if (irq >= 0) this.#serve(MASTER, irq);
    if (irq === CASCADE) {
      const slave = this.#highest(SLAVE);
      vector = u32[SLAVE + VECTOR_BASE]! + (slave < 0 ? 7 : slave);
      if (slave >= 0) this.#serve(SLAVE, slave);
      // The slave's INT falls with its acknowledgement, so that another request makes an edge.
      this.#setInput(MASTER, CASCADE, false);
    }
    this.#update();
    return vector;
  }

  /** `port`: 20h, 21h, A0h, A1h, 4D0h or 4D1h. */
  read(port: number): number {
    const u32 = this.#u32;
    if (port === 0x4d0) return u32[MASTER + ELCR]!;
    if (port === 0x4d1) return u32[SLAVE + ELCR]!;
    const chip = port < 0x80 ? MASTER : SLAVE;
    if (u32[chip + POLL] !== 0) return this.#poll(chip);
    if ((port & 1) !== 0) return u32[chip + IMR]!;
    return u32[chip + READ_ISR] !== 0 ? u32[chip + ISR]! : u32[chip + IRR]!;
  }

  write(port: number, value: number): void {
    const u32 = this.#u32;
    if (port === 0x4d0) u32[MASTER + ELCR] = value & ELCR_WRITABLE_MASTER;
    else if (port === 0x4d1) u32[SLAVE + ELCR] = value & ELCR_WRITABLE_SLAVE;
    else if ((port & 1) !== 0) this.#writeData(port < 0x80 ? MASTER : SLAVE, value);
    else this.#writeCommand(port < 0x80 ? MASTER : SLAVE, value);
    this.#update();
  }

  #setInput(chip: number, irq: number, level: boolean): void {
    const u32 = this.#u32;
    const bit = 1 << irq;
    const rising = level && (u32[chip + LAST_LEVEL]! & bit) === 0;
    if (level) u32[chip + LAST_LEVEL]! |= bit;
    else u32[chip + LAST_LEVEL]! &= ~bit;
    if (this.#isLevel(chip, bit)) {
      if (level) u32[chip + IRR]! |= bit;
      else u32[chip + IRR]! &= ~bit;
    } else if (rising) {
      u32[chip + IRR]! |= bit;
    }
  }

  #isLevel(chip: number, bit: number): boolean {
    return this.#u32[chip + LEVEL_MODE] !== 0 || (this.#u32[chip + ELCR]! & bit) !== 0;
  }

  /** Position of the most important bit of `mask` in the current order of priorities; 8 if there is none. */
  #priority(chip: number, mask: number): number {
    if (mask === 0) return 8;
    const add = this.#u32[chip + PRIORITY_ADD]!;
    return lowestBit(((mask >>> add) | (mask << (8 - add))) & 0xff);
  }

  /** The input to be served now, -1 if none outranks what is in service. */
  #highest(chip: number): number {
    const u32 = this.#u32;
    const request = this.#priority(chip, u32[chip + IRR]! & ~u32[chip + IMR]! & 0xff);
    if (request === 8) return -1;
    let inService = u32[chip + ISR]!;
    if (u32[chip + SPECIAL_MASK] !== 0) inService &= ~u32[chip + IMR]!;
    // Special fully nested mode: the slave in service does not lock out its other inputs.
    if (chip === MASTER && u32[chip + SPECIAL_FULLY_NESTED] !== 0) inService &= ~(1 << CASCADE);
    if (request >= this.#priority(chip, inService)) return -1;
    return (request + u32[chip + PRIORITY_ADD]!) & 7;
  }

  /** Recomputes both INT outputs, the slave's first, as it is an input of the master. */
  #update(): void {
    const u32 = this.#u32;
    u32[SLAVE + OUTPUT] = this.#highest(SLAVE) >= 0 ? 1 : 0;
    this.#setInput(MASTER, CASCADE, u32[SLAVE + OUTPUT] !== 0);
    u32[MASTER + OUTPUT] = this.#highest(MASTER) >= 0 ? 1 : 0;
  }

  #serve(chip: number, irq: number): void {
    const u32 = this.#u32;
    const bit = 1 << irq;
    if (u32[chip + AUTO_EOI] === 0) u32[chip + ISR]! |= bit;
    else if (u32[chip + ROTATE_ON_AUTO_EOI] !== 0) u32[chip + PRIORITY_ADD] = (irq + 1) & 7;
    if (!this.#isLevel(chip, bit)) u32[chip + IRR]! &= ~bit;
  }

  /** The read after OCW3 with P = 1 takes the place of INTA: bit 7 says that there was a request. */
  #poll(chip: number): number {
    this.#u32[chip + POLL] = 0;
    const irq = this.#highest(chip);
    if (irq >= 0) {
      this.#serve(chip, irq);
      if (chip === SLAVE) this.#setInput(MASTER, CASCADE, false);
    }
    this.#update();
    return irq < 0 ? 7 : 0x80 | irq;
  }

  #writeCommand(chip: number, value: number): void {
    const u32 = this.#u32;
    if ((value & 0x10) !== 0) this.#writeIcw1(chip, value);
    else if ((value & 0x08) !== 0) {
      // OCW3
      if ((value & 0x04) !== 0) u32[chip + POLL] = 1;
      if ((value & 0x02) !== 0) u32[chip + READ_ISR] = value & 1;
      if ((value & 0x40) !== 0) u32[chip + SPECIAL_MASK] = (value >>> 5) & 1;
    } else {
      this.#writeOcw2(chip, value);
    }
  }

  #writeIcw1(chip: number, value: number): void {
    const u32 = this.#u32;
    u32[chip + INIT_STATE] = WANTS_ICW2;
    u32[chip + ICW4_NEEDED] = value & 1;
    u32[chip + SINGLE] = (value >>> 1) & 1;
    u32[chip + LEVEL_MODE] = (value >>> 3) & 1;
    u32[chip + IMR] = 0;
    u32[chip + ISR] = 0;
    u32[chip + PRIORITY_ADD] = 0;
    u32[chip + SPECIAL_MASK] = 0;
    u32[chip + READ_ISR] = 0;
    u32[chip + POLL] = 0;
    u32[chip + ROTATE_ON_AUTO_EOI] = 0;
    u32[chip + AUTO_EOI] = 0;
    u32[chip + SPECIAL_FULLY_NESTED] = 0;
    // "The edge sense circuit is reset": an input must fall and rise again; level inputs that are high still ask.
    let levels = 0;
    for (let irq = 0; irq < 8; irq++) if (this.#isLevel(chip, 1 << irq)) levels |= 1 << irq;
    u32[chip + IRR] = u32[chip + LAST_LEVEL]! & levels;
  }

  #writeOcw2(chip: number, value: number): void {
    const u32 = this.#u32;
    const command = value >>> 5;
    const irq = value & 7;
    switch (command) {
      case 0:
      case 4:
        u32[chip + ROTATE_ON_AUTO_EOI] = command >>> 2;
        break;
      case 1:
      case 5: {
        let inService = u32[chip + ISR]!;
        // In special mask mode a non-specific EOI does not see masked bits.
        if (u32[chip + SPECIAL_MASK] !== 0) inService &= ~u32[chip + IMR]!;
        const position = this.#priority(chip, inService);
        if (position === 8) break;
        const served = (position + u32[chip + PRIORITY_ADD]!) & 7;
        u32[chip + ISR]! &= ~(1 << served);
        if (command === 5) u32[chip + PRIORITY_ADD] = (served + 1) & 7;
        break;
      }
      case 3:
      case 7:
        u32[chip + ISR]! &= ~(1 << irq);
        if (command === 7) u32[chip + PRIORITY_ADD] = (irq + 1) & 7;
        break;
      case 6:
        u32[chip + PRIORITY_ADD] = (irq + 1) & 7;
        break;
    }
  }

  #writeData(chip: number, value: number): void {
    const u32 = this.#u32;
    switch (u32[chip + INIT_STATE]!) {
      case READY:
        u32[chip + IMR] = value;
        break;
      case WANTS_ICW2:
        u32[chip + VECTOR_BASE] = value & 0xf8;
        if (u32[chip + SINGLE] === 0) u32[chip + INIT_STATE] = WANTS_ICW3;
        else u32[chip + INIT_STATE] = u32[chip + ICW4_NEEDED] !== 0 ? WANTS_ICW4 : READY;
        break;
      case WANTS_ICW3:
        // The wiring is fixed: slave on input 2.
        u32[chip + INIT_STATE] = u32[chip + ICW4_NEEDED] !== 0 ? WANTS_ICW4 : READY;
        break;
      case WANTS_ICW4:
        u32[chip + SPECIAL_FULLY_NESTED] = (value >>> 4) & 1;
        u32[chip + AUTO_EOI] = (value >>> 1) & 1;
        u32[chip + INIT_STATE] = READY;
        break;
    }
  }
}
