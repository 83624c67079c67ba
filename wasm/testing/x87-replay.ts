/** Runs recorded x87 cases through the functions of the wasm core and says where they differ. */
import { readFileSync } from 'node:fs';
import {
  RAM_BASE,
  VCPU_BASE,
  TLB_BYTES,
  TLB_CONTEXTS,
  TLB_OFFSET,
} from '../../src/layout/map.ts';
import { HOST_IMPORTS } from '../../src/layout/core-abi.ts';
import { memoryFunction, registerFunction } from '../../src/isa/semantics/x87.ts';
import { STATUS_NEXT } from '../../src/layout/exits.ts';
import {
  FLAGS_EXPLICIT,
  MODE_CODE32,
  MODE_FLAT,
  SEG_DS,
  TLB_CONTEXT_KERNEL,
  TLB_ENTRY,
  VCPU,
} from '../../src/layout/vcpu.ts';
import type { Extended, FpuState, Recorded } from './x87-recording.ts';

/** Linear (and, identity-mapped, host) address of the operands, behind the vCPU's area; tests have it in their expectations. */
export const DATA = 0x300000;
/** A little guest RAM, all zeros: page directories without an entry. */
const RAM_BYTES = 0x10000;
const MEMORY_PAGES = (RAM_BASE + RAM_BYTES) >>> 16;
const KERNEL_TLB = VCPU_BASE + TLB_OFFSET + TLB_CONTEXT_KERNEL * TLB_BYTES;
const CR0_PE_ET_NE = 0x31;
const CR4_OSFXSR_OSXSAVE = 0x40200;

export interface X87Core {
  x87Register(cpu: number, code: number): number;
  x87Memory(cpu: number, code: number, linear: bigint, segment: number, bytes: number): number;
  fxsave(cpu: number, linear: bigint, segment: number, bytes: number): number;
  fxrstor(cpu: number, linear: bigint, segment: number, bytes: number): number;
  xsave(cpu: number, linear: bigint, segment: number, bytes: number): number;
  xrstor(cpu: number, linear: bigint, segment: number, bytes: number): number;
  loadMxcsr(cpu: number, linear: bigint, segment: number): number;
}

export interface Bench {
  readonly core: X87Core;
  readonly view: DataView;
  readonly bytes: Uint8Array;
}

/** No test has a device behind its operands. */
const unreachableHost = (name: string) => (): never => {
  throw new Error(`an x87 test called host.${name}`);
};

/** The core as tools/build-core.ts leaves it. */
export function readCore(): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(new URL('../../build/core.wasm', import.meta.url)));
}

/** A core with one vCPU whose page at DATA is in its TLB; everything else that it touches would fault. */
export function openBench(wasm: Uint8Array<ArrayBuffer>): Bench {
  const memory = new WebAssembly.Memory({ initial: MEMORY_PAGES, maximum: 65536, shared: true });
  const host = Object.fromEntries(HOST_IMPORTS.map((name) => [name, unreachableHost(name)]));
  const instance = new WebAssembly.Instance(new WebAssembly.Module(wasm), { env: { memory }, host });
  const bench = {
    core: instance.exports as unknown as X87Core,
    view: new DataView(memory.buffer),
    bytes: new Uint8Array(memory.buffer),
  };
  resetBench(bench);
  return bench;
}

export function resetBench({ view, bytes }: Bench): void {
  bytes.fill(0, VCPU_BASE, DATA + 0x10000);
  bytes.fill(0xff, VCPU_BASE + TLB_OFFSET, VCPU_BASE + TLB_OFFSET + TLB_CONTEXTS * TLB_BYTES);
  view.setUint32(VCPU_BASE + VCPU.at.tlb, KERNEL_TLB, true);
  mapPage({ view }, DATA);
  view.setBigUint64(VCPU_BASE + VCPU.at.cr0, BigInt(CR0_PE_ET_NE), true);
  view.setBigUint64(VCPU_BASE + VCPU.at.cr4, BigInt(CR4_OSFXSR_OSXSAVE), true);
  view.setBigUint64(VCPU_BASE + VCPU.at.xcr0, 3n, true);
  view.setBigUint64(VCPU_BASE + VCPU.at.ripMask, 0xffff_ffff_ffff_ffffn, true);
  view.setUint32(VCPU_BASE + VCPU.at.ramBytes, RAM_BYTES, true);
  view.setUint32(VCPU_BASE + VCPU.at.a20Mask, 0xffff_ffff, true);
  view.setUint32(VCPU_BASE + VCPU.at.mode, MODE_CODE32 | MODE_FLAT, true);
}

