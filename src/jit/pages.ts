/**
 * Which accesses of a trace probably go to the same page: those through the same base register, as long as it moves by
 * small steps only. A guess: what it costs to be wrong is a slow path.
 */
import type { Statement } from '../ir/ir.ts';
import { RECORD_CHECKED, RECORD_SEGMENT_SHIFT, REG_RBP, REG_RSP, REG_ZERO, SEG_SS } from '../layout/vcpu.ts';
import type { PlannedBlock } from './plan.ts';

/** Keys of an instruction's accesses; those that no other access shares are absent. */
export interface PageKeys {
  readonly operand: string | undefined;
  readonly stack: string | undefined;
}

/** Instructions that move a register that they also read, by what an immediate or their stack operand says. */
const STACK = new Set(['push', 'pop', 'call', 'callTo', 'ret', 'pushf', 'popf', 'leave']);
const STEPS = new Set(['add', 'sub', 'inc', 'dec', 'lea']);
const SMALL = 1024;

/** By block and instruction. */
export function pageKeys(blocks: readonly PlannedBlock[]): PageKeys[][] {
  const versions = new Map<number, number>();
  const name = (register: number): string => `${register}.${versions.get(register) ?? 0}`;
  const uses = new Map<string, number>();
  const use = (key: string | undefined, count: number): string | undefined => {
    if (key !== undefined && count > 0) uses.set(key, (uses.get(key) ?? 0) + count);
    return count > 0 ? key : undefined;
  };
  const all = blocks.map(({ instructions, bodies }) =>
    instructions.map((instruction, i): PageKeys => {
      const { form, rm, index, imm, reg, disp } = instruction;
      const { semantics } = form.row;
      const body = bodies[i] ?? [];
      const accesses = countAccesses(body);
      const onStack = STACK.has(semantics) ? 1 : 0;
      const base = rm >> 3;
      const number = (instruction.flags >> RECORD_SEGMENT_SHIFT) & 7;
      // Segments may have the same base only where they need no check.
      const segment = instruction.flags & RECORD_CHECKED && number !== SEG_SS ? `${number}:` : '';
      const operandKey =
        form.memory && base < REG_ZERO
          ? index === REG_ZERO * 8
            ? segment + name(base)
            : `${segment}${name(base)}+${name(index >> 3)}*${instruction.flags & 3}`
          : undefined;
      const operand = use(operandKey, form.memory ? accesses - onStack : 0);
      const stack = use(name(semantics === 'leave' ? REG_RBP : REG_RSP), onStack);
      for (const register of writtenBy(body)) {
        const steps =
          (register === REG_RSP && STACK.has(semantics)) ||
          (STEPS.has(semantics) &&
            (semantics === 'lea'
              ? base === register && reg >> 3 === register && index === REG_ZERO * 8 && Math.abs(disp) < SMALL
              : !form.memory &&
                Math.abs(imm) < SMALL &&
                rm >> 3 === register &&
                form.row.operands.every(({ letter }, n) => n === 0 || letter === 'I')));
        if (!steps) versions.set(register, (versions.get(register) ?? 0) + 1);
      }
      return { operand, stack };
    }),
  );
  const shared = (key: string | undefined): string | undefined =>
    key !== undefined && uses.get(key)! > 1 ? key : undefined;
  return all.map((keys) =>
    keys.map(({ operand, stack }) => ({ operand: shared(operand), stack: shared(stack) })),
  );
}

function countAccesses(list: readonly Statement[]): number {
  let count = 0;
  for (const statement of list) {
    if (statement.kind === 'if') count += countAccesses(statement.yes) + countAccesses(statement.no);
    if (statement.kind === 'load' || statement.kind === 'store' || statement.kind === 'updateBegin') count++;
  }
  return count;
}

function writtenBy(list: readonly Statement[]): number[] {
  return list.flatMap((statement) => {
    if (statement.kind === 'if') return [...writtenBy(statement.yes), ...writtenBy(statement.no)];
    if (statement.kind !== 'writeRegister' || statement.register.file !== 'general') return [];
    return typeof statement.register.where === 'number' ? [statement.register.where >> 3] : [];
  });
}
