/**
 * Encodings that may be no instruction: unassigned opcodes, unused ModRM.reg extensions and prefixes, LOCK where it is
 * not allowed. The recorder keeps those that the CPU refuses with #UD; the guest's CPU has to refuse them too.
 */
import type { CaseInput } from '../../src/interp/vectors-file.ts';
import { CODE_BASE, DATA_WINDOW } from '../../src/interp/vectors-state.ts';
import type { Profile } from '../../src/interp/vectors-state.ts';

const PREFIXES: readonly (readonly number[])[] = [[], [0x66], [0xf3], [0xf2]];

/** Opcodes whose ModRM.reg selects the instruction. */
const GROUPS_ONE_BYTE = new Set([
  0x80, 0x81, 0x82, 0x83, 0x8f, 0xc0, 0xc1, 0xc6, 0xc7, 0xd0, 0xd1, 0xd2, 0xd3, 0xf6, 0xf7, 0xfe, 0xff,
]);
const GROUPS_0F = new Set([0x00, 0x01, 0x18, 0x71, 0x72, 0x73, 0xae, 0xba, 0xc7]);

/** Prefixes and escapes; what enters the kernel; VEX (see below); EVEX and XOP, which the guest's CPU does not have. */
const SKIPPED_ONE_BYTE = new Set([
  0x0f, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0xcd, 0xf1, 0x62, 0xc4, 0xc5, 0x8f,
]);
const SKIPPED_0F = new Set([0x05, 0x34, 0x35, 0x38, 0x3a, 0x07]);

/** All candidates for one 16-opcode row of a map, as code bytes. */
export function candidates(map: '' | '0F' | '0F38' | '0F3A', high: number, is64: boolean): number[][] {
  const escape = { '': [], '0F': [0x0f], '0F38': [0x0f, 0x38], '0F3A': [0x0f, 0x3a] }[map];
  const all: number[][] = [];
  for (let low = 0; low < 16; low++) {
    const opcode = (high << 4) | low;
    if (map === '' && (SKIPPED_ONE_BYTE.has(opcode) || (is64 && high === 4))) continue;
    if (map === '0F' && SKIPPED_0F.has(opcode)) continue;
    // SHA, GFNI, AES and the like exist here and not in the guest: only what does not exist here is kept.
    const grouped = map === '' ? GROUPS_ONE_BYTE.has(opcode) : map === '0F' && GROUPS_0F.has(opcode);
    for (const prefix of map === '' ? PREFIXES.slice(0, 1) : PREFIXES) {
      for (let reg = 0; reg < (grouped || (map === '' && (opcode & 0xf8) === 0xd8) ? 8 : 1); reg++) {
        // [rBX] or [BP+DI]; the registers all point into the data window.
        all.push([...prefix, ...escape, opcode, (reg << 3) | 3, 0, 0, 0, 0, 0, 0, 0, 0].slice(0, 12));
        const registerForm = 0xc0 | (reg << 3) | 3;
        // 0F 01 with a register: monitors, hypervisor calls, protection keys.
        if (map === '0F' && opcode === 0x01 && reg !== 5) continue;
        all.push([...prefix, ...escape, opcode, registerForm, 0, 0, 0, 0, 0, 0, 0, 0].slice(0, 12));
      }
    }
  }
  return all;
}

/**
 * VEX encodings around those of the table: other maps, L = 1, every pp and W, a vvvv that is used or not, and prefixes that may
 * not stand before VEX (APM vol. 3, 1.2.7). What is AVX, or an instruction, is not kept.
 */
export function vexCandidates(opcode: number, is64: boolean): number[][] {
  const before = [[], [0x66], [0xf3], [0xf2], [0xf0], ...(is64 ? [[0x40], [0x48]] : [])];
  const rest = [0, 0, 0, 0, 0, 0, 0, 0];
  const all: number[][] = [];
  for (const map of [0, 1, 2, 3, 4, 31]) {
    for (const last of [0x78, 0x79, 0x7a, 0x7b, 0x7c, 0x7f, 0xf8, 0xfb, 0x70, 0x73]) {
      for (const modrm of [0x03, 0x0b, 0x23, 0xc3, 0xcb, 0xe3]) {
        all.push([0xc4, 0xe0 | map, last, opcode, modrm, ...rest].slice(0, 12));
      }
    }
  }
  for (const prefix of before) all.push([...prefix, 0xc4, 0xe2, 0x78, opcode, 0xcb, ...rest].slice(0, 12));
  for (const last of [0xf8, 0xf9, 0xfa, 0xfb]) all.push([0xc5, last, opcode, 0xcb, ...rest].slice(0, 12));
  return all;
}

export function makeUndefined(profile: Profile, code: readonly number[]): CaseInput {
  const at = BigInt(DATA_WINDOW + 64 - profile.dsBase);
  const registers = [0, 1, 2, 3, 5, 6, 7].map((target) => ({
    target,
    value: profile.mode === 16 && target > 2 ? 0x4800n : at,
  }));
  return {
    code: Uint8Array.from(code),
    codeLinear: CODE_BASE + 0x400,
    breakpointStop: false,
    registers,
    memory: [],
  };
}
