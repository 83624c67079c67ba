/**
 * What surrounds the arithmetic: gating by CR0, pending exceptions, undefined encodings, environments,
 * last-instruction pointers, FXSAVE, XSAVE and MXCSR. Byte images were seen on a real CPU (Zen 5) where
 * 64-bit user code can see them; the real-mode and 16-bit ones follow APM volume 2, 11.4.4.
 */
import { beforeEach, describe, expect, it } from 'vitest';
import { SEG_CS, SEG_DS, SEG_SS, VCPU } from '../src/layout/vcpu.ts';
import { RAM_BASE, VCPU_BASE } from '../src/layout/map.ts';
import { STATUS_FAULT, STATUS_NEXT } from '../src/layout/exits.ts';
import { DATA, openBench, readCore, resetBench, setRegister } from './testing/x87-replay.ts';

const bench = openBench(readCore());
const { core, view, bytes } = bench;
const at = VCPU.at;
const cpu = VCPU_BASE;
const LINEAR = BigInt(DATA);

const UD = 7;
const NM = 8;
const GP = 14;
const PF = 15;
const MF = 17;

/** code = opcode << 8 | ModRM of instructions used below. */
const FLD1 = 0xd9e8;
const FADD_ST1 = 0xd8c1;
const FDIVP = 0xdef9;
const FNCLEX = 0xdbe2;
const FNINIT = 0xdbe3;
const FNSTSW_AX = 0xdfe0;
const FLD_M32 = 0xd902;
const FSTP_M64 = 0xdd1a;
const FLDCW = 0xd92a;
const FNSTCW = 0xd93a;
const FLDENV = 0xd922;
const FNSTENV = 0xd932;
const FRSTOR = 0xdd22;
const FNSAVE = 0xdd32;

const register = (code: number): number => core.x87Register(cpu, code);
const memory = (code: number, size = 4, linear = LINEAR): number =>
  core.x87Memory(cpu, code, linear, SEG_DS, size);
const raised = (): number => view.getUint32(cpu + at.exception, true);
const status = (): number => view.getUint16(cpu + at.fpuStatus, true);
const control = (): number => view.getUint16(cpu + at.fpuControl, true);
const hex = (from: number, length: number): string =>
  [...bytes.slice(DATA + from, DATA + from + length)]
    .map((byte) => byte.toString(16).padStart(2, '0'))
    .join(' ');
const put = (from: number, text: string): void =>
  bytes.set(
    text.split(' ').map((byte) => Number.parseInt(byte, 16)),
    DATA + from,
  );

beforeEach(() => {
  resetBench(bench);
  register(FNINIT);
  view.setUint32(cpu + at.mxcsr, 0x1f80, true);
  bytes.fill(0xcc, DATA, DATA + 1024);
});

/** 1/0 with ZE unmasked: an exception is pending. */
function makePending(): void {
  view.setUint16(cpu + at.fpuControl, 0x37b, true);
  register(FLD1);
  register(0xd9ee);
  register(FDIVP);
}

describe('availability', () => {
  it.each([
    ['CR0.TS', 0x39],
    ['CR0.EM', 0x35],
  ])('%s makes every instruction raise #NM', (_bit, cr0) => {
    view.setBigUint64(cpu + at.cr0, BigInt(cr0), true);
    const codes = [FLD1, FADD_ST1, FNINIT, FNCLEX, FNSTSW_AX];
    expect(codes.map((code) => [register(code), raised()])).toEqual(codes.map(() => [STATUS_FAULT, NM]));
    const forms = [FLD_M32, FNSTCW, FNSTENV, FNSAVE];
    expect(forms.map((code) => [memory(code), raised()])).toEqual(forms.map(() => [STATUS_FAULT, NM]));
  });

  it.each([
    0xd9d1, 0xd9d7, 0xd9e2, 0xd9e3, 0xd9e6, 0xd9e7, 0xd9ef, 0xdae0, 0xdae8, 0xdaea, 0xdaff, 0xdbe5, 0xdbe7,
    0xdbf8, 0xddf0, 0xddff, 0xded8, 0xdeda, 0xdedf, 0xdfe1, 0xdfe7, 0xdff8, 0xdfff,
  ])('%x is undefined', (code) => {
    expect([register(code), raised()]).toEqual([STATUS_FAULT, UD]);
  });

  it.each([0xd90a, 0xdb22, 0xdb32, 0xdd2a])('%x is undefined', (code) => {
    expect([memory(code), raised()]).toEqual([STATUS_FAULT, UD]);
  });
});

