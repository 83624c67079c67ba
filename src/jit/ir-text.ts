/** Statements of the intermediate representation as text. */
import type { RegisterRef, Statement, Temp, Value } from '../ir/ir.ts';
import { VCPU } from '../layout/vcpu.ts';

const GENERAL = 'rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15'.split(' ');
const STATE_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(VCPU.at).map(([name, at]) => [at, name]),
);

export function valueText(value: Value): string {
  switch (value.kind) {
    case 'const':
      return value.value > -10n && value.value < 10n ? String(value.value) : hex(value.value);
    case 'vector':
      return `v128:${[...value.bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
    case 'temp':
      return tempText(value);
    case 'op': {
      const lanes = value.lanes === undefined ? '' : `<${value.lanes.join(',')}>`;
      return `${value.op}${lanes}(${value.args.map(valueText).join(', ')})`;
    }
    case 'field':
      return `record.${value.name}`;
  }
}

function hex(value: bigint): string {
  return value < 0n ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`;
}

function tempText({ id, type }: Temp): string {
  return `t${id}:${type}`;
}

function registerText({ file, where }: RegisterRef, bytes: number): string {
  if (typeof where !== 'number') return `${file}[${where}]`;
  const name = file === 'general' ? (GENERAL[where >> 3] ?? `r?${where >> 3}`) : `${file}${where >> 4}`;
  const inside = file === 'general' ? where & 7 : where & 15;
  return `${name}${inside === 0 ? '' : `+${inside}`}.${bytes}`;
}

function stateText(offset: number): string {
  return STATE_NAMES.get(offset) ?? `state+${offset}`;
}

/** One line for each statement, arms of an `if` indented. */
export function statementLines(list: readonly Statement[], indent = ''): string[] {
  return list.flatMap((statement): string[] => {
    if (statement.kind !== 'if') return [`${indent}${statementText(statement)}`];
    const { condition, yes, no, likely } = statement;
    const hint = likely === undefined ? '' : likely ? ' (likely)' : ' (unlikely)';
    return [
      `${indent}if ${valueText(condition)}${hint}`,
      ...statementLines(yes, `${indent}  `),
      ...(no.length === 0 ? [] : [`${indent}else`, ...statementLines(no, `${indent}  `)]),
    ];
  });
}

function statementText(statement: Exclude<Statement, { kind: 'if' }>): string {
  switch (statement.kind) {
    case 'let':
    case 'assign':
      return `${tempText(statement.temp)} ${statement.kind === 'let' ? '=' : ':='} ${valueText(statement.value)}`;
    case 'readState': {
      const index = statement.index === undefined ? '' : ` + ${valueText(statement.index)}`;
      return `${tempText(statement.temp)} = ${statement.op} ${stateText(statement.offset)}${index}`;
    }
    case 'writeState':
      return `${statement.op} ${stateText(statement.offset)} = ${valueText(statement.value)}`;
    case 'readRegister': {
      const { temp, register, bytes, signed } = statement;
      return `${tempText(temp)} = ${registerText(register, bytes)}${signed ? ' signed' : ''}`;
    }
    case 'flagBits':
      return `flags & ${statement.mask.toString(16)}h = ${valueText(statement.bits)}`;
    case 'writeRegister':
      return `${registerText(statement.register, statement.bytes)} = ${valueText(statement.value)}`;
    case 'linear':
      return `${tempText(statement.temp)} = linear ${valueText(statement.segment)}:${valueText(statement.offset)}`;
    case 'load':
      return `${tempText(statement.temp)} = ${statement.op} [${valueText(statement.linear)}]`;
    case 'store':
      return `${statement.op} [${valueText(statement.linear)}] = ${valueText(statement.value)}`;
    case 'updateBegin': {
      const { host, old, linear, bytes, locked } = statement;
      return `${tempText(host)}, ${tempText(old)} = ${locked ? 'locked ' : ''}update.${bytes} [${valueText(linear)}]`;
    }
    case 'updateEnd':
      return `update ${tempText(statement.host)} = ${valueText(statement.value)}`;
    case 'flags': {
      const { flagKind, result, a, b } = statement;
      const text = (name: string, value: Value | undefined): string =>
        value === undefined ? '' : ` ${name}=${valueText(value)}`;
      return `flags kind=${valueText(flagKind)}${text('result', result)}${text('a', a)}${text('b', b)}`;
    }
    case 'condition':
      return `${tempText(statement.temp)} = condition ${statement.condition}`;
    case 'call': {
      const target = statement.temp === undefined ? '' : `${tempText(statement.temp)} = `;
      return `${target}call ${statement.name}(${statement.args.map(valueText).join(', ')})`;
    }
    case 'raise': {
      const error = statement.error === undefined ? '' : ` error ${valueText(statement.error)}`;
      return `raise ${statement.vector}${error}`;
    }
    case 'nextRip':
      return `${tempText(statement.temp)} = next rip`;
    case 'checkTarget':
      return `check target ${valueText(statement.target)}`;
    case 'finish':
      return `finish ${valueText(statement.status)}`;
    case 'branch':
      return `branch${statement.condition === undefined ? '' : ` if ${valueText(statement.condition)}`}`;
    case 'branchTo':
      return `branch to ${valueText(statement.target)}`;
    case 'fpuGate':
      return `fpu gate ${statement.blocked} ${statement.check}`;
    case 'checkBranch':
    case 'fence':
    case 'leave':
      return statement.kind;
  }
}