/** Lets the page at `linear` be read and written at the same host address. */
export function mapPage({ view }: Pick<Bench, 'view'>, linear: number): void {
  const entry = KERNEL_TLB + ((linear >>> 12) & 4095) * TLB_ENTRY.size;
  view.setBigUint64(entry + TLB_ENTRY.at.readTag, BigInt(linear), true);
  view.setBigUint64(entry + TLB_ENTRY.at.writeTag, BigInt(linear), true);
  view.setUint32(entry + TLB_ENTRY.at.addend, 0, true);
}

function physical(status: number, i: number): number {
  return ((status >>> 11) + i) & 7;
}

export function setRegister({ view }: Bench, status: number, i: number, value: Extended): void {
  const at = VCPU_BASE + VCPU.at.fpu + physical(status, i) * 16;
  view.setBigUint64(at, value.sig, true);
  view.setBigUint64(at + 8, BigInt(value.se), true);
}

export function getRegister({ view }: Bench, status: number, i: number): Extended {
  const at = VCPU_BASE + VCPU.at.fpu + physical(status, i) * 16;
  return { sig: view.getBigUint64(at, true), se: view.getUint16(at + 8, true) };
}

/** The tag bits of the vCPU block from a two-bit tag word. */
export function abridge(tag: number): number {
  let bits = 0;
  for (let i = 0; i < 8; i++) if (((tag >>> (2 * i)) & 3) !== 3) bits |= 1 << i;
  return bits;
}

const ZERO: Extended = { se: 0, sig: 0n };

function load(bench: Bench, state: FpuState): void {
  const { view, bytes } = bench;
  // ES and B are part of the status word; the recorder only starts without a pending exception.
  view.setUint16(VCPU_BASE + VCPU.at.fpuControl, state.control, true);
  view.setUint16(VCPU_BASE + VCPU.at.fpuStatus, state.status, true);
  view.setUint8(VCPU_BASE + VCPU.at.fpuTag, abridge(state.tag));
  for (let i = 2; i < 8; i++) setRegister(bench, state.status, i, ZERO);
  setRegister(bench, state.status, 0, state.st0);
  setRegister(bench, state.status, 1, state.st1);
  view.setUint32(VCPU_BASE + VCPU.at.flagKind, FLAGS_EXPLICIT, true);
  view.setBigUint64(VCPU_BASE + VCPU.at.flagA, BigInt(state.flags & 0xd5), true);
  bytes.set(state.memory, DATA);
}

function save(bench: Bench, memoryBytes: number): FpuState {
  const { view, bytes } = bench;
  const status = view.getUint16(VCPU_BASE + VCPU.at.fpuStatus, true);
  const bits = view.getUint8(VCPU_BASE + VCPU.at.fpuTag);
  let tag = 0;
  for (let i = 0; i < 8; i++) if (((bits >>> i) & 1) === 0) tag |= 3 << (2 * i);
  return {
    control: view.getUint16(VCPU_BASE + VCPU.at.fpuControl, true),
    status,
    tag,
    flags: Number(view.getBigUint64(VCPU_BASE + VCPU.at.flagA, true)) | 2,
    st0: getRegister(bench, status, 0),
    st1: getRegister(bench, status, 1),
    memory: bytes.slice(DATA, DATA + memoryBytes),
  };
}

type CoreFunction = (cpu: number, ...args: readonly (number | bigint)[]) => number;

