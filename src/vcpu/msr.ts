/**
 * RDMSR and WRMSR (AMD APM vol. 2, appendix A; MTRRs and PAT 7.7-7.8; x2APIC and TSC deadline Intel SDM vol. 4;
 * KVM's clock Documentation/virt/kvm/x86/msr.rst in Linux). Values are two u32. A register that is not here raises
 * #GP, as on the CPU, and is counted. Registers that are fields of the vCPU block (EFER, STAR, FS.base and so on, PAT), and
 * reads of the TSC, never come here: they are the core's (wasm/control.ts).
 */
import type { CpuFeature } from '../base/cpu-features.ts';
import { TWO_32 } from '../base/bits.ts';
import type { Views } from '../base/views.ts';

import type { IrqChip } from '../irqchip/irqchip.ts';
import { MSR_STATE, msrStateAddress } from '../layout/devices.ts';
import { vcpuAddress } from '../layout/map.ts';
import { REG_RAX, REG_RCX, REG_RDX, VCPU } from '../layout/vcpu.ts';
import type { GuestMemory } from '../memory/guest-memory.ts';
import type { GuestClock } from '../time/clock.ts';
import { tscWords, writeTsc } from '../time/tsc.ts';

/** Result of an access, as the core expects it. */
export const MSR_DONE = 0;
export const MSR_FAULT = 1;

const IA32_TSC = 0x10;
const IA32_APIC_BASE = 0x1b;
const PATCH_LEVEL = 0x8b;
const MTRR_CAP = 0xfe;
const DEBUG_CONTROL = 0x1d9;
const MTRR_VARIABLE = 0x200;
const MTRR_VARIABLE_END = 0x210;
const MTRR_FIXED = [0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f];
const MTRR_DEFAULT_TYPE = 0x2ff;
const TSC_DEADLINE = 0x6e0;
const X2APIC = 0x800;
const X2APIC_END = 0x900;
const SYSCFG = 0xc001_0010;
const HWCR = 0xc001_0015;
const TOP_MEM = 0xc001_001a;
const TOP_MEM2 = 0xc001_001d;
const NB_CFG = 0xc001_001f;
const INT_PENDING = 0xc001_0055;
const MMIO_CONFIG_BASE = 0xc001_0058;
const LS_CFG = 0xc001_1020;
const IC_CFG = 0xc001_1021;
const DC_CFG = 0xc001_1022;
const BU_CFG = 0xc001_1023;
const DE_CFG = 0xc001_1029;
const BU_CFG2 = 0xc001_102a;
const KVM_WALL_CLOCK = 0x4b56_4d00;
const KVM_SYSTEM_TIME = 0x4b56_4d01;
const KVM_STEAL_TIME = 0x4b56_4d03;
/** Bit 0 switches it on, bits 1-5 must be 0. */
const STEAL_TIME_ENABLED = 1;
const STEAL_TIME_RESERVED = 0x3e;
const STEAL_TIME_BYTES = 64;
const STEAL_VERSION = 8;

/** Processor configuration that has nothing to configure here: reads as zero, ignores writes. Linux touches each. */
const INERT = new Set([INT_PENDING, MMIO_CONFIG_BASE, LS_CFG, IC_CFG, DC_CFG, BU_CFG, BU_CFG2, TOP_MEM2]);

/** Eight variable ranges, fixed ranges, write combining. */
const MTRR_CAPABILITIES = 0x508;
/** Enabled, fixed ranges enabled, write-back. */
const MTRR_DEFAULT = 0xc06;
const MTRR_DEFAULT_BITS = 0xcff;
const TYPE_UNCACHED = 0;
const WRITE_BACK_EVERYWHERE = 0x0606_0606;
/** Index in MTRR_FIXED of the register for A0000h-BFFFFh. */
const MTRR_FIXED_VGA = 2;

/** A patch level that is not zero, which drivers would take for no microcode. */
const PATCH_LEVEL_VALUE = 0x0300_0027;
/** TscFreqSel: the TSC counts at the P0 frequency (Linux complains without). */
const HWCR_RESET = 1 << 24;
/** LFENCE is dispatch serializing. */
const DE_CFG_RESET = 1 << 1;

/** Scale of the paravirtual clock: (ticks << 1) * 2^31 >> 32 = ticks, a tick being a nanosecond. */
const PVCLOCK_MULTIPLIER = 0x8000_0000;
const PVCLOCK_SHIFT = 1;
const PVCLOCK_TSC_STABLE = 1 << 0;
const PVCLOCK_GUEST_STOPPED = 1 << 1;

type Words = readonly [high: number, low: number];

