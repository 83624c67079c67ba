/** What is recorded: which forms in which profiles, how many cases of each; and the recording itself. */
import { FORMS } from '../../src/isa/forms.ts';
import type { Form } from '../../src/isa/forms.ts';
import { formKey } from '../../src/interp/vectors-coverage.ts';
import { NOT_RECORDED } from '../../src/interp/vectors-excluded.ts';
import { buildCaseState } from '../../src/interp/vectors-file.ts';
import type {
  CaseInput,
  CaseOutcome,
  GroupHeader,
  MemorySet,
  RecordedCase,
} from '../../src/interp/vectors-file.ts';
import {
  caseSeed,
  CODE_BASE,
  fillState,
  hashText,
  PROFILES,
  Random,
  STATE,
  WINDOW_BYTES,
  WINDOWS,
} from '../../src/interp/vectors-state.ts';
import type { CaseState } from '../../src/interp/vectors-state.ts';
import { MAP_ONE_BYTE } from '../../src/isa/tables/row.ts';
import { EXCEPTION_PF, EXCEPTION_UD } from '../../src/layout/exceptions.ts';
import { CaseBuilder, encodable, isString, usesStack } from './encode.ts';
import type { FormVariant } from './encode.ts';
import { NativeBatch } from './native.ts';
import { candidates, makeUndefined, vexCandidates } from './undefined.ts';

/** What the generator's own choices are seeded with, beside the group. */
const CHOICES = 0x5bd1e995;
const VECTOR_TIMEOUT = -2;
/** From here on Linux reports every page as present, to say nothing about the kernel's pages. */
const TASK_SIZE = 0x7ffffffff000n;

export interface Plan {
  readonly id: string;
  readonly file: string;
  readonly mnemonic: string;
  readonly profile: number;
  readonly count: number;
  /** `state` may be used as scratch. */
  make(seed: number, index: number, state: CaseState): CaseInput;
  keeps(outcome: CaseOutcome): boolean;
}

/** Cases per form in each profile; the profiles with special segments only get what uses segments. */
function caseCount(form: Form, profile: number): number {
  const { row } = form;
  const many = profile === 0 ? 24 : 16;
  if (profile >= 3) {
    const memory = form.memory || usesStack(row) || isString(row.semantics) || row.attributes.has('end');
    if (!memory || row.semantics.startsWith('x87')) return 0;
    return row.semantics.endsWith('cc') || row.registerInOpcode ? 2 : 6;
  }
  if (row.semantics === 'x87reg') return profile === 0 ? 600 : 64;
  if (row.semantics === 'x87mem') return profile === 0 ? 200 : 64;
  if (row.registerInOpcode) return profile === 0 ? 8 : 4;
  if (row.semantics.endsWith('cc')) return profile === 0 ? 10 : 6;
  if (usesStack(row) || row.semantics === 'loadFar' || row.semantics === 'movToSegment') return 40;
  return many;
}

export function plans(): Plan[] {
  const all: Plan[] = [];
  PROFILES.forEach((p, profile) => {
    for (const form of FORMS) {
      if (NOT_RECORDED[form.row.semantics] || !encodable(form, p.mode)) continue;
      const count = caseCount(form, profile);
      if (count === 0) continue;
      for (const repeat of isString(form.row.semantics) ? [0, 0xf3, 0xf2] : [0]) {
        const suffix = repeat === 0xf3 ? ' rep' : repeat === 0xf2 ? ' repne' : '';
        const id = `${p.name} ${formKey(form)}${suffix}`;
        all.push(formPlan(id, fileOf(form, p.name), { form, profile, repeat }, count));
      }
    }
  });
  return [...all, ...undefinedPlans()];
}

function formPlan(id: string, file: string, variant: FormVariant, count: number): Plan {
  const { profile, form } = variant;
  const make = (seed: number, index: number, state: CaseState): CaseInput => {
    fillState(state, caseSeed(seed, index), profile);
    return new CaseBuilder(variant, state, new Random(caseSeed(seed ^ CHOICES, index))).build();
  };
  return { id, file, mnemonic: form.row.semantics, profile, count, make, keeps: usable };
}

/** Encodings that are no instruction, and LOCK where it may not be. */
function undefinedPlans(): Plan[] {
  const all: Plan[] = [];
  const refused = (outcome: CaseOutcome): boolean => outcome.vector === EXCEPTION_UD;
  for (const profile of [0, 1, 2]) {
    const p = PROFILES[profile]!;
    const add = (id: string, count: number, make: Plan['make']): void => {
      all.push({
        id: `${p.name} undefined ${id}`,
        file: `${p.name}-undefined.bin.gz`,
        mnemonic: 'undefined',
        profile,
        count,
        make,
        keeps: refused,
      });
    };
    for (const map of ['', '0F', '0F38', '0F3A'] as const) {
      for (let high = 0; high < 16; high++) {
        const codes = candidates(map, high, p.mode === 64);
        if (codes.length > 0)
          add(`${map}.${high.toString(16)}x`, codes.length, (_, index) =>
            makeUndefined(p, codes[index % codes.length]!),
          );
      }
    }
    for (let opcode = 0xf0; opcode < 0x100; opcode++) {
      const codes = vexCandidates(opcode, p.mode === 64);
      add(`VEX ${opcode.toString(16)}`, codes.length, (_, index) =>
        makeUndefined(p, codes[index % codes.length]!),
      );
    }
    for (const form of FORMS) {
      if (NOT_RECORDED[form.row.semantics] || form.locked || !encodable(form, p.mode)) continue;
      if (form.memory && form.row.attributes.has('lock')) continue;
      const variant = { form, profile, repeat: 0 };
      const plan = formPlan('', '', variant, 0);
      add(`lock ${formKey(form)}`, 1, (seed, index, state) => {
        const input = plan.make(seed, index, state);
        return {
          ...input,
          code: Uint8Array.from([0xf0, ...input.code]).slice(0, 15),
          codeLinear: CODE_BASE + 0x400,
        };
      });
    }
  }
  return all;
}

