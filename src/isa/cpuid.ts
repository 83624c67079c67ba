/**
 * What CPUID answers (AMD APM vol. 3, appendix E; KVM's leaves as in Linux, Documentation/virt/kvm/x86/cpuid.rst).
 *
 * The default model calls itself a family 12h AMD. That is the youngest family for which no kernel adds page-table
 * isolation or retbleed work-arounds and which none of its older errata (E400, SWAPGS_FENCE) is tied to; AutoIBRS
 * keeps retpolines away. No guest code runs speculatively here, so none of that is owed to the guest. Features are
 * those of x86-64-v2 and what else the tables implement.
 */
import { CPU_FEATURES, DEFAULT_FEATURES, EXT1, EXT21, EXT8 } from '../base/cpu-features.ts';
import type { CpuFeature, CpuidRegister } from '../base/cpu-features.ts';
import { TSC_KHZ } from '../base/platform.ts';
import {
  CR4_DE,
  CR4_FSGSBASE,
  CR4_MCE,
  CR4_OSFXSR,
  CR4_OSXMMEXCPT,
  CR4_OSXSAVE,
  CR4_PAE,
  CR4_PCE,
  CR4_PGE,
  CR4_PSE,
  CR4_PVI,
  CR4_SMAP,
  CR4_SMEP,
  CR4_TSD,
  CR4_UMIP,
  CR4_VME,
  EFER_AIBRSE,
  EFER_LMA,
  EFER_LME,
  EFER_NXE,
  EFER_SCE,
} from '../layout/registers.ts';
import { PHYSICAL_ADDRESS_BITS } from '../layout/vcpu.ts';

export interface CpuModel {
  readonly features: ReadonlySet<CpuFeature>;
  /** Up to 48 ASCII characters. */
  readonly brand: string;
  readonly vcpus: number;
}

export function cpuModel(vcpus: number, features = DEFAULT_FEATURES): CpuModel {
  return { features, brand: 'Virtab', vcpus };
}

/** Bits of CR4 and EFER that exist with a feature; RDPMC always does. */
const CR4_BITS: readonly (readonly [bits: number, feature: CpuFeature])[] = [
  [CR4_VME | CR4_PVI, 'vme'],
  [CR4_TSD, 'tsc'],
  [CR4_DE, 'de'],
  [CR4_PSE, 'pse'],
  [CR4_PAE, 'pae'],
  [CR4_MCE, 'mce'],
  [CR4_PGE, 'pge'],
  [CR4_OSFXSR, 'fxsr'],
  [CR4_OSXMMEXCPT, 'sse'],
  [CR4_UMIP, 'umip'],
  [CR4_FSGSBASE, 'fsgsbase'],
  [CR4_OSXSAVE, 'xsave'],
  [CR4_SMEP, 'smep'],
  [CR4_SMAP, 'smap'],
];
/** LMA can be written with any value; the CPU keeps its own. */
const EFER_BITS: readonly (readonly [bits: number, feature: CpuFeature])[] = [
  [EFER_SCE, 'syscall'],
  [EFER_LME | EFER_LMA, 'lm'],
  [EFER_NXE, 'nx'],
  [EFER_AIBRSE, 'auto-ibrs'],
];

/** Which bits of CR4 and EFER may be set: all others are reserved. */
export function controlBits(features: ReadonlySet<CpuFeature>): { cr4: number; efer: number } {
  const sum = (rows: typeof CR4_BITS): number =>
    rows.reduce((bits, [add, feature]) => (features.has(feature) ? bits | add : bits), 0);
  return { cr4: sum(CR4_BITS) | CR4_PCE, efer: sum(EFER_BITS) };
}

/** What some leaves reflect of the CPU's state. */
export interface CpuidState {
  readonly apicId: number;
  /** IA32_APIC_BASE.EN. */
  readonly apicEnabled: boolean;
  /** CR4.OSXSAVE. */
  readonly osxsave: boolean;
}

export interface CpuidResult {
  eax: number;
  ebx: number;
  ecx: number;
  edx: number;
}

/** Family 12h, model 1, stepping 0. */
export const CPU_SIGNATURE = 0x0030_0f10;

const MAX_BASIC = 0x0d;
const MAX_EXTENDED = EXT21;
const HYPERVISOR_BASE = 0x4000_0000;
/** Frequencies, as VMware defined the leaf and KVM users know it. */
const HYPERVISOR_TIMING = 0x4000_0010;
const APIC_TIMER_KHZ = 1_000_000;

const OSXSAVE = 1 << 27;
const APIC = 1 << 9;
const HTT = 1 << 28;
const CMP_LEGACY = 1 << 1;
/** Bits of leaf 1 EDX that AMD repeats in 8000_0001 EDX: all but SEP, PSN, CLFLUSH, SSE and the reserved ones. */
const REPEATED_EDX = 0x0183_f3ff;

/** FXSAVE's 512 bytes and the XSAVE header. */
const XSAVE_BYTES = 576;
const XCR0_X87_SSE = 3;