export interface MsrOptions {
  readonly views: Views;
  /** Which vCPU. */
  readonly index: number;
  readonly features: ReadonlySet<CpuFeature>;
  readonly irqchip: IrqChip;
  readonly clock: GuestClock;
  readonly memory: GuestMemory;
  /** Milliseconds since 1970-01-01 UTC. */
  readonly wallClock: () => number;
}

/** How often a register that is not there was read and written. */
export interface UnknownMsr {
  reads: number;
  writes: number;
}

export class ModelSpecificRegisters {
  readonly #options: MsrOptions;
  readonly #u32: Uint32Array;
  readonly #cpu: number;
  readonly #index: number;
  readonly #state: number;
  /** By number. */
  readonly unknown = new Map<number, UnknownMsr>();

  constructor(options: MsrOptions) {
    this.#options = options;
    this.#u32 = options.views.u32;
    this.#index = options.index;
    this.#cpu = vcpuAddress(options.index);
    this.#state = msrStateAddress(options.index);
  }

  /** Power-on state of what is kept here; the core resets what is in the vCPU block. */
  reset(): void {
    const first = this.#state >>> 2;
    this.#u32.fill(0, first, first + (MSR_STATE.size >>> 2));
    this.#setState(MSR_STATE.at.mtrrDefault, 0, MTRR_DEFAULT);
    for (let n = 0; n < MTRR_FIXED.length; n++) {
      const type = n === MTRR_FIXED_VGA ? TYPE_UNCACHED : WRITE_BACK_EVERYWHERE;
      this.#setState(MSR_STATE.at.mtrrFixed + 8 * n, type, type);
    }
    this.#setState(MSR_STATE.at.hardwareConfiguration, 0, HWCR_RESET);
    this.#setState(MSR_STATE.at.decodeConfiguration, 0, DE_CFG_RESET);
  }

  /** RDMSR: ECX names the register, EDX:EAX receive it. Returns MSR_*. */
  read(): number {
    const number = this.#register(REG_RCX);
    const value = this.#read(number);
    if (value === undefined) {
      this.#count(number).reads++;
      return MSR_FAULT;
    }
    this.#setRegister(REG_RDX, value[0]);
    this.#setRegister(REG_RAX, value[1]);
    return MSR_DONE;
  }

  /** WRMSR: ECX names the register, EDX:EAX hold the value. Returns MSR_*. */
  write(): number {
    const number = this.#register(REG_RCX);
    const outcome = this.#write(number, this.#register(REG_RDX), this.#register(REG_RAX));
    if (outcome === undefined) this.#count(number).writes++;
    return outcome === true ? MSR_DONE : MSR_FAULT;
  }

  /** After a pause: tells the guest's watchdogs that it was not they who slept. */
  guestWasStopped(): void {
    this.#writeSystemTime(PVCLOCK_GUEST_STOPPED);
  }

