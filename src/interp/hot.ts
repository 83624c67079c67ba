import type { Form } from '../isa/forms.ts';

/** Descriptions that make up most of what kernels and compilers' code execute, measured over a boot. */
const HOT = new Set(
  `add sub cmp test and or xor mov movzx movsx movsxd lea push pop jcc jmp jmpTo call callTo ret inc dec not shl shr sar rol ror
   cmovcc setcc cbw cwd imul2 nop nopE pause`.split(' '),
);

/** Whether the form's handler stands inline in the interpreter's loop. */
export function isHot({ row, operandBits, locked }: Form): boolean {
  if (locked || !HOT.has(row.semantics)) return false;
  if (
    row.operands.some(
      ({ letter, size }) => letter === 'O' || (letter === 'fixed' && /^[C-GS]S$|ES/.test(size)),
    )
  )
    return false;
  return operandBits !== 16;
}
