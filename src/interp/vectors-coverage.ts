/** Which forms of the table have recorded cases, and why the others have none. */
import { formName, FORMS } from '../isa/forms.ts';
import type { Form } from '../isa/forms.ts';
import {
  MAP_0F,
  MAP_0F38,
  MAP_0F3A,
  MAP_ONE_BYTE,
  MAP_VEX,
  PREFIX_66,
  PREFIX_F2,
  PREFIX_F3,
  PREFIX_NONE,
} from '../isa/tables/row.ts';
import type { Row } from '../isa/tables/row.ts';
import { NOT_RECORDED } from './vectors-excluded.ts';

const MAP_TEXT: Record<number, string> = {
  [MAP_ONE_BYTE]: '',
  [MAP_0F]: '0F.',
  [MAP_0F38]: '0F38.',
  [MAP_0F3A]: '0F3A.',
};
const PREFIX_TEXT: Record<number, string> = {
  [PREFIX_NONE]: 'NP.',
  [PREFIX_66]: '66.',
  [PREFIX_F2]: 'F2.',
  [PREFIX_F3]: 'F3.',
};

function hex(value: number): string {
  return value.toString(16).toUpperCase().padStart(2, '0');
}

/** The opcode as the table writes it. */
export function opcodeText(row: Row): string {
  const modrm =
    row.modrmByte !== undefined
      ? `.${hex(row.modrmByte)}`
      : row.modrmReg !== undefined
        ? `/${row.modrmReg}`
        : '';
  const vex = row.map & MAP_VEX ? 'VEX.' : '';
  return `${vex}${PREFIX_TEXT[row.prefix] ?? ''}${MAP_TEXT[row.map & ~MAP_VEX] ?? ''}${hex(row.opcode)}${modrm}`;
}

/** What a group's id says after the name of its profile: unique among forms. */
export function formKey(form: Form): string {
  return `${opcodeText(form.row)} ${formName(form)}`;
}

export interface Coverage {
  readonly forms: number;
  /** Cases by form key, over all profiles and prefixes. */
  readonly cases: ReadonlyMap<string, number>;
  /** Forms left out on purpose: key and reason. */
  readonly excluded: readonly (readonly [key: string, reason: string])[];
  /** Forms that should have cases and have none. */
  readonly missing: readonly string[];
}

/** `id` of a group: `profile opcode mnemonic ...`, with ` rep` or ` repne` behind it for repeated strings. */
export function coverage(
  groups: Iterable<{ readonly id: string; readonly cases: { readonly length: number } }>,
): Coverage {
  const cases = new Map<string, number>();
  const keys = new Set(FORMS.map(formKey));
  for (const group of groups) {
    const key = group.id.slice(group.id.indexOf(' ') + 1).replace(/ rep(ne)?$/, '');
    if (keys.has(key)) cases.set(key, (cases.get(key) ?? 0) + group.cases.length);
  }
  const excluded: (readonly [string, string])[] = [];
  const missing: string[] = [];
  for (const form of FORMS) {
    const key = formKey(form);
    if (cases.get(key)) continue;
    const reason = NOT_RECORDED[form.row.semantics] ?? unreachable(form);
    if (reason) excluded.push([key, reason]);
    else missing.push(key);
  }
  return { forms: FORMS.length, cases, excluded, missing };
}

/** Forms that the table enumerates and no encoding selects. */
function unreachable({ row, operandBits }: Form): string | undefined {
  const { attributes } = row;
  if (operandBits === 64 && attributes.has('i64'))
    return 'there is no 64-bit operand size outside 64-bit mode';
  if (attributes.has('o64') && (attributes.has('d64') || attributes.has('f64')) && operandBits === 32) {
    return 'the operand size is 64 or 16 in 64-bit mode';
  }
  return undefined;
}

export function coverageReport({ forms, cases, excluded, missing }: Coverage): string {
  const total = [...cases.values()].reduce((a, b) => a + b, 0);
  const lines = [
    `${cases.size} of ${forms} forms recorded, ${total} cases; ${excluded.length} excluded, ${missing.length} missing`,
  ];
  for (const [key, count] of cases) lines.push(`${String(count).padStart(6)}  ${key}`);
  for (const [key, reason] of excluded) lines.push(`     -  ${key}: ${reason}`);
  for (const key of missing) lines.push(`  NONE  ${key}`);
  return lines.join('\n');
}