describe('a pending exception', () => {
  it('sets ES and B', () => {
    makePending();
    expect(status().toString(16)).toBe('b084');
  });

  it.each([
    ['FLD1', FLD1],
    ['FADD', FADD_ST1],
  ])('makes %s raise #MF', (_name, code) => {
    makePending();
    expect([register(code), raised()]).toEqual([STATUS_FAULT, MF]);
  });

  it.each([
    ['FLD m32', FLD_M32],
    ['FLDCW', FLDCW],
    ['FLDENV', FLDENV],
    ['FRSTOR', FRSTOR],
  ])('makes %s raise #MF', (_name, code) => {
    makePending();
    expect([memory(code), raised()]).toEqual([STATUS_FAULT, MF]);
  });

  it('does not stop FNSTSW, FNSTCW, FNSTENV and FNSAVE', () => {
    makePending();
    expect([memory(0xdd3a), memory(FNSTCW), memory(FNSTENV), memory(FNSAVE)]).toEqual([0, 0, 0, 0]);
  });

  it('ends with FNCLEX', () => {
    makePending();
    register(FNCLEX);
    expect([register(FLD1), status().toString(16)]).toEqual([STATUS_NEXT, '2800']);
  });

  it('ends with FNSTENV, which masks everything', () => {
    makePending();
    memory(FNSTENV);
    expect([status().toString(16), control().toString(16)]).toEqual(['3004', '37f']);
  });

  it('comes back with FLDCW unmasking a sticky flag', () => {
    makePending();
    memory(FNSTENV);
    put(0, '7b 03');
    memory(FLDCW);
    expect(status().toString(16)).toBe('b084');
  });
});

describe('the control word', () => {
  it.each([
    ['ff ff', '7f 1f'],
    ['00 00', '40 00'],
  ])('loaded as %s reads %s', (loaded, read) => {
    put(0, loaded);
    memory(FLDCW);
    memory(FNSTCW);
    expect(hex(0, 2)).toBe(read);
  });
});

it('FNSTSW AX replaces AX and no other bits of RAX', () => {
  view.setBigUint64(cpu + at.regs, 0x1122334455667788n, true);
  register(FLD1);
  register(FNSTSW_AX);
  expect(view.getBigUint64(cpu + at.regs, true).toString(16)).toBe('1122334455663800');
});

describe('the last instruction', () => {
  beforeEach(() => {
    view.setBigUint64(cpu + at.rip, 0x12345678n, true);
    view.setUint32(cpu + at.segSelector + SEG_CS * 4, 0x33, true);
    view.setUint32(cpu + at.segSelector + SEG_DS * 4, 0x2b, true);
    view.setUint32(cpu + at.segSelector + SEG_SS * 4, 0x23, true);
    put(0, '00 00 c0 3f');
  });

  const FLD_WITH_LENGTH_6 = (6 << 16) | FLD_M32;

  it('is in the 32-bit protected-mode environment with its operand', () => {
    memory(FLD_WITH_LENGTH_6);
    memory(FNSTENV);
    expect(hex(0, 30)).toBe(
      '7f 03 ff ff 00 38 ff ff ff 3f ff ff 72 56 34 12 33 00 02 01 00 00 30 00 2b 00 ff ff cc cc',
    );
  });

  it('is in the 16-bit protected-mode environment without its opcode', () => {
    memory(FLD_WITH_LENGTH_6);
    memory(FNSTENV, 2);
    expect(hex(0, 16)).toBe('7f 03 00 38 ff 3f 72 56 33 00 00 00 2b 00 cc cc');
  });

  it('is a linear address in the 32-bit real-mode environment', () => {
    memory(FLD_WITH_LENGTH_6);
    view.setBigUint64(cpu + at.cr0, 0x30n, true);
    memory(FNSTENV);
    expect(hex(0, 28)).toBe(
      '7f 03 ff ff 00 38 ff ff ff 3f ff ff a2 59 ff ff 02 41 23 01 b0 02 ff ff 00 00 03 00',
    );
  });

  it('is a 20-bit address in the 16-bit real-mode environment', () => {
    memory(FLD_WITH_LENGTH_6);
    view.setBigUint64(cpu + at.cr0, 0x30n, true);
    memory(FNSTENV, 2);
    expect(hex(0, 14)).toBe('7f 03 00 38 ff 3f a2 59 02 41 b0 02 00 00');
  });

  it('is two bytes long where the caller does not say, and leaves the data pointer to memory forms', () => {
    memory(FLD_WITH_LENGTH_6);
    register(FLD1);
    memory(FNSTENV);
    expect(hex(12, 16)).toBe('76 56 34 12 33 00 e8 01 00 00 30 00 2b 00 ff ff');
  });

  it('is not changed by control instructions', () => {
    memory(FLD_WITH_LENGTH_6);
    view.setBigUint64(cpu + at.rip, 0x99999999n, true);
    memory(FNSTCW);
    register(FNCLEX);
    memory(FNSTENV);
    expect(hex(12, 8)).toBe('72 56 34 12 33 00 02 01');
  });
});

