/**
 * The features of the CPU by the names of QEMU's -cpu: where
 * CPUID has them, and which ones a machine has unless its user says otherwise.
 */
export type CpuidRegister = 'eax' | 'ebx' | 'ecx' | 'edx';

/** Part of the default model; can be added to it; listed so that nobody takes its absence for an oversight. */
export type FeatureState = 'on' | 'off' | 'absent';

interface FeatureRow {
  readonly name: string;
  readonly leaf: number;
  readonly register: CpuidRegister;
  readonly bit: number;
  readonly state: FeatureState;
}

function row<const N extends string>(
  name: N,
  leaf: number,
  register: CpuidRegister,
  bit: number,
  state: FeatureState,
) {
  return { name, leaf, register, bit, state } as const satisfies FeatureRow;
}

export const EXT1 = 0x8000_0001;
const EXT7 = 0x8000_0007;
export const EXT8 = 0x8000_0008;
export const EXT21 = 0x8000_0021;
const KVM1 = 0x4000_0001;

/** One row per feature bit, by the names of QEMU's -cpu. Leaf 7 and others are of sub-leaf 0. */
// oxfmt-ignore
export const CPU_FEATURES = [
  row('fpu',            1,     'edx', 0,  'on'),
  row('vme',            1,     'edx', 1,  'on'),
  row('de',             1,     'edx', 2,  'on'),
  row('pse',            1,     'edx', 3,  'on'),
  row('tsc',            1,     'edx', 4,  'on'),
  row('msr',            1,     'edx', 5,  'on'),
  row('pae',            1,     'edx', 6,  'on'),
  row('mce',            1,     'edx', 7,  'absent'),
  row('cx8',            1,     'edx', 8,  'on'),
  row('apic',           1,     'edx', 9,  'on'),
  row('sep',            1,     'edx', 11, 'on'),
  row('mtrr',           1,     'edx', 12, 'on'),
  row('pge',            1,     'edx', 13, 'on'),
  row('mca',            1,     'edx', 14, 'absent'),
  row('cmov',           1,     'edx', 15, 'on'),
  row('pat',            1,     'edx', 16, 'on'),
  row('pse36',          1,     'edx', 17, 'on'),
  row('clflush',        1,     'edx', 19, 'on'),
  row('mmx',            1,     'edx', 23, 'on'),
  row('fxsr',           1,     'edx', 24, 'on'),
  row('sse',            1,     'edx', 25, 'on'),
  row('sse2',           1,     'edx', 26, 'on'),
  row('sse3',           1,     'ecx', 0,  'on'),
  row('pclmulqdq',      1,     'ecx', 1,  'absent'),
  row('monitor',        1,     'ecx', 3,  'absent'),
  row('ssse3',          1,     'ecx', 9,  'on'),
  row('cx16',           1,     'ecx', 13, 'on'),
  row('pcid',           1,     'ecx', 17, 'absent'),
  row('sse4.1',         1,     'ecx', 19, 'on'),
  row('sse4.2',         1,     'ecx', 20, 'on'),
  row('x2apic',         1,     'ecx', 21, 'on'),
  row('movbe',          1,     'ecx', 22, 'on'),
  row('popcnt',         1,     'ecx', 23, 'on'),
  row('tsc-deadline',   1,     'ecx', 24, 'on'),
  row('aes',            1,     'ecx', 25, 'absent'),
  row('xsave',          1,     'ecx', 26, 'on'),
  row('rdrand',         1,     'ecx', 30, 'on'),
  row('hypervisor',     1,     'ecx', 31, 'on'),
  row('arat',           6,     'eax', 2,  'on'),
  row('fsgsbase',       7,     'ebx', 0,  'on'),
  row('tsc-adjust',     7,     'ebx', 1,  'absent'),
  row('bmi1',           7,     'ebx', 3,  'on'),
  row('smep',           7,     'ebx', 7,  'on'),
  row('bmi2',           7,     'ebx', 8,  'on'),
  row('erms',           7,     'ebx', 9,  'on'),
  row('invpcid',        7,     'ebx', 10, 'absent'),
  row('rdseed',         7,     'ebx', 18, 'on'),
  row('adx',            7,     'ebx', 19, 'on'),
  // Works, but every user copy of the kernel would toggle EFLAGS.AC: QEMU's old models do without it, and so does this one.
  row('smap',           7,     'ebx', 20, 'off'),
  row('clflushopt',     7,     'ebx', 23, 'on'),
  row('clwb',           7,     'ebx', 24, 'on'),
  row('umip',           7,     'ecx', 2,  'off'),
  row('rdpid',          7,     'ecx', 22, 'on'),
  row('fsrm',           7,     'edx', 4,  'on'),
  row('kvm-nopiodelay', KVM1,  'eax', 1,  'on'),
  row('kvmclock2',      KVM1,  'eax', 3,  'on'),
  row('kvm-steal-time', KVM1,  'eax', 5,  'on'),
  row('kvmclock-stable-bit', KVM1, 'eax', 24, 'on'),
  row('lahf-lm',        EXT1,  'ecx', 0,  'on'),
  row('abm',            EXT1,  'ecx', 5,  'on'),
  row('misalignsse',    EXT1,  'ecx', 7,  'absent'),
  row('3dnowprefetch',  EXT1,  'ecx', 8,  'on'),
  row('syscall',        EXT1,  'edx', 11, 'on'),
  row('nx',             EXT1,  'edx', 20, 'on'),
  row('mmxext',         EXT1,  'edx', 22, 'on'),
  row('fxsr-opt',       EXT1,  'edx', 25, 'absent'),
  row('pdpe1gb',        EXT1,  'edx', 26, 'on'),
  row('rdtscp',         EXT1,  'edx', 27, 'on'),
  row('lm',             EXT1,  'edx', 29, 'on'),
  row('invtsc',         EXT7,  'edx', 8,  'on'),
  row('xsaveerptr',     EXT8,  'ebx', 2,  'on'),
  row('lfence-always-serializing', EXT21, 'eax', 2, 'on'),
  row('auto-ibrs',      EXT21, 'eax', 8,  'on'),
] as const;

export type CpuFeature = (typeof CPU_FEATURES)[number]['name'];

export const DEFAULT_FEATURES: ReadonlySet<CpuFeature> = new Set(
  CPU_FEATURES.filter((feature) => feature.state === 'on').map((feature) => feature.name),
);

/** The default features with some of them switched on or off, the last change of each counting. */
export function featuresOf(
  changes: readonly { readonly feature: CpuFeature; readonly on: boolean }[],
): ReadonlySet<CpuFeature> {
  const features = new Set(DEFAULT_FEATURES);
  for (const { feature, on } of changes) {
    if (on) features.add(feature);
    else features.delete(feature);
  }
  return features;
}
