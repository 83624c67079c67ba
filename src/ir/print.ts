/**
 * Statements as text, which `parse.ts` reads back:
 *
 *     t0:i64 = rcx.4                       register, bytes; `rax+1.1` is AH
 *     t1:i64 = linear.4 write [3: t0]      segment, offset
 *     t2:i64 = load.4 i64.load32_u [3: t1]
 *     if unlikely i64.eqz(t2)
 *       flags 5 result=i64.add(t2, 8n)     i64 constants end in n
 *     else
 *       rax.4 = t2
 *
 * A temporary has its type where it is first set.
 */
import { SEGMENT_ALIGNED, SEGMENT_WRITE, VCPU } from '../layout/vcpu.ts';
import type { RegisterRef, Statement, Temp, Value } from './ir.ts';

/** Of the first eight; the others are `r8` and so on, with r16 (always 0) and r17 (IP of the page). */
export const GENERAL_NAMES = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi'];

/** One line for each statement, arms of an `if` indented. */
export function printStatements(list: readonly Statement[], indent = ''): string[] {
  return list.flatMap((statement): string[] => {
    if (statement.kind !== 'if') return [`${indent}${statementText(statement)}`];
    const { condition, yes, no, likely } = statement;
    const hint = likely === undefined ? '' : likely ? 'likely ' : 'unlikely ';
    return [
      `${indent}if ${hint}${valueText(condition)}`,
      ...printStatements(yes, `${indent}  `),
      ...(no.length === 0 ? [] : [`${indent}else`, ...printStatements(no, `${indent}  `)]),
    ];
  });
}

function valueText(value: Value): string {
  switch (value.kind) {
    case 'const':
      return value.type === 'i32'
        ? number(BigInt.asIntN(32, value.value))
        : `${number(BigInt.asIntN(64, value.value))}n`;
    case 'vector':
      return `v128:${[...value.bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
    case 'temp':
      return `t${value.id}`;
    case 'op': {
      const lanes = value.lanes === undefined ? '' : `<${value.lanes.join(',')}>`;
      return `${value.op}${lanes}(${value.args.map(valueText).join(', ')})`;
    }
    case 'field':
      return `record.${value.name}:${value.type}`;
  }
}

/** Small ones decimal. */
function number(value: bigint): string {
  if (value > -10n && value < 10n) return String(value);
  return value < 0n ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`;
}

function defined({ id, type }: Temp): string {
  return `t${id}:${type}`;
}

function registerText({ file, where }: RegisterRef, bytes: number): string {
  if (typeof where !== 'number') return `${file}[${where}].${bytes}`;
  const [size, index] = file === 'general' ? [8, where >> 3] : [16, where >> 4];
  const name = file === 'general' ? (GENERAL_NAMES[index] ?? `r${index}`) : `${file}${index}`;
  const inside = where % size;
  return `${name}${inside === 0 ? '' : `+${inside}`}.${bytes}`;
}

/** The field of the vCPU block that holds an offset. */
function stateText(offset: number): string {
  const [name, start] = Object.entries(VCPU.at).reduce((nearest, entry) =>
    entry[1] <= offset && entry[1] > nearest[1] ? entry : nearest,
  );
  return `state.${name}${start === offset ? '' : `+${offset - start}`}`;
}

function statementText(statement: Exclude<Statement, { kind: 'if' }>): string {
  switch (statement.kind) {
    case 'let':
      return `${defined(statement.temp)} = ${valueText(statement.value)}`;
    case 'assign':
      return `${defined(statement.temp)} := ${valueText(statement.value)}`;
    case 'readState': {
      const { temp, op, offset, index } = statement;
      const indexed = index === undefined ? '' : `[${valueText(index)}]`;
      return `${defined(temp)} = ${op} ${stateText(offset)}${indexed}`;
    }
    case 'writeState':
      return `${statement.op} ${stateText(statement.offset)} = ${valueText(statement.value)}`;
    case 'readRegister': {
      const { temp, register, bytes, signed } = statement;
      return `${defined(temp)} = ${registerText(register, bytes)}${signed ? ' signed' : ''}`;
    }
    case 'writeRegister':
      return `${registerText(statement.register, statement.bytes)} = ${valueText(statement.value)}`;
    case 'linear': {
      const { temp, segment, offset, bytes, access } = statement;
      const rights = `${access & SEGMENT_WRITE ? ' write' : ''}${access & SEGMENT_ALIGNED ? ' aligned' : ''}`;
      return `${defined(temp)} = linear.${bytes}${rights} ${place(segment, offset)}`;
    }
    case 'load': {
      const { temp, op, segment, linear, bytes } = statement;
      return `${defined(temp)} = load.${bytes} ${op} ${place(segment, linear)}`;
    }
    case 'store': {
      const { op, segment, linear, bytes, value } = statement;
      return `store.${bytes} ${op} ${place(segment, linear)} = ${valueText(value)}`;
    }
    case 'updateBegin': {
      const { host, old, linear, segment, bytes, signed, locked } = statement;
      const how = `${signed ? ' signed' : ''}${locked ? ' locked' : ''}`;
      return `${defined(host)}, ${defined(old)} = update.${bytes}${how} ${place(segment, linear)}`;
    }
    case 'updateEnd': {
      const { host, old, segment, bytes, value, locked } = statement;
      const how = locked ? ' locked' : '';
      return `updated.${bytes}${how} ${place(segment, host)} from ${valueText(old)} = ${valueText(value)}`;
    }
    case 'flags': {
      const { flagKind, result, a, b } = statement;
      const part = (name: string, value: Value | undefined): string =>
        value === undefined ? '' : ` ${name}=${valueText(value)}`;
      return `flags ${valueText(flagKind)}${part('result', result)}${part('a', a)}${part('b', b)}`;
    }
    case 'flagBits':
      return `flagBits ${number(statement.mask)}n = ${valueText(statement.bits)}`;
    case 'condition':
      return `${defined(statement.temp)} = condition ${statement.condition}`;
    case 'call': {
      const target = statement.temp === undefined ? '' : `${defined(statement.temp)} = `;
      return `${target}call ${statement.name}(${statement.args.map(valueText).join(', ')})`;
    }
    case 'raise':
      return `raise ${statement.vector}${statement.error === undefined ? '' : ` error ${valueText(statement.error)}`}`;
    case 'nextRip':
      return `${defined(statement.temp)} = nextRip`;
    case 'checkTarget':
    case 'branchTo':
      return `${statement.kind} ${valueText(statement.target)}`;
    case 'finish':
      return `finish ${valueText(statement.status)}`;
    case 'branch':
      return `branch${statement.condition === undefined ? '' : ` if ${valueText(statement.condition)}`}`;
    case 'fpuGate':
      return `fpuGate ${statement.blocked} ${statement.check}`;
    case 'checkBranch':
    case 'fence':
    case 'leave':
      return statement.kind;
  }
}

function place(segment: Value, address: Value): string {
  return `[${valueText(segment)}: ${valueText(address)}]`;
}
