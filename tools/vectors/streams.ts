/** What streams are compared by, and the committed form of recorded ones. No Node here. */
import type { CaseOutcome } from '../../src/interp/vectors-file.ts';
import { applySet } from '../../src/interp/vectors-file.ts';
import {
  fillState,
  PROFILES,
  STATE,
  STOP_BREAKPOINT,
  type CaseState,
} from '../../src/interp/vectors-state.ts';
import { EXCEPTION_PF } from '../../src/layout/exceptions.ts';
import type { Stream } from './stream-generator.ts';
import { ALL_FLAGS } from './stream-flags.ts';

/** DF IF IOPL NT AC ID. */
const SYSTEM_FLAGS = 0x247600;

/** Builds the state that a stream starts from. Its code, which does not fit in, goes along with it. */
export function streamState(state: CaseState, stream: Stream): void {
  fillState(state, stream.seed, stream.profile);
  for (const set of stream.registers) applySet(state, set);
  const { view, bytes } = state;
  view.setUint32(STATE.codeLinear, stream.codeLinear, true);
  view.setUint32(STATE.codeLength, stream.code.length, true);
  bytes.fill(0, STATE.code, STATE.code + 16);
  bytes.set(stream.code.subarray(0, Math.min(16, stream.code.length)), STATE.code);
  view.setBigUint64(STATE.rip, BigInt(stream.codeLinear - PROFILES[stream.profile]!.csBase), true);
  bytes[STATE.stop] = STOP_BREAKPOINT;
}

/** Behind an exception the undefined flags are not known, so that no arithmetic one is compared. */
function comparedFlags(stream: Stream, outcome: CaseOutcome): number {
  return outcome.vector >= 0 ? SYSTEM_FLAGS : SYSTEM_FLAGS | (ALL_FLAGS & ~stream.undefinedFlags);
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
}

/** All that is compared, as lines. */
export function outcomeLines(stream: Stream, outcome: CaseOutcome): string[] {
  const { vector, memory, xmm, st } = outcome;
  const lines = [
    `vector ${vector}`,
    `rip ${outcome.rip.toString(16)}`,
    `eflags ${(outcome.eflags & comparedFlags(stream, outcome)).toString(16)}`,
    `mxcsr ${outcome.mxcsr.toString(16)}`,
    `x87 ${outcome.fcw.toString(16)} ${outcome.fsw.toString(16)} ${outcome.ftw.toString(16)}`,
  ];
  if (vector >= 0) lines.push(`error ${outcome.error.toString(16)}`);
  if (vector === EXCEPTION_PF) lines.push(`cr2 ${outcome.cr2.toString(16)}`);
  outcome.gpr.forEach((value, i) => lines.push(`r${i} ${value.toString(16)}`));
  for (const { index, bytes } of xmm) lines.push(`xmm${index} ${hex(bytes)}`);
  for (const { index, bytes } of st) lines.push(`st${index} ${hex(bytes)}`);
  for (const { linear, bytes } of memory) lines.push(`[${linear.toString(16)}] ${hex(bytes)}`);
  return lines;
}

/** Lines of one outcome that the other does not have. */
export function differences(stream: Stream, got: CaseOutcome, expected: CaseOutcome): string[] {
  const ours = outcomeLines(stream, got);
  const theirs = outcomeLines(stream, expected);
  return [
    ...ours.filter((line) => !theirs.includes(line)).map((line) => `got      ${line}`),
    ...theirs.filter((line) => !ours.includes(line)).map((line) => `expected ${line}`),
  ];
}

/** 64 bits that stand for an outcome in the committed files. */
export function digest(stream: Stream, outcome: CaseOutcome): bigint {
  let low = 0x811c9dc5;
  let high = 0x9e3779b9;
  for (const line of outcomeLines(stream, outcome)) {
    for (let i = 0; i < line.length; i++) {
      low = Math.imul(low ^ line.charCodeAt(i), 0x01000193);
      high = Math.imul(high ^ line.charCodeAt(i), 0x85ebca6b) ^ (high >>> 13);
    }
    low ^= low >>> 15;
  }
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}

export interface RecordedStream {
  readonly stream: Stream;
  readonly digest: bigint;
}

const MAGIC = 0x314d5453;
const HEADER_BYTES = 24;

/**
 * A file (gzip around it): MAGIC, then streams until its end: profile u8, number of sets u8, of leaders u16, bytes of code u16,
 * undefined flags u16, seed u32, code address u32, digest u64; sets of u8 and u64; leaders of u16; the code. Little-endian.
 */
export function encodeStreams(list: readonly RecordedStream[]): Uint8Array {
  const size = ({ stream: s }: RecordedStream): number =>
    HEADER_BYTES + s.registers.length * 9 + s.leaders.length * 2 + s.code.length;
  const bytes = new Uint8Array(list.reduce((sum, recorded) => sum + size(recorded), 4));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  let at = 4;
  for (const { stream, digest: result } of list) {
    view.setUint8(at, stream.profile);
    view.setUint8(at + 1, stream.registers.length);
    view.setUint16(at + 2, stream.leaders.length, true);
    view.setUint16(at + 4, stream.code.length, true);
    view.setUint16(at + 6, stream.undefinedFlags, true);
    view.setInt32(at + 8, stream.seed, true);
    view.setUint32(at + 12, stream.codeLinear, true);
    view.setBigUint64(at + 16, result, true);
    at += HEADER_BYTES;
    for (const { target, value } of stream.registers) {
      view.setUint8(at, target);
      view.setBigUint64(at + 1, value, true);
      at += 9;
    }
    for (const leader of stream.leaders) {
      view.setUint16(at, leader, true);
      at += 2;
    }
    bytes.set(stream.code, at);
    at += stream.code.length;
  }
  return bytes;
}

export function decodeStreams(bytes: Uint8Array): RecordedStream[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0, true) !== MAGIC) throw new Error('streams: not a file of recorded streams');
  const list: RecordedStream[] = [];
  for (let at = 4; at < bytes.length;) {
    const sets = view.getUint8(at + 1);
    const leaders = view.getUint16(at + 2, true);
    const codeLength = view.getUint16(at + 4, true);
    const setsAt = at + HEADER_BYTES;
    const leadersAt = setsAt + sets * 9;
    const codeAt = leadersAt + leaders * 2;
    const stream: Stream = {
      profile: view.getUint8(at),
      undefinedFlags: view.getUint16(at + 6, true),
      seed: view.getInt32(at + 8, true),
      codeLinear: view.getUint32(at + 12, true),
      registers: Array.from({ length: sets }, (_, i) => ({
        target: view.getUint8(setsAt + i * 9),
        value: view.getBigUint64(setsAt + i * 9 + 1, true),
      })),
      leaders: Array.from({ length: leaders }, (_, i) => view.getUint16(leadersAt + i * 2, true)),
      code: bytes.slice(codeAt, codeAt + codeLength),
    };
    list.push({ stream, digest: view.getBigUint64(at + 16, true) });
    at = codeAt + codeLength;
  }
  return list;
}