  #count(number: number): UnknownMsr {
    const known = this.unknown.get(number);
    if (known !== undefined) return known;
    const created = { reads: 0, writes: 0 };
    this.unknown.set(number, created);
    return created;
  }

  // --- storage

  #register(register: number): number {
    return this.#u32[(this.#cpu + VCPU.at.regs + 8 * register) >>> 2]!;
  }

  /** Both halves: RDMSR clears the upper 32 bits. */
  #setRegister(register: number, value: number): void {
    this.#set(VCPU.at.regs + 8 * register, 0, value);
  }

  #get(offset: number): Words {
    const index = (this.#cpu + offset) >>> 2;
    return [this.#u32[index + 1]!, this.#u32[index]!];
  }

  #set(offset: number, high: number, low: number): true {
    const index = (this.#cpu + offset) >>> 2;
    this.#u32[index] = low;
    this.#u32[index + 1] = high;
    return true;
  }

  #getState(offset: number): Words {
    const index = (this.#state + offset) >>> 2;
    return [this.#u32[index + 1]!, this.#u32[index]!];
  }

  #setState(offset: number, high: number, low: number): true {
    const index = (this.#state + offset) >>> 2;
    this.#u32[index] = low;
    this.#u32[index + 1] = high;
    return true;
  }

  // --- reads

  /** Undefined: #GP. */
  #read(number: number): Words | undefined {
    const { irqchip, memory, features } = this.#options;
    if (number >= X2APIC && number < X2APIC_END) return irqchip.readX2apic(this.#index, number - X2APIC);
    if (number >= MTRR_VARIABLE && number < MTRR_VARIABLE_END) {
      return this.#getState(MSR_STATE.at.mtrrVariable + 8 * (number - MTRR_VARIABLE));
    }
    const fixed = MTRR_FIXED.indexOf(number);
    if (fixed >= 0) return this.#getState(MSR_STATE.at.mtrrFixed + 8 * fixed);
    const state = stateOffset(number);
    if (state !== undefined) return this.#getState(state);
    switch (number) {
      case IA32_APIC_BASE:
        return irqchip.readApicBase(this.#index);
      case PATCH_LEVEL:
        return [0, PATCH_LEVEL_VALUE];
      case MTRR_CAP:
        return [0, MTRR_CAPABILITIES];
      case TSC_DEADLINE:
        return features.has('tsc-deadline') ? irqchip.readTscDeadline(this.#index) : undefined;
      case TOP_MEM:
        return [0, memory.ramBytes];
      case KVM_WALL_CLOCK:
        return features.has('kvmclock2') ? this.#getState(MSR_STATE.at.kvmWallClock) : undefined;
      case KVM_SYSTEM_TIME:
        return features.has('kvmclock2') ? this.#getState(MSR_STATE.at.kvmSystemTime) : undefined;
      case KVM_STEAL_TIME:
        return features.has('kvm-steal-time') ? this.#getState(MSR_STATE.at.kvmStealTime) : undefined;
    }
    return INERT.has(number) ? [0, 0] : undefined;
  }

  // --- writes

  /** True: done. False: #GP for this value. Undefined: #GP, no such register. */
  #write(number: number, high: number, low: number): boolean | undefined {
    const { irqchip, clock, features } = this.#options;
    if (number >= X2APIC && number < X2APIC_END)
      return irqchip.writeX2apic(this.#index, number - X2APIC, high, low);
    if (number >= MTRR_VARIABLE && number < MTRR_VARIABLE_END)
      return this.#writeVariableMtrr(number, high, low);
    const fixed = MTRR_FIXED.indexOf(number);
    if (fixed >= 0) {
      if (!areMtrrTypes(high) || !areMtrrTypes(low)) return false;
      return this.#setState(MSR_STATE.at.mtrrFixed + 8 * fixed, high, low);
    }
    switch (number) {
      case IA32_TSC:
        writeTsc(this.#options.views, this.#cpu, clock.now(), high, low);
        this.#set(VCPU.at.tscLast, 0, 0);
        irqchip.tscMoved(this.#index);
        this.#writeSystemTime(0);
        return true;
      case IA32_APIC_BASE:
        return irqchip.writeApicBase(this.#index, high, low);
      case MTRR_DEFAULT_TYPE:
        if (high !== 0 || (low & ~MTRR_DEFAULT_BITS) !== 0 || !isMtrrType(low & 0xff)) return false;
        return this.#setState(MSR_STATE.at.mtrrDefault, 0, low);
      case MTRR_CAP:
        // Read-only.
        return false;
      case PATCH_LEVEL:
        // Software clears it before it asks CPUID for the level.
        return true;
      case TSC_DEADLINE:
        if (!features.has('tsc-deadline')) return undefined;
        irqchip.writeTscDeadline(this.#index, high, low);
        return true;
      case TOP_MEM:
        return true;
      case KVM_WALL_CLOCK:
        if (!features.has('kvmclock2')) return undefined;
        this.#setState(MSR_STATE.at.kvmWallClock, high, low);
        this.#writeWallClock(high, low);
        return true;
      case KVM_SYSTEM_TIME:
        if (!features.has('kvmclock2')) return undefined;
        this.#setState(MSR_STATE.at.kvmSystemTime, high, low);
        this.#writeSystemTime(0);
        return true;
      case KVM_STEAL_TIME:
        if (!features.has('kvm-steal-time')) return undefined;
        if ((low & STEAL_TIME_RESERVED) !== 0) return false;
        this.#setState(MSR_STATE.at.kvmStealTime, high, low);
        this.#writeStealTime();
        return true;
    }
    const state = stateOffset(number);
    if (state !== undefined) return this.#setState(state, high, low);
    return INERT.has(number) ? true : undefined;
  }

  /** PhysBase and PhysMask in turn: bits above the physical address are reserved, of a base also 8-11. */
  #writeVariableMtrr(number: number, high: number, low: number): boolean {
    const isMask = (number & 1) !== 0;
    if (high >>> 8 !== 0) return false;
    if (isMask ? (low & 0x7ff) !== 0 : (low & 0xf00) !== 0 || !isMtrrType(low & 0xff)) return false;
    return this.#setState(MSR_STATE.at.mtrrVariable + 8 * (number - MTRR_VARIABLE), high, low);
  }

  /** The vCPU has waited so long for a device's thread and could have run the guest. */
  addStolenTime(nanoseconds: number): void {
    const [high, low] = this.#getState(MSR_STATE.at.stolenTime);
    const sum = high * TWO_32 + low + Math.round(nanoseconds);
    this.#setState(MSR_STATE.at.stolenTime, Math.floor(sum / TWO_32), sum >>> 0);
    this.#writeStealTime();
  }

  /** struct kvm_steal_time: the time, a version that is odd while it changes, flags. */
  #writeStealTime(): void {
    const { memory } = this.#options;
    const [high, low] = this.#getState(MSR_STATE.at.kvmStealTime);
    if ((low & STEAL_TIME_ENABLED) === 0 || high !== 0) return;
    const gpa = (low & ~(STEAL_TIME_ENABLED | STEAL_TIME_RESERVED)) >>> 0;
    const version = memory.readU32(gpa + STEAL_VERSION);
    if (version === undefined || !memory.isRam(gpa, STEAL_TIME_BYTES)) return;
    const [stolenHigh, stolenLow] = this.#getState(MSR_STATE.at.stolenTime);
    memory.writeU32(gpa + STEAL_VERSION, (version | 1) >>> 0);
    memory.writeU64(gpa, stolenLow, stolenHigh);
    memory.writeU32(gpa + STEAL_VERSION, ((version | 1) + 1) >>> 0);
  }

  // --- KVM's clock

  /** struct pvclock_wall_clock: the wall-clock time of power-on. */
  #writeWallClock(high: number, low: number): void {
    const { clock, memory, wallClock } = this.#options;
    if (high !== 0) return;
    const atPowerOn = wallClock() - clock.now() / 1e6;
    const seconds = Math.floor(atPowerOn / 1000);
    const nanoseconds = Math.floor((atPowerOn - seconds * 1000) * 1e6);
    const version = memory.readU32(low);
    if (version === undefined || !memory.isRam(low, 12)) return;
    // Odd while the rest is changed.
    memory.writeU32(low, (version | 1) >>> 0);
    memory.writeU32(low + 4, seconds);
    memory.writeU32(low + 8, nanoseconds);
    memory.writeU32(low, ((version | 1) + 1) >>> 0);
  }

  /** struct pvclock_vcpu_time_info. TSC and clock run in step, so it stays true until one of them is set. */
  #writeSystemTime(flags: number): void {
    const { clock, memory } = this.#options;
    const [high, low] = this.#getState(MSR_STATE.at.kvmSystemTime);
    const address = (low & ~1) >>> 0;
    if ((low & 1) === 0 || high !== 0 || !memory.isRam(address, 32)) return;
    const now = clock.now();
    const [offsetHigh, offsetLow] = this.#get(VCPU.at.tscOffset);
    const [tscHigh, tscLow] = tscWords(now, offsetHigh, offsetLow);
    const [nowHigh, nowLow] = tscWords(now, 0, 0);
    const version = (memory.readU32(address) ?? 0) | 1;
    const stable = this.#options.features.has('kvmclock-stable-bit') ? PVCLOCK_TSC_STABLE : 0;
    memory.writeU32(address, version >>> 0);
    memory.writeU32(address + 4, 0);
    memory.writeU64(address + 8, tscLow, tscHigh);
    memory.writeU64(address + 16, nowLow, nowHigh);
    memory.writeU32(address + 24, PVCLOCK_MULTIPLIER);
    memory.writeU32(address + 28, PVCLOCK_SHIFT | ((stable | flags) << 8));
    memory.writeU32(address, (version + 1) >>> 0);
  }
}

/** Registers that are remembered and have no effect here. */
function stateOffset(number: number): number | undefined {
  switch (number) {
    case MTRR_DEFAULT_TYPE:
      return MSR_STATE.at.mtrrDefault;
    case DEBUG_CONTROL:
      return MSR_STATE.at.debugControl;
    case SYSCFG:
      return MSR_STATE.at.systemConfiguration;
    case HWCR:
      return MSR_STATE.at.hardwareConfiguration;
    case NB_CFG:
      return MSR_STATE.at.northbridgeConfiguration;
    case DE_CFG:
      return MSR_STATE.at.decodeConfiguration;
    default:
      return undefined;
  }
}

/** UC, WC, WT, WP, WB (APM vol. 2, 7.7.1). */
function isMtrrType(type: number): boolean {
  return type === 0 || type === 1 || (type >= 4 && type <= 6);
}

function areMtrrTypes(word: number): boolean {
  return [word & 0xff, (word >>> 8) & 0xff, (word >>> 16) & 0xff, word >>> 24].every(isMtrrType);
}