function fileOf({ row }: Form, profile: string): string {
  let map = ['', '0f', '0f38', '0f3a'][row.map] ?? 'vex';
  if (row.map === MAP_ONE_BYTE) {
    map = row.opcode < 0x80 ? '00-7f' : row.semantics.startsWith('x87') ? 'x87' : '80-ff';
  }
  return `${profile}-${map}.bin.gz`;
}

/** Addresses in the kernel's half say more about the kernel than about the CPU. */
export function usable(outcome: CaseOutcome): boolean {
  if (outcome.vector === VECTOR_TIMEOUT) return false;
  return outcome.vector !== EXCEPTION_PF || outcome.cr2 < TASK_SIZE;
}

/** PUSHF stores the TF that the recorder steps with: take it out of the image. */
export function withoutTrapFlag(plan: Plan, state: CaseState, outcome: CaseOutcome): CaseOutcome {
  if (plan.mnemonic !== 'pushf' || outcome.vector >= 0) return outcome;
  const profile = PROFILES[plan.profile]!;
  const mask = profile.stack === 16 ? 0xffffn : 0xffffffffn;
  const at = profile.ssBase + Number(outcome.gpr[4]! & mask) + 1;
  const before = initialByte(state, at);
  const memory: MemorySet[] = [];
  const stored = outcome.memory.some((run) => at >= run.linear && at < run.linear + run.bytes.length);
  // The byte was there already, TF included.
  if (!stored && before !== undefined && before & 1)
    memory.push({ linear: at, bytes: Uint8Array.of(before & ~1) });
  for (const run of outcome.memory) {
    const offset = at - run.linear;
    if (offset < 0 || offset >= run.bytes.length) {
      memory.push(run);
      continue;
    }
    const bytes = run.bytes.slice();
    bytes[offset]! &= ~1;
    if (bytes[offset] !== before) memory.push({ linear: run.linear, bytes });
    else {
      if (offset > 0) memory.push({ linear: run.linear, bytes: bytes.slice(0, offset) });
      if (offset + 1 < bytes.length) memory.push({ linear: at + 1, bytes: bytes.slice(offset + 1) });
    }
  }
  return { ...outcome, memory };
}

function initialByte(state: CaseState, linear: number): number | undefined {
  const w = WINDOWS.findIndex((base) => linear >= base && linear < base + WINDOW_BYTES);
  return w < 0 ? undefined : state.bytes[STATE.windows + w * WINDOW_BYTES + linear - WINDOWS[w]!];
}

const BATCH = 4000;
const ROUNDS = 4;

export interface NewGroup extends GroupHeader {
  readonly cases: RecordedCase[];
}

/** Executes all cases of the plans; `salt` makes other cases of them. */
export function recordPlans(list: readonly Plan[], state: CaseState, salt = ''): NewGroup[] {
  const groups: NewGroup[] = list.map((plan) => ({
    id: plan.id,
    mnemonic: plan.mnemonic,
    profile: plan.profile,
    seed: hashText(plan.id + salt) >>> 0,
    cases: [],
  }));
  const next = list.map(() => 0);
  // Until each group has its number; a group whose cases keep being unusable ends with fewer.
  for (let round = 0; round < ROUNDS; round++) {
    const batch = new NativeBatch();
    let made: { plan: number; index: number; input: CaseInput }[] = [];
    const flush = (): void => {
      batch.run((i, outcome) => {
        const { plan, index, input } = made[i]!;
        if (!list[plan]!.keeps(outcome)) return;
        groups[plan]!.cases.push({ index, input, outcome: withoutTrapFlag(list[plan]!, state, outcome) });
      }, state);
      made = [];
    };
    list.forEach((plan, p) => {
      const wanted = plan.count - groups[p]!.cases.length;
      if (round > 0 && plan.mnemonic === 'undefined') return;
      for (let n = 0; n < wanted; n++) {
        const index = next[p]!++;
        const input = plan.make(groups[p]!.seed, index, state);
        buildCaseState(state, groups[p]!, index, input);
        batch.add(state);
        made.push({ plan: p, index, input });
        if (made.length === BATCH) flush();
      }
    });
    if (made.length > 0) flush();
  }
  return groups.filter((g) => g.cases.length > 0);
}
