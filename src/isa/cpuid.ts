/**
 * What CPUID answers (AMD APM vol. 3, appendix E; KVM's leaves as in Linux, Documentation/virt/kvm/x86/cpuid.rst).
 *
 * The default model calls itself a family 12h AMD. That is the youngest family for which no kernel adds page-table
 * isolation or retbleed work-arounds and which none of its older errata (E400, SWAPGS_FENCE) is tied to; AutoIBRS
 * keeps retpolines away. No guest code runs speculatively here, so none of that is owed to the guest. Features are
 * those of x86-64-v2 and what else the tables implement.
 */
import { TSC_KHZ } from '../base/platform.ts';
import { PHYSICAL_ADDRESS_BITS } from '../layout/vcpu.ts';

export type CpuidRegister = 'eax' | 'ebx' | 'ecx' | 'edx';

interface FeatureRow {
  readonly name: string;
  readonly leaf: number;
  readonly register: CpuidRegister;
  readonly bit: number;
  /** Part of the default model. */
  readonly on: boolean;
}

function row<const N extends string>(
  name: N,
  leaf: number,
  register: CpuidRegister,
  bit: number,
  on: boolean,
) {
  return { name, leaf, register, bit, on } as const satisfies FeatureRow;
}

const EXT1 = 0x8000_0001;
const EXT7 = 0x8000_0007;
const EXT8 = 0x8000_0008;
const EXT21 = 0x8000_0021;
const KVM1 = 0x4000_0001;

/** One row per feature bit, by the names of QEMU's -cpu. Leaf 7 and others are of sub-leaf 0. */
// oxfmt-ignore
export const CPU_FEATURES = [
  row('fpu',            1,     'edx', 0,  true),
  row('vme',            1,     'edx', 1,  false),
  row('de',             1,     'edx', 2,  true),
  row('pse',            1,     'edx', 3,  true),
  row('tsc',            1,     'edx', 4,  true),
  row('msr',            1,     'edx', 5,  true),
  row('pae',            1,     'edx', 6,  true),
  row('mce',            1,     'edx', 7,  false),
  row('cx8',            1,     'edx', 8,  true),
  row('apic',           1,     'edx', 9,  true),
  row('sep',            1,     'edx', 11, true),
  row('mtrr',           1,     'edx', 12, true),
  row('pge',            1,     'edx', 13, true),
  row('mca',            1,     'edx', 14, false),
  row('cmov',           1,     'edx', 15, true),
  row('pat',            1,     'edx', 16, true),
  row('pse36',          1,     'edx', 17, true),
  row('clflush',        1,     'edx', 19, true),
  row('mmx',            1,     'edx', 23, true),
  row('fxsr',           1,     'edx', 24, true),
  row('sse',            1,     'edx', 25, true),
  row('sse2',           1,     'edx', 26, true),
  row('sse3',           1,     'ecx', 0,  true),
  row('pclmulqdq',      1,     'ecx', 1,  false),
  row('monitor',        1,     'ecx', 3,  false),
  row('ssse3',          1,     'ecx', 9,  true),
  row('cx16',           1,     'ecx', 13, true),
  row('pcid',           1,     'ecx', 17, false),
  row('sse4.1',         1,     'ecx', 19, true),
  row('sse4.2',         1,     'ecx', 20, true),
  row('x2apic',         1,     'ecx', 21, true),
  row('movbe',          1,     'ecx', 22, true),
  row('popcnt',         1,     'ecx', 23, true),
  row('tsc-deadline',   1,     'ecx', 24, true),
  row('aes',            1,     'ecx', 25, false),
  row('xsave',          1,     'ecx', 26, true),
  row('rdrand',         1,     'ecx', 30, true),
  row('hypervisor',     1,     'ecx', 31, true),
  row('arat',           6,     'eax', 2,  true),
  row('fsgsbase',       7,     'ebx', 0,  true),
  row('tsc-adjust',     7,     'ebx', 1,  false),
  row('bmi1',           7,     'ebx', 3,  true),
  row('smep',           7,     'ebx', 7,  true),
  row('bmi2',           7,     'ebx', 8,  true),
  row('erms',           7,     'ebx', 9,  true),
  row('invpcid',        7,     'ebx', 10, false),
  row('rdseed',         7,     'ebx', 18, true),
  row('adx',            7,     'ebx', 19, true),
  // Every user copy of the kernel would toggle EFLAGS.AC: QEMU's old models do without, and so does this one.
  row('smap',           7,     'ebx', 20, false),
  row('clflushopt',     7,     'ebx', 23, true),
  row('clwb',           7,     'ebx', 24, true),
  row('umip',           7,     'ecx', 2,  false),
  row('rdpid',          7,     'ecx', 22, true),
  row('fsrm',           7,     'edx', 4,  true),
  row('kvm-nopiodelay', KVM1,  'eax', 1,  true),
  row('kvmclock2',      KVM1,  'eax', 3,  true),
  row('kvm-steal-time', KVM1,  'eax', 5,  false),
  row('kvmclock-stable-bit', KVM1, 'eax', 24, true),
  row('lahf-lm',        EXT1,  'ecx', 0,  true),
  row('abm',            EXT1,  'ecx', 5,  true),
  row('misalignsse',    EXT1,  'ecx', 7,  false),
  row('3dnowprefetch',  EXT1,  'ecx', 8,  true),
  row('syscall',        EXT1,  'edx', 11, true),
  row('nx',             EXT1,  'edx', 20, true),
  row('mmxext',         EXT1,  'edx', 22, true),
  row('fxsr-opt',       EXT1,  'edx', 25, false),
  row('pdpe1gb',        EXT1,  'edx', 26, true),
  row('rdtscp',         EXT1,  'edx', 27, true),
  row('lm',             EXT1,  'edx', 29, true),
  row('invtsc',         EXT7,  'edx', 8,  true),
  row('xsaveerptr',     EXT8,  'ebx', 2,  true),
  row('lfence-always-serializing', EXT21, 'eax', 2, true),
  row('auto-ibrs',      EXT21, 'eax', 8,  true),
] as const;

export type CpuFeature = (typeof CPU_FEATURES)[number]['name'];

export const DEFAULT_FEATURES: ReadonlySet<CpuFeature> = new Set(
  CPU_FEATURES.filter((feature) => feature.on).map((feature) => feature.name),
);

export interface CpuModel {
  readonly features: ReadonlySet<CpuFeature>;
  /** Up to 48 ASCII characters. */
  readonly brand: string;
  readonly vcpus: number;
}

export function defaultModel(vcpus: number): CpuModel {
  return { features: DEFAULT_FEATURES, brand: 'Virtab', vcpus };
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