describe('environment and state', () => {
  it('FLDENV takes back what FNSTENV stored', () => {
    register(FLD1);
    memory(FNSTENV);
    put(0, '7a 0f');
    memory(FLDENV);
    memory(FNSTENV);
    expect(hex(0, 12)).toBe('7a 0f ff ff 00 38 ff ff ff 3f ff ff');
  });

  it('tags say valid, zero, special and empty', () => {
    setRegister(bench, 0, 0, { se: 0x3fff, sig: 1n << 63n });
    setRegister(bench, 0, 1, { se: 0, sig: 0n });
    setRegister(bench, 0, 2, { se: 0x7fff, sig: 1n << 63n });
    setRegister(bench, 0, 3, { se: 0, sig: 1n });
    setRegister(bench, 0, 4, { se: 0x3fff, sig: 1n });
    view.setUint8(cpu + at.fpuTag, 0b11111);
    memory(FNSTENV);
    expect(view.getUint16(DATA + 8, true).toString(2)).toBe('1111111010100100');
  });

  it('FNSAVE stores the stack from ST(0) and initializes', () => {
    register(0xd9ee);
    register(FLD1);
    memory(FNSAVE);
    expect(hex(28, 20)).toBe('00 00 00 00 00 00 00 80 ff 3f 00 00 00 00 00 00 00 00 00 00');
    expect([control(), status(), view.getUint8(cpu + at.fpuTag)]).toEqual([0x37f, 0, 0]);
  });

  it.each([2, 4])('FRSTOR takes back what FNSAVE with %i-byte operands stored', (size) => {
    register(0xd9eb);
    register(FLD1);
    memory(FNSAVE, size);
    memory(FRSTOR, size);
    register(0xd9c9);
    memory(0xdb3a, 4, LINEAR + 512n);
    expect(hex(512, 10)).toBe('35 c2 68 21 a2 da 0f c9 00 40');
  });

  it('a state that reaches into a page that is not there is not stored at all', () => {
    view.setBigUint64(cpu + at.cr0, 0x8000_0031n, true);
    bytes.fill(0xcc, DATA + 0xf00, DATA + 0x1000);
    expect([memory(FNSAVE, 4, LINEAR + 0xfc0n), raised()]).toEqual([STATUS_FAULT, PF]);
    expect(hex(0xfc0, 4)).toBe('cc cc cc cc');
  });

  it('an operand beyond the limit of its segment raises #GP and pops nothing', () => {
    register(FLD1);
    view.setUint32(cpu + at.mode, 0, true);
    view.setBigUint64(cpu + at.segBase + SEG_DS * 8, LINEAR, true);
    view.setBigUint64(cpu + at.segEffective + SEG_DS * 8, LINEAR, true);
    view.setUint32(cpu + at.segLimit + SEG_DS * 4, 0x16, true);
    view.setUint32(cpu + at.segAttr + SEG_DS * 4, 0x93, true);
    expect([memory(FSTP_M64, 4, LINEAR + 0x10n), raised(), status()]).toEqual([STATUS_FAULT, GP, 0x3800]);
    view.setUint32(cpu + at.segLimit + SEG_DS * 4, 0x17, true);
    expect([memory(FSTP_M64, 4, LINEAR + 0x10n), status()]).toEqual([STATUS_NEXT, 0]);
  });
});