export function cpuid(model: CpuModel, leaf: number, subleaf: number, state: CpuidState): CpuidResult {
  const result = featureBits(model, leaf, subleaf);
  const { vcpus } = model;
  switch (leaf) {
    case 0:
      return { eax: MAX_BASIC, ...text('AuthenticAMD', 'ebx', 'edx', 'ecx') };
    case 1:
      result.eax = CPU_SIGNATURE;
      // APIC ID, logical processors, CLFLUSH line in quadwords.
      result.ebx = ((state.apicId << 24) | (vcpus << 16) | (8 << 8)) >>> 0;
      if (state.osxsave) result.ecx = (result.ecx | OSXSAVE) >>> 0;
      if (!state.apicEnabled) result.edx = (result.edx & ~APIC) >>> 0;
      if (vcpus > 1) result.edx = (result.edx | HTT) >>> 0;
      return result;
    case 0x0b:
      return topology(vcpus, subleaf, state.apicId);
    case 0x0d:
      if (!model.features.has('xsave') || subleaf !== 0) return result;
      return { eax: XCR0_X87_SSE, ebx: XSAVE_BYTES, ecx: XSAVE_BYTES, edx: 0 };
    case HYPERVISOR_BASE:
      if (!model.features.has('hypervisor')) return result;
      return { eax: HYPERVISOR_TIMING, ...text('KVMKVMKVM\0\0\0', 'ebx', 'ecx', 'edx') };
    case HYPERVISOR_TIMING:
      if (!model.features.has('hypervisor')) return result;
      return { eax: TSC_KHZ, ebx: APIC_TIMER_KHZ, ecx: 0, edx: 0 };
    case 0x8000_0000:
      return { eax: MAX_EXTENDED, ...text('AuthenticAMD', 'ebx', 'edx', 'ecx') };
    case EXT1:
      result.eax = CPU_SIGNATURE;
      result.edx = (result.edx | (featureBits(model, 1, 0).edx & REPEATED_EDX)) >>> 0;
      if (!state.apicEnabled) result.edx = (result.edx & ~APIC) >>> 0;
      if (vcpus > 1) result.ecx = (result.ecx | CMP_LEGACY) >>> 0;
      return result;
    case 0x8000_0002:
    case 0x8000_0003:
    case 0x8000_0004:
      return brandPart(model.brand, leaf - 0x8000_0002);
    case 0x8000_0005:
      // L1: TLBs of 2/4 MiB and 4 KiB pages, data and instruction caches of 64 KiB, 2-way, 64-byte lines.
      return { eax: 0xff30_ff10, ebx: 0xff30_ff20, ecx: 0x4002_0140, edx: 0x4002_0140 };
    case 0x8000_0006:
      // L2: TLBs, 1 MiB cache, 16-way, 64-byte lines; no L3.
      return { eax: 0, ebx: 0x4200_4200, ecx: 0x0400_8140, edx: 0 };
    case EXT8:
      // Physical and linear address bits; number of cores less one.
      result.eax = (48 << 8) | PHYSICAL_ADDRESS_BITS;
      result.ecx = vcpus - 1;
      return result;
    default:
      return result;
  }
}

/** The feature bits of a leaf. */
function featureBits(model: CpuModel, leaf: number, subleaf: number): CpuidResult {
  const result = { eax: 0, ebx: 0, ecx: 0, edx: 0 };
  if (subleaf !== 0 && leaf === 7) return result;
  if (leaf >= HYPERVISOR_BASE && leaf < 0x5000_0000 && !model.features.has('hypervisor')) return result;
  for (const feature of CPU_FEATURES) {
    if (feature.leaf !== leaf || !model.features.has(feature.name)) continue;
    result[feature.register] = (result[feature.register] | (1 << feature.bit)) >>> 0;
  }
  return result;
}

/** Extended topology: one thread per core, one package. */
function topology(vcpus: number, subleaf: number, apicId: number): CpuidResult {
  const coreBits = vcpus === 1 ? 0 : 32 - Math.clz32(vcpus - 1);
  if (subleaf === 0) return { eax: 0, ebx: 1, ecx: 1 << 8, edx: apicId };
  if (subleaf === 1) return { eax: coreBits, ebx: vcpus, ecx: (2 << 8) | 1, edx: apicId };
  return { eax: 0, ebx: 0, ecx: subleaf, edx: apicId };
}

/** Twelve characters in three registers. */
function text<R extends CpuidRegister>(
  characters: string,
  ...registers: readonly [R, R, R]
): Record<R, number> {
  const words = registers.map((register, n) => [register, word(characters, n * 4)] as const);
  return Object.fromEntries(words) as Record<R, number>;
}

function brandPart(brand: string, part: number): CpuidResult {
  const at = part * 16;
  return {
    eax: word(brand, at),
    ebx: word(brand, at + 4),
    ecx: word(brand, at + 8),
    edx: word(brand, at + 12),
  };
}

/** Four characters as a little-endian word; NUL behind the end. */
function word(characters: string, at: number): number {
  let value = 0;
  for (let n = 0; n < 4; n++) value |= (characters.codePointAt(at + n) ?? 0) << (n * 8);
  return value >>> 0;
}
