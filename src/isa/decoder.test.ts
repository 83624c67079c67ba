import { describe, expect, it } from 'vitest';
import { DEFAULT_FEATURES, type CpuFeature } from '../base/cpu-features.ts';
import { EXCEPTION_UD } from '../layout/exceptions.ts';
import { MODE_CODE16, MODE_CODE32, MODE_CODE64, MODE_FLAT, MODE_REAL } from '../layout/vcpu.ts';
import { Decoder } from './decoder.ts';
import { formName, formOf } from './forms.ts';

const CODE64 = MODE_CODE64 | MODE_FLAT;
const CODE32 = MODE_CODE32 | MODE_FLAT;
const REAL = MODE_CODE16 | MODE_REAL;

function without(feature: CpuFeature): Decoder {
  const features = new Set(DEFAULT_FEATURES);
  features.delete(feature);
  return new Decoder(features);
}

/** The form that hexadecimal `code` selects, or the vector of its exception. */
function decode(code: string, mode = CODE64, decoder = new Decoder()): string {
  const bytes = Uint8Array.from(code.match(/[0-9a-f]{2}/g) ?? [], (byte) => parseInt(byte, 16));
  const out = decoder.decode(bytes, 0, bytes.length, 0, mode);
  const form = formOf(out.handler);
  return form === undefined ? `exception ${out.imm}` : formName(form);
}

const UD = `exception ${EXCEPTION_UD}`;

describe('an encoding of a feature that CPUID does not have', () => {
  it.each<[CpuFeature, string, string, string]>([
    ['bmi1', 'f30fbcc1', 'tzcnt Gv,Ev 32 reg', 'bsf Gv,Ev 32 reg'],
    ['abm', 'f30fbdc1', 'lzcnt Gv,Ev 32 reg', 'bsr Gv,Ev 32 reg'],
    ['bmi1', 'c4e270f2c3', 'andn Gy,By,Ey 32 reg', UD],
    ['bmi2', 'c4e37bf0c305', 'rorx Gy,Ey,Ib 32 reg', UD],
    ['adx', '660f38f6c1', 'adcx Gy,Ey 32 reg', UD],
    ['movbe', '0f38f000', 'movbe Gv,Mv 32 mem', UD],
    ['popcnt', 'f30fb8c1', 'popcnt Gv,Ev 32 reg', UD],
    ['rdrand', '0fc7f0', 'rdrand Rv 32 reg', UD],
    ['rdseed', '480fc7f8', 'rdseed Rv 64 reg', UD],
    ['rdpid', 'f30fc7f8', 'rdpid Ry 32 reg', UD],
    ['rdtscp', '0f01f9', 'rdtscp', UD],
    ['clflushopt', '660fae38', 'clflushopt Mb mem', UD],
    ['clwb', '660fae30', 'clwb Mb mem', UD],
    ['fsgsbase', 'f30faec0', 'rdfsbase Ry 32 reg', UD],
  ])('%s: %s is %s with it and %s without', (feature, code, named, otherwise) => {
    expect(decode(code)).toBe(named);
    expect(decode(code, CODE64, without(feature))).toBe(otherwise);
  });
});

describe('C4h and C5h', () => {
  it('are VEX in 64-bit code, also with a memory operand', () => {
    expect(decode('c4e270f203')).toBe('andn Gy,By,Ey 32 mem');
  });

  it('are LES and LDS outside 64-bit mode unless the register form follows', () => {
    expect(decode('c403', CODE32)).toBe('loadFar Gz,Mp,ES 32 mem');
    expect(decode('c503', CODE32)).toBe('loadFar Gz,Mp,DS 32 mem');
    expect(decode('c4e270f2c3', CODE32)).toBe('andn Gy,By,Ey 32 reg');
  });

  it('are LES and LDS or nothing in real and virtual-8086 mode', () => {
    expect(decode('c403', REAL)).toBe('loadFar Gz,Mp,ES 16 mem');
    expect(decode('c4e270f2c3', REAL)).toBe(UD);
  });

  it.each(['66', 'f2', 'f3', 'f0', '40', '48'])('are nothing behind %s', (prefix) => {
    expect(decode(`${prefix}c4e270f2c3`)).toBe(UD);
  });

  it('may follow a segment or address-size prefix', () => {
    expect(decode('6467c4e270f203')).toBe('andn Gy,By,Ey 32 mem');
  });

  it('are nothing where vvvv has no use and is not 1111b', () => {
    expect(decode('c4e373f0c305')).toBe(UD);
  });
});

describe('real and virtual-8086 mode', () => {
  it.each(['63c8', '0f00c0', '0f00c8', '0f00d0', '0f00d8', '0f00e0', '0f00e8', '0f02c1', '0f03c1'])(
    'do not have %s, which needs descriptors',
    (code) => {
      expect(decode(code, REAL)).toBe(UD);
      expect(decode(code, MODE_CODE16)).not.toBe(UD);
    },
  );
});