describe('operands that cross a page', () => {
  const ram = (from: number, length: number): string =>
    [...bytes.slice(RAM_BASE + from, RAM_BASE + from + length)]
      .map((byte) => byte.toString(16).padStart(2, '0'))
      .join(' ');

  beforeEach(() => bytes.fill(0, RAM_BASE, RAM_BASE + 0x3000));

  it('FSTP m80 writes both parts and FLD m80 reads them', () => {
    register(0xd9eb);
    memory(0xdb3a, 4, 0xffbn);
    memory(0xdb2a, 4, 0xffbn);
    memory(0xdb3a, 4, 0x2000n);
    expect([ram(0xffb, 10), ram(0x2000, 10)]).toEqual([
      '35 c2 68 21 a2 da 0f c9 00 40',
      '35 c2 68 21 a2 da 0f c9 00 40',
    ]);
  });

  it('FNSAVE and FRSTOR keep the stack', () => {
    register(0xd9eb);
    memory(FNSAVE, 4, 0xfe0n);
    memory(FRSTOR, 4, 0xfe0n);
    memory(0xdb3a, 4, 0x2000n);
    expect([ram(0xffc, 10), ram(0x2000, 10)]).toEqual([
      '35 c2 68 21 a2 da 0f c9 00 40',
      '35 c2 68 21 a2 da 0f c9 00 40',
    ]);
  });

  it('FXSAVE and FXRSTOR keep the stack', () => {
    register(0xd9eb);
    core.fxsave(cpu, 0xfe0n, SEG_DS, 4);
    register(FNINIT);
    core.fxrstor(cpu, 0xfe0n, SEG_DS, 4);
    memory(0xdb3a, 4, 0x2000n);
    expect([ram(0x1000, 10), ram(0x2000, 10)]).toEqual([
      '35 c2 68 21 a2 da 0f c9 00 40',
      '35 c2 68 21 a2 da 0f c9 00 40',
    ]);
  });
});

describe('FXSAVE and FXRSTOR', () => {
  const save = (size = 8, linear = LINEAR): number => core.fxsave(cpu, linear, SEG_DS, size);
  const restore = (size = 8, linear = LINEAR): number => core.fxrstor(cpu, linear, SEG_DS, size);

  it('stores control words, abridged tags, MXCSR and its mask, and no pointers while none is pending', () => {
    view.setBigUint64(cpu + at.rip, 0x1234n, true);
    register(FLD1);
    save();
    expect(hex(0, 48)).toBe(
      '7f 03 00 38 80 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 80 1f 00 00 ff ff 00 00 ' +
        '00 00 00 00 00 00 00 80 ff 3f 00 00 00 00 00 00',
    );
  });

  it('stores the pointers of a pending exception', () => {
    view.setBigUint64(cpu + at.rip, 0x1_2345_6789n, true);
    makePending();
    save(8);
    expect(hex(0, 24)).toBe('7b 03 84 b0 c0 00 f9 06 87 67 45 23 01 00 00 00 00 00 00 00 00 00 00 00');
  });

  it('keeps the last 96 bytes and, outside 64-bit mode, the place of XMM8-15', () => {
    save();
    expect([hex(160 + 112, 32), hex(416, 4)]).toEqual([
      `${'00 '.repeat(16)}${'cc '.repeat(16)}`.trim(),
      'cc cc cc cc',
    ]);
  });

  it('has all sixteen XMM registers in 64-bit mode', () => {
    view.setUint32(cpu + at.mode, 6, true);
    view.setUint32(cpu + at.xmm + 15 * 16, 0x11223344, true);
    save();
    view.setUint32(cpu + at.xmm + 15 * 16, 0, true);
    restore();
    expect([hex(160 + 240, 4), view.getUint32(cpu + at.xmm + 15 * 16, true)]).toEqual([
      '44 33 22 11',
      0x11223344,
    ]);
  });

  it('restores the stack, and ES from flags and masks', () => {
    register(FLD1);
    save();
    put(0, '40 03 01 38');
    register(FNINIT);
    restore();
    expect([control().toString(16), status().toString(16), view.getUint8(cpu + at.fpuTag)]).toEqual([
      '340',
      'b881',
      0x80,
    ]);
  });

  it.each([
    ['bit 16 of MXCSR', 0n, '80 1f 01 00'],
    ['an address that is not a multiple of 16', 8n, '80 1f 00 00'],
  ])('FXRSTOR raises #GP for %s', (_what, offset, mxcsr) => {
    save();
    put(24, mxcsr);
    expect([restore(8, LINEAR + offset), raised()]).toEqual([STATUS_FAULT, GP]);
  });

  it('FXSAVE raises #GP for an address that is not a multiple of 16', () => {
    expect([save(8, LINEAR + 8n), raised()]).toEqual([STATUS_FAULT, GP]);
  });

  it('stores nothing if its second page is not there', () => {
    view.setBigUint64(cpu + at.cr0, 0x8000_0031n, true);
    bytes.fill(0xcc, DATA + 0xf00, DATA + 0x1000);
    expect([save(8, LINEAR + 0xf00n), raised()]).toEqual([STATUS_FAULT, PF]);
    expect(hex(0xf00, 4)).toBe('cc cc cc cc');
  });
});

