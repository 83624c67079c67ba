/**
 * Instructions that follow each other so often that the interpreter executes both with one dispatch: the record of the first
 * then has a handler of the pair's own. Which ones is a matter of speed alone (docs/core.md, Pairs).
 */
import { formName, FORMS, HANDLER_COUNT, type Form } from './forms.ts';

/** Form names with N for 32 and for 64: what comes first ; what may follow. A lone mnemonic is that conditional branch. */
const TABLE = `
  test Ev,Gv N reg  ; je ; jne
  test Eb,Gb reg    ; je ; jne ; jns
  test Eb,Ib reg    ; je ; jne
  test Eb,Ib mem    ; je ; jne
  cmp Ev,Gv N reg   ; je ; jne ; jb ; jae ; jbe ; ja
  cmp Ev,Ibs N reg  ; je ; jne ; jbe ; ja
  cmp Ev,Iz N reg   ; jbe ; ja
  cmp Eb,Ib mem     ; je ; jne
  cmp Ev,Ibs N mem  ; je ; jne
  cmp Ev,Gv N mem   ; je ; jne
  cmp Gv,Ev N mem   ; je ; jne
  cmp Gb,Eb mem     ; je ; jne
  push Zv N         ; push Zv N ; mov Ev,Gv N reg
  pop Zv N          ; pop Zv N ; ret N
  mov Gv,Ev N mem   ; mov Gv,Ev N mem ; mov Ev,Gv N mem ; mov Ev,Gv N reg ; lea Gv,Mv N mem
  mov Ev,Gv N mem   ; mov Gv,Ev N mem ; mov Ev,Gv N mem
  mov Ev,Gv N reg   ; mov Ev,Gv N reg ; mov Gv,Ev N mem ; push Zv N ; call Jz N
  add Ev,Ibs N reg  ; mov Ev,Gv N mem ; add Ev,Ibs N reg
  lea Gv,Mv N mem   ; mov Ev,Gv N mem
`;

export interface Pair {
  readonly handler: number;
  readonly first: Form;
  /** Other forms may do the same: a conditional branch by 8 or 32 bits, in 32- or 64-bit code. */
  readonly second: Form;
}

const BY_NAME = new Map(FORMS.map((form) => [formName(form), form]));

function formsNamed(name: string): readonly Form[] {
  const form = BY_NAME.get(name);
  const found =
    form === undefined
      ? FORMS.filter(({ row, operandBits }) => row.mnemonic === name && operandBits > 16)
      : [form];
  if (found.length === 0) throw new Error(`table of pairs: there is no form "${name}"`);
  return found;
}

/** By the first form's row and the second one's column. */
const ROW_LENGTH = 64;
const rows = new Uint8Array(HANDLER_COUNT);
const columns = new Uint8Array(HANDLER_COUNT);
const handlers: number[] = [];

function parse(): Pair[] {
  const pairs: Pair[] = [];
  const known = { rows: 0, columns: 0 };
  const number = (forms: readonly Form[], of: Uint8Array, counter: keyof typeof known): number => {
    const [{ id }] = forms as [Form];
    if (of[id] === 0) {
      known[counter]++;
      for (const form of forms) of[form.id] = known[counter];
    }
    return of[id]!;
  };
  const lines = TABLE.split('\n').filter((line) => line.trim() !== '');
  for (const line of lines.flatMap((text) => ['32', '64'].map((bits) => text.replaceAll(/\bN\b/g, bits)))) {
    const [first = '', ...seconds] = line.split(';').map((name) => name.trim());
    for (const name of seconds) {
      const [firsts, forms] = [formsNamed(first), formsNamed(name)];
      const at = number(firsts, rows, 'rows') * ROW_LENGTH + number(forms, columns, 'columns');
      if (handlers[at] !== undefined) continue;
      handlers[at] = HANDLER_COUNT + pairs.length;
      pairs.push({ handler: handlers[at], first: firsts[0]!, second: forms[0]! });
    }
  }
  if (known.columns >= ROW_LENGTH) throw new Error('table of pairs: too many different forms follow');
  return pairs;
}

export const PAIRS: readonly Pair[] = parse();
export const PAIRED_HANDLER_COUNT = HANDLER_COUNT + PAIRS.length;

const TABLE_OF_HANDLERS = Uint16Array.from(
  { length: (Math.max(...rows) + 1) * ROW_LENGTH },
  (_, at) => handlers[at] ?? 0,
);

/** The handler for the instructions of two handlers in a row, or 0. */
export function pairHandler(first: number, second: number): number {
  return TABLE_OF_HANDLERS[rows[first]! * ROW_LENGTH + columns[second]!]!;
}

/**
 * Tells tables apart: a decoder and an interpreter that number their handlers differently must not meet.
 * FNV-1a over the names of all forms and pairs.
 */
export function tableFingerprint(): number {
  const names = [
    ...FORMS.map(formName),
    ...PAIRS.map(({ first, second }) => formName(first) + formName(second)),
  ];
  let hash = 0x811c9dc5;
  for (const name of names) {
    for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  }
  return hash | 0;
}
