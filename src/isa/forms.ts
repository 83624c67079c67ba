import { ROWS } from './tables/index.ts';
import { rmOperand, type Row } from './tables/row.ts';

/** A row with everything settled that decides which code executes it. */
export interface Form {
  readonly id: number;
  readonly row: Row;
  readonly rowIndex: number;
  /** Operand size in bits: 16, 32 or 64; 0 where the row does not depend on it. */
  readonly operandBits: number;
  /** ModRM.rm is memory; false also where there is no ModRM operand. */
  readonly memory: boolean;
  /** LOCK prefix (or XCHG with memory, which always locks). */
  readonly locked: boolean;
}

/** Form 0 is HANDLER_LOOKUP and 1 the end of a block, 2 an undefined opcode: not instructions. */
export const HANDLER_END = 1;
export const HANDLER_UNDEFINED = 2;
const FIRST_FORM = 3;

/** The sizes in bits for which a row has separate forms. */
export function operandSizes(row: Row): readonly number[] {
  const sizes = row.operands.map(({ size }) => size);
  const any =
    row.attributes.has('os') || sizes.some((size) => ['v', 'z', 'p', 'bs', 'rAX', 'eAX'].includes(size));
  if (any) return row.attributes.has('o64') && row.attributes.has('f64') ? [64] : [16, 32, 64];
  return sizes.includes('y') || row.attributes.has('y') ? [32, 64] : [0];
}

function enumerate(): Form[] {
  const forms: Form[] = [];
  ROWS.forEach((row, rowIndex) => {
    const rm = rmOperand(row);
    const memoryKinds =
      rm === undefined
        ? [row.operands.some(({ letter }) => letter === 'M' || letter === 'O')]
        : rm.letter === 'M'
          ? [true]
          : 'RUN'.includes(rm.letter)
            ? [false]
            : [false, true];
    for (const operandBits of operandSizes(row)) {
      for (const memory of memoryKinds) {
        const lockable = row.attributes.has('lock') && memory;
        const alwaysLocked = row.semantics === 'xchg' && memory;
        for (const locked of alwaysLocked ? [true] : lockable ? [false, true] : [false]) {
          forms.push({ id: FIRST_FORM + forms.length, row, rowIndex, operandBits, memory, locked });
        }
      }
    }
  });
  return forms;
}

/** All forms; `FORMS[i].id` is the number of its handler. */
export const FORMS: readonly Form[] = enumerate();
export const HANDLER_COUNT = FIRST_FORM + FORMS.length;

export function formOf(handler: number): Form | undefined {
  return FORMS[handler - FIRST_FORM];
}

const SLOTS = 16;
const formIds = new Uint16Array(ROWS.length * SLOTS);
for (const form of FORMS) {
  const sizes = form.operandBits === 0 ? [16, 32, 64] : [form.operandBits];
  if (form.operandBits === 32 && !operandSizes(form.row).includes(16)) sizes.push(16);
  const alwaysLocked = form.row.semantics === 'xchg' && form.memory;
  for (const bits of sizes) {
    const slot = form.rowIndex * SLOTS + (bits >> 5) * 4 + (form.memory ? 2 : 0);
    if (alwaysLocked || !form.locked) formIds[slot] = form.id;
    if (form.locked) formIds[slot + 1] = form.id;
  }
}

/** The handler for a row as decoded, or HANDLER_UNDEFINED where that combination does not exist. */
export function handlerFor(rowIndex: number, operandBits: number, memory: boolean, locked: boolean): number {
  const id = formIds[rowIndex * SLOTS + (operandBits >> 5) * 4 + (memory ? 2 : 0) + (locked ? 1 : 0)]!;
  return id === 0 ? HANDLER_UNDEFINED : id;
}

/** How the form reads in reports: `add Ev,Gv 32 mem lock`. */
export function formName({ row, operandBits, memory, locked }: Form): string {
  const operands = row.operands.map(({ letter, size }) => (letter === 'fixed' ? size : letter + size)).join();
  const parts = [row.mnemonic, operands];
  if (operandBits) parts.push(String(operandBits));
  if (rmOperand(row)) parts.push(memory ? 'mem' : 'reg');
  if (locked) parts.push('lock');
  return parts.filter(Boolean).join(' ');
}
