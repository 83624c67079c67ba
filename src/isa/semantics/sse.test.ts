/**
 * What surrounds MMX and SSE instructions: who may execute them, alignment, the MMX state, unmasked exceptions. What
 * they compute is compared with a real CPU by tools/vectors.
 */
import { readFileSync } from 'node:fs';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { viewsOf } from '../../base/views.ts';
import { generateInterpreter } from '../../interp/generate.ts';
import { RAM_BASE } from '../../layout/map.ts';
import { SEG_CS, VCPU } from '../../layout/vcpu.ts';
import { Vcpu } from '../../vcpu/vcpu.ts';

const RAM_BYTES = 0x100000;
const CODE = 0x1000;
/** Real-mode handlers: vector n is at HANDLERS + n * 16. */
const HANDLERS = 0x4000;
const DATA = 0x2000;

const CR0_EM = 4n;
const CR0_TS = 8n;
const CR4_OSFXSR = 0x200n;
const CR4_OSXMMEXCPT = 0x400n;
const CR4_SSE = CR4_OSFXSR | CR4_OSXMMEXCPT;

const PXOR_XMM = [0x66, 0x0f, 0xef, 0xc1];
const PXOR_MMX = [0x0f, 0xef, 0xc1];
const EMMS = [0x0f, 0x77];
const DIVSS = [0xf3, 0x0f, 0x5e, 0xc1];
const ABSOLUTE = [0x06, DATA & 0xff, DATA >> 8];
const UNALIGNED = [0x06, (DATA + 1) & 0xff, DATA >> 8];

let core: WebAssembly.Module;
let interpreter: WebAssembly.Module;

beforeAll(() => {
  core = new WebAssembly.Module(readFileSync(new URL('../../../build/core.wasm', import.meta.url)));
  interpreter = new WebAssembly.Module(generateInterpreter());
});

/** A vCPU in real mode at 0:CODE. */
class Machine {
  readonly vcpu: Vcpu<never>;
  readonly #view: DataView;

  constructor() {
    const pages = (RAM_BASE + RAM_BYTES) / 65536;
    const memory = new WebAssembly.Memory({ initial: pages, maximum: 65536, shared: true });
    this.#view = new DataView(memory.buffer);
    this.vcpu = new Vcpu<never>({
      views: viewsOf(memory.buffer),
      memory,
      index: 0,
      vcpuCount: 1,
      coreModule: core,
      interpreterModule: interpreter,
      host: {
        mmioRead: () => undefined,
        mmioWrite: () => undefined,
        portRead: () => 0,
        portWrite: () => 0,
        cpuid: () => undefined,
        readMsr: () => 1,
        writeMsr: () => 1,
        tsc: () => 0,
        random: () => undefined,
        taskPriority: () => 0,
        setTaskPriority: () => undefined,
      },
      jit: false,
      environment: {
        pendingVector: () => -1,
        takeMail: () => {},
        acknowledge: () => -1,
        now: () => 0,
        nextDeadline: () => Infinity,
        expire: () => undefined,
      },
      hostNow: () => 0,
    });
    this.vcpu.reset(RAM_BYTES);
    for (let vector = 0; vector < 32; vector++) {
      this.#view.setUint32(RAM_BASE + vector * 4, HANDLERS + vector * 16, true);
    }
    this.set64(VCPU.at.segBase + SEG_CS * 8, 0n);
    this.set32(VCPU.at.segSelector + SEG_CS * 4, 0);
    this.set64(VCPU.at.regs + 4 * 8, 0x8000n);
    this.control(0n, CR4_SSE);
  }

  set32(offset: number, value: number): void {
    this.#view.setUint32(this.vcpu.cpu + offset, value, true);
  }
  set64(offset: number, value: bigint): void {
    this.#view.setBigUint64(this.vcpu.cpu + offset, value, true);
  }
  get32(offset: number): number {
    return this.#view.getUint32(this.vcpu.cpu + offset, true);
  }
  get64(offset: number): bigint {
    return this.#view.getBigUint64(this.vcpu.cpu + offset, true);
  }

  control(cr0: bigint, cr4: bigint): void {
    this.set64(VCPU.at.cr0, cr0);
    this.set64(VCPU.at.cr4, cr4);
    this.vcpu.core.updateMode(this.vcpu.cpu);
  }