describe('XSAVE and XRSTOR', () => {
  const save = (linear = LINEAR): number => core.xsave(cpu, linear, SEG_DS, 8);
  const restore = (linear = LINEAR): number => core.xrstor(cpu, linear, SEG_DS, 8);
  const request = (components: number): void => view.setBigUint64(cpu + at.regs, BigInt(components), true);

  beforeEach(() => {
    bytes.fill(0, DATA + 512, DATA + 576);
    request(3);
  });

  it('the header lists the requested components that are in use and keeps the others', () => {
    register(FLD1);
    put(512, '00 ff');
    request(1);
    save();
    expect(hex(512, 8)).toBe('01 ff 00 00 00 00 00 00');
  });

  it('components in their initial state are not listed', () => {
    put(512, '07 00');
    save();
    expect(hex(512, 2)).toBe('04 00');
  });

  it('x87 alone leaves MXCSR and the XMM registers of the area', () => {
    request(1);
    save();
    expect([hex(24, 4), hex(160, 4)]).toEqual(['cc cc cc cc', 'cc cc cc cc']);
  });

  it('XRSTOR initializes what the header does not list, but loads MXCSR', () => {
    register(FLD1);
    view.setUint32(cpu + at.xmm, 5, true);
    save();
    put(24, 'a0 1f 00 00');
    put(512, '00 00');
    restore();
    expect([
      view.getUint8(cpu + at.fpuTag),
      control(),
      view.getUint32(cpu + at.xmm, true),
      view.getUint32(cpu + at.mxcsr, true).toString(16),
    ]).toEqual([0, 0x37f, 0, '1fa0']);
  });

  it('XRSTOR takes back what XSAVE stored', () => {
    register(0xd9eb);
    view.setUint32(cpu + at.xmm + 16, 0xabcdef01, true);
    save();
    register(FNINIT);
    view.setUint32(cpu + at.xmm + 16, 0, true);
    restore();
    memory(0xdb3a, 4, LINEAR + 768n);
    expect([hex(768, 10), view.getUint32(cpu + at.xmm + 16, true)]).toEqual([
      '35 c2 68 21 a2 da 0f c9 00 40',
      0xabcdef01,
    ]);
  });

  it.each([
    ['a component that XCR0 does not have', 512, '04'],
    ['XCOMP_BV', 520, '01'],
    ['byte 16 of the header', 528, '01'],
    ['byte 23 of the header', 535, '80'],
    ['a reserved bit of MXCSR', 27, '80'],
  ])('XRSTOR raises #GP for %s', (_what, offset, value) => {
    save();
    put(offset, value);
    expect([restore(), raised()]).toEqual([STATUS_FAULT, GP]);
  });

  it('bytes 24-63 of the header and, for x87 alone, MXCSR are not looked at', () => {
    save();
    put(536, '01');
    put(27, '80');
    request(1);
    expect(restore()).toBe(STATUS_NEXT);
  });

  it.each([
    ['save', save],
    ['restore', restore],
  ])('%s: #UD without CR4.OSXSAVE, #NM with CR0.TS, #GP off a multiple of 64', (_name, run) => {
    expect([run(LINEAR + 16n), raised()]).toEqual([STATUS_FAULT, GP]);
    view.setBigUint64(cpu + at.cr0, 0x39n, true);
    expect([run(LINEAR), raised()]).toEqual([STATUS_FAULT, NM]);
    view.setBigUint64(cpu + at.cr4, 0x200n, true);
    expect([run(LINEAR), raised()]).toEqual([STATUS_FAULT, UD]);
  });
});

describe('LDMXCSR', () => {
  const load = (): number => core.loadMxcsr(cpu, LINEAR, SEG_DS);

  it('loads the defined bits', () => {
    put(0, 'ff ff 00 00');
    expect([load(), view.getUint32(cpu + at.mxcsr, true)]).toEqual([STATUS_NEXT, 0xffff]);
  });

  it('raises #GP for a reserved bit', () => {
    put(0, '80 1f 01 00');
    expect([load(), raised(), view.getUint32(cpu + at.mxcsr, true)]).toEqual([STATUS_FAULT, GP, 0x1f80]);
  });

  it.each([
    ['CR0.EM', 0x35n, 0x40200n, UD],
    ['no CR4.OSFXSR', 0x31n, 0x40000n, UD],
    ['CR0.TS', 0x39n, 0x40200n, NM],
  ])('with %s it faults', (_what, cr0, cr4, exception) => {
    view.setBigUint64(cpu + at.cr0, cr0, true);
    view.setBigUint64(cpu + at.cr4, cr4, true);
    expect([load(), raised()]).toEqual([STATUS_FAULT, exception]);
  });
});