/** Which functions of the core execute a code: the one for all codes, or that which translated code calls. */
export type Executor = 'any code' | 'this code';

/** Executes one recorded case. */
export function execute(bench: Bench, recorded: Recorded, executor: Executor): FpuState {
  load(bench, recorded.before);
  const code = (recorded.opcode << 8) | recorded.modrm;
  const memory = recorded.memoryBytes > 0;
  const any = memory ? 'x87Memory' : 'x87Register';
  const name = executor === 'any code' ? any : memory ? memoryFunction(code) : registerFunction(code);
  const call = (bench.core as unknown as Record<string, CoreFunction>)[name]!;
  const status = memory ? call(VCPU_BASE, code, BigInt(DATA), SEG_DS, 4) : call(VCPU_BASE, code);
  if (status !== STATUS_NEXT) throw new Error(`status ${status}`);
  return save(bench, recorded.memoryBytes);
}

function hex(value: number | bigint, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}

function showNumber(value: Extended): string {
  return `${hex(value.se, 4)}:${hex(value.sig, 16)}`;
}

export function show(state: FpuState): string {
  const memory = [...state.memory].map((byte) => hex(byte, 2)).join('');
  return (
    `cw ${hex(state.control, 4)} sw ${hex(state.status, 4)} tags ${hex(abridge(state.tag), 2)} flags ${hex(state.flags, 2)} ` +
    `st0 ${showNumber(state.st0)} st1 ${showNumber(state.st1)} m ${memory}`
  );
}

/** Distance of two numbers in units of the last place; Infinity across kinds. */
function ulps(a: Extended, b: Extended): number {
  if (a.se === b.se && a.sig === b.sig) return 0;
  if ((a.se ^ b.se) & 0x8000) return Infinity;
  const order = ({ se, sig }: Extended): bigint =>
    (BigInt(se & 0x7fff) << 63n) + (sig & 0x7fff_ffff_ffff_ffffn);
  const distance = order(a) - order(b);
  return Math.abs(Number(distance));
}

const C1_PE = 0x220;

/** Transcendental instructions (tolerance 1) may be off by one unit and differ in PE and C1; others not at all. */
export function differs(actual: FpuState, expected: FpuState, tolerance: number): boolean {
  const mask = tolerance > 0 ? ~C1_PE : ~0;
  return (
    actual.control !== expected.control ||
    ((actual.status ^ expected.status) & mask) !== 0 ||
    abridge(actual.tag) !== abridge(expected.tag) ||
    ulps(actual.st0, expected.st0) > tolerance ||
    ulps(actual.st1, expected.st1) > tolerance ||
    actual.flags !== expected.flags ||
    Buffer.compare(actual.memory, expected.memory) !== 0
  );
}

const TRANSCENDENTAL = new Set([0xf0, 0xf1, 0xf2, 0xf3, 0xf9, 0xfb, 0xfe, 0xff]);

export function toleranceOf(recorded: Recorded): number {
  return recorded.opcode === 0xd9 && TRANSCENDENTAL.has(recorded.modrm) ? 1 : 0;
}

/** The cases that come out differently, as text. */
export function mismatches(bench: Bench, records: readonly Recorded[], executor: Executor): string[] {
  const found: string[] = [];
  for (const recorded of records) {
    const actual = execute(bench, recorded, executor);
    if (differs(actual, recorded.after, toleranceOf(recorded))) {
      found.push(
        `before   ${show(recorded.before)}\n  actual   ${show(actual)}\n  expected ${show(recorded.after)}`,
      );
    }
  }
  return found;
}

/** Cases by instruction: opcode byte and ModRM. */
export function byInstruction(records: readonly Recorded[]): Map<string, Recorded[]> {
  const groups = new Map<string, Recorded[]>();
  for (const recorded of records) {
    const name = `${hex(recorded.opcode, 2)} ${hex(recorded.modrm, 2)}`;
    const group = groups.get(name);
    if (group) group.push(recorded);
    else groups.set(name, [recorded]);
  }
  return groups;
}