  /** The vector of the exception that the instruction raises, or undefined. */
  step(code: readonly number[]): number | undefined {
    code.forEach((byte, i) => this.#view.setUint8(RAM_BASE + CODE + i, byte));
    this.set64(VCPU.at.rip, BigInt(CODE));
    this.vcpu.step();
    const rip = Number(this.get64(VCPU.at.rip));
    return rip === CODE + code.length ? undefined : (rip - HANDLERS) / 16;
  }
}

let machine: Machine;

beforeEach(() => {
  machine = new Machine();
});

describe('an SSE instruction', () => {
  it.each([
    ['runs where the system enabled it', 0n, CR4_SSE, undefined],
    ['is #NM after a task switch (CR0.TS)', CR0_TS, CR4_SSE, 7],
    ['is #UD without a coprocessor (CR0.EM)', CR0_EM, CR4_SSE, 6],
    ['is #UD where the system does not save XMM registers (CR4.OSFXSR)', 0n, 0n, 6],
    ['is #UD, not #NM, where both apply', CR0_TS, 0n, 6],
  ])('%s', (_name, cr0, cr4, vector) => {
    machine.control(cr0, cr4);
    expect(machine.step(PXOR_XMM)).toBe(vector);
  });

  it('does not care about a pending x87 exception', () => {
    machine.set32(VCPU.at.fpuStatus, 0x0081);
    expect(machine.step(PXOR_XMM)).toBe(undefined);
  });
});

describe('an MMX instruction', () => {
  it.each([
    ['does not need CR4.OSFXSR', 0n, 0n, undefined],
    ['is #NM after a task switch (CR0.TS)', CR0_TS, CR4_SSE, 7],
    ['is #UD without a coprocessor (CR0.EM)', CR0_EM, CR4_SSE, 6],
  ])('%s', (_name, cr0, cr4, vector) => {
    machine.control(cr0, cr4);
    expect(machine.step(PXOR_MMX)).toBe(vector);
  });

  it('reports a pending x87 exception as #MF', () => {
    machine.control(0x20n, CR4_SSE);
    machine.set32(VCPU.at.fpuStatus, 0x0081);
    expect(machine.step(PXOR_MMX)).toBe(16);
  });

  it('sets TOP to 0, makes all registers valid and its result a NaN for the x87', () => {
    machine.set32(VCPU.at.fpuStatus, 0x2a00);
    machine.set64(VCPU.at.fpu, 0x1234n);
    machine.set64(VCPU.at.fpu + 16, 0x0034n);
    expect(machine.step(PXOR_MMX)).toBe(undefined);
    expect(machine.get32(VCPU.at.fpuStatus) & 0xffff).toBe(0x0200);
    expect(machine.get32(VCPU.at.fpuTag) & 0xff).toBe(0xff);
    expect(machine.get64(VCPU.at.fpu)).toBe(0x1200n);
    expect(machine.get32(VCPU.at.fpu + 8) & 0xffff).toBe(0xffff);
  });

  it('EMMS empties the register stack', () => {
    machine.set32(VCPU.at.fpuTag, 0xff);
    expect(machine.step(EMMS)).toBe(undefined);
    expect(machine.get32(VCPU.at.fpuTag) & 0xff).toBe(0);
  });
});

describe('a 16-byte memory operand', () => {
  it.each([
    ['MOVAPS takes an aligned one', [0x0f, 0x28, ...ABSOLUTE], undefined],
    ['MOVAPS refuses another with #GP', [0x0f, 0x28, ...UNALIGNED], 13],
    ['MOVAPS refuses to store there', [0x0f, 0x29, ...UNALIGNED], 13],
    ['PADDB refuses it', [0x66, 0x0f, 0xfc, ...UNALIGNED], 13],
    ['MOVNTDQ refuses it', [0x66, 0x0f, 0xe7, ...UNALIGNED], 13],
    ['MOVNTDQA refuses it', [0x66, 0x0f, 0x38, 0x2a, ...UNALIGNED], 13],
    ['MOVUPS takes it', [0x0f, 0x10, ...UNALIGNED], undefined],
    ['MOVDQU takes it', [0xf3, 0x0f, 0x6f, ...UNALIGNED], undefined],
    ['LDDQU takes it', [0xf2, 0x0f, 0xf0, ...UNALIGNED], undefined],
    ['PCMPISTRI takes it', [0x66, 0x0f, 0x3a, 0x63, ...UNALIGNED, 0], undefined],
    ['ADDSD reads 8 bytes and takes it', [0xf2, 0x0f, 0x58, ...UNALIGNED], undefined],
  ])('%s', (_name, code, vector) => {
    expect(machine.step(code)).toBe(vector);
  });
});

describe('a division by zero', () => {
  beforeEach(() => {
    machine.set32(VCPU.at.xmm, 0x3f800000);
  });

  it('gives infinity and sets ZE where it is masked', () => {
    machine.set32(VCPU.at.mxcsr, 0x1f80);
    expect(machine.step(DIVSS)).toBe(undefined);
    expect(machine.get32(VCPU.at.xmm)).toBe(0x7f800000);
    expect(machine.get32(VCPU.at.mxcsr)).toBe(0x1f84);
  });

  it('is #XM, with ZE set and the destination unchanged, where it is not', () => {
    machine.set32(VCPU.at.mxcsr, 0x1d80);
    expect(machine.step(DIVSS)).toBe(19);
    expect(machine.get32(VCPU.at.xmm)).toBe(0x3f800000);
    expect(machine.get32(VCPU.at.mxcsr)).toBe(0x1d84);
  });

  it('is #UD where the system has no handler for #XM (CR4.OSXMMEXCPT)', () => {
    machine.control(0n, CR4_OSFXSR);
    machine.set32(VCPU.at.mxcsr, 0x1d80);
    expect(machine.step(DIVSS)).toBe(6);
  });
});
