/** Names refer to AMD APM volume 3, appendix E, and to what Linux 6.1 reads. */
import { describe, expect, it } from 'vitest';
import { CPU_FEATURES, type CpuFeature } from '../base/cpu-features.ts';
import { controlBits, cpuid, cpuModel } from './cpuid.ts';
import type { CpuidResult } from './cpuid.ts';

const model = cpuModel(1);
const state = { apicId: 0, apicEnabled: true, osxsave: false };

function characters(...words: number[]): string {
  const bytes = new Uint8Array(Uint32Array.from(words).buffer);
  return new TextDecoder().decode(bytes);
}

const ask = (leaf: number, subleaf = 0): CpuidResult => cpuid(model, leaf, subleaf, state);

describe('identification', () => {
  it.each([0, 0x8000_0000])('is an AMD at leaf %d', (leaf) => {
    const { ebx, ecx, edx } = ask(leaf);
    expect(characters(ebx, edx, ecx)).toBe('AuthenticAMD');
  });

  it('is family 12h: no kernel adds page-table isolation, retbleed or E400 work-arounds', () => {
    const { eax } = ask(1);
    expect(((eax >>> 8) & 15) + ((eax >>> 20) & 0xff)).toBe(0x12);
    expect(ask(0x8000_0001).eax).toBe(eax);
  });

  it('calls itself Virtab', () => {
    const parts = [2, 3, 4].map((n) => ask(0x8000_0000 + n));
    const brand = parts.map(({ eax, ebx, ecx, edx }) => characters(eax, ebx, ecx, edx)).join('');
    expect(brand).toBe('Virtab'.padEnd(48, '\0'));
  });

  it('is a KVM guest with a stable second-generation clock and steal time', () => {
    const { eax, ebx, ecx, edx } = ask(0x4000_0000);
    expect(characters(ebx, ecx, edx)).toBe('KVMKVMKVM\0\0\0');
    expect(eax).toBeGreaterThanOrEqual(0x4000_0001);
    expect(ask(0x4000_0001).eax).toBe((1 << 24) | (1 << 5) | (1 << 3) | (1 << 1));
  });

  it('tells the frequency of the TSC', () => {
    expect(ask(0x4000_0010)).toEqual({ eax: 1_000_000, ebx: 1_000_000, ecx: 0, edx: 0 });
  });
});

describe('features', () => {
  it('are those of x86-64-v2', () => {
    const required: CpuFeature[] = [
      'cmov', 'cx8', 'fpu', 'fxsr', 'mmx', 'sse', 'sse2', 'syscall', 'lm', 'nx',
      'cx16', 'lahf-lm', 'popcnt', 'sse3', 'sse4.1', 'sse4.2', 'ssse3',
    ]; // oxfmt-ignore
    expect(required.filter((feature) => !model.features.has(feature))).toEqual([]);
  });

  it.each<CpuFeature>(['pcid', 'invpcid', 'monitor', 'mce', 'tsc-adjust'])('do not include %s', (feature) => {
    expect(model.features.has(feature)).toBe(false);
  });

  it('have one row per bit', () => {
    const places = CPU_FEATURES.map(({ leaf, register, bit }) => `${leaf} ${register} ${bit}`);
    expect(new Set(places).size).toBe(CPU_FEATURES.length);
  });

  it('appear at the bits of the manual', () => {
    expect(ask(1).edx).toBe(0x078bbb7f);
    expect(ask(1).ecx).toBe(0xc5f82201);
    expect(ask(0x8000_0001).edx & 0x0183f3ff).toBe(ask(1).edx & 0x0183f3ff);
    expect(ask(0x8000_0007).edx).toBe(0x100);
  });

  it('follow the model', () => {
    const features = new Set(model.features);
    features.delete('x2apic');
    features.delete('hypervisor');
    const other = { ...model, features };
    expect(cpuid(other, 1, 0, state).ecx & (1 << 21)).toBe(0);
    expect(cpuid(other, 0x4000_0000, 0, state)).toEqual({ eax: 0, ebx: 0, ecx: 0, edx: 0 });
  });
});

describe('reserved bits', () => {
  it('of CR4 and EFER follow the features', () => {
    expect(controlBits(model.features)).toEqual({ cr4: 0x1507bf, efer: 0x200d01 });
    const features = new Set(model.features).add('smap').add('mce').add('umip');
    features.delete('auto-ibrs');
    expect(controlBits(features)).toEqual({ cr4: 0x350fff, efer: 0xd01 });
  });
});

describe('what reflects the state of the CPU', () => {
  it('is OSXSAVE', () => {
    expect((ask(1).ecx >>> 27) & 1).toBe(0);
    expect((cpuid(model, 1, 0, { ...state, osxsave: true }).ecx >>> 27) & 1).toBe(1);
  });

  it.each([1, 0x8000_0001])('is the APIC bit of leaf %d', (leaf) => {
    expect((cpuid(model, leaf, 0, { ...state, apicEnabled: false }).edx >>> 9) & 1).toBe(0);
    expect((ask(leaf).edx >>> 9) & 1).toBe(1);
  });

  it('is the APIC ID', () => {
    const two = cpuid(cpuModel(4), 1, 0, { ...state, apicId: 2 });
    expect(two.ebx).toBe(0x02040800);
    expect(cpuid(cpuModel(4), 0x0b, 1, { ...state, apicId: 2 }).edx).toBe(2);
  });
});

describe('other leaves', () => {
  it('describe the XSAVE area of x87 and SSE', () => {
    expect(ask(0x0d)).toEqual({ eax: 3, ebx: 576, ecx: 576, edx: 0 });
    expect(ask(0x0d, 1)).toEqual({ eax: 0, ebx: 0, ecx: 0, edx: 0 });
  });

  it('give address widths and the number of cores', () => {
    expect(ask(0x8000_0008).eax).toBe(0x3028);
    expect(cpuid(cpuModel(4), 0x8000_0008, 0, state).ecx).toBe(3);
  });

  it('describe four cores of one thread each', () => {
    const of = (subleaf: number) => cpuid(cpuModel(4), 0x0b, subleaf, state);
    expect([of(0), of(1), of(2)]).toEqual([
      { eax: 0, ebx: 1, ecx: 0x100, edx: 0 },
      { eax: 2, ebx: 4, ecx: 0x201, edx: 0 },
      { eax: 0, ebx: 0, ecx: 2, edx: 0 },
    ]);
  });

  it.each([2, 4, 0x14, 0x4000_0002, 0x8000_001d, 0xc000_0000, 0xffff_ffff])('are zero at %d', (leaf) => {
    expect(ask(leaf)).toEqual({ eax: 0, ebx: 0, ecx: 0, edx: 0 });
  });
});
