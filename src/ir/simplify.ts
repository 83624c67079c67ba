/**
 * Simplifies the statements of one instruction for translated code: what only the low bits of are wanted is computed
 * without extensions, what only the flags want moves into them (they are mostly never evaluated), and what nobody
 * wants any more goes.
 */
import type { Statement, Temp, Value } from './ir.ts';

/** Operators in a value that is worth computing a second time. */
const MAX_COPIED = 6;

/** Operators whose low bits depend on the same low bits of their operands only. */
const LOW_BITS = new Set(['i64.add', 'i64.sub', 'i64.mul', 'i64.and', 'i64.or', 'i64.xor']);
const EXTENSIONS: Readonly<Record<string, number>> = {
  'i64.extend8_s': 8,
  'i64.extend16_s': 16,
  'i64.extend32_s': 32,
};

export interface Pass {
  readonly name: string;
  /** `newTemp` gives an i64 temporary that nothing else uses. */
  readonly run: (list: readonly Statement[], newTemp: () => Temp) => Statement[];
}

/** In their order; tools show what each of them does. */
export const PASSES: readonly Pass[] = [
  {
    name: 'low bits and flags',
    run: (list, newTemp) => rewrite(list, new Map(), new Set(variablesOf(list)), newTemp),
  },
  { name: 'unused values', run: dropUnused },
];

export function simplify(list: readonly Statement[], newTemp: () => Temp): readonly Statement[] {
  return PASSES.reduce((statements, { run }) => run(statements, newTemp), list);
}

/** Values of temporaries that may be computed anew wherever the temporary is known. */
type Definitions = Map<number, Value>;

function rewrite(
  list: readonly Statement[],
  definitions: Definitions,
  variables: ReadonlySet<number>,
  newTemp: () => Temp,
): Statement[] {
  const out: Statement[] = [];
  for (const statement of list) {
    switch (statement.kind) {
      case 'readRegister': {
        const { register, bytes, signed, temp } = statement;
        const { where } = register;
        if (register.file === 'general' && typeof where === 'number' && where % 8 === 0 && bytes < 8) {
          const whole = newTemp();
          out.push({ ...statement, bytes: 8, signed: false, temp: whole });
          const value = part(whole, bytes * 8, signed);
          definitions.set(temp.id, value);
          out.push({ kind: 'let', temp, value });
          break;
        }
        out.push(statement);
        break;
      }
      case 'let':
        if (isPure(statement.value, variables)) definitions.set(statement.temp.id, statement.value);
        out.push(statement);
        break;
      case 'if':
        out.push({
          ...statement,
          yes: rewrite(statement.yes, new Map(definitions), variables, newTemp),
          no: rewrite(statement.no, new Map(definitions), variables, newTemp),
        });
        break;
      case 'writeRegister':
        out.push(
          statement.register.file === 'general' && statement.bytes < 8
            ? { ...statement, value: lowPart(statement.value, statement.bytes * 8, definitions) }
            : statement,
        );
        break;
      case 'store':
        out.push(
          statement.bytes < 8 && statement.value.type === 'i64'
            ? { ...statement, value: lowPart(statement.value, statement.bytes * 8, definitions) }
            : statement,
        );
        break;
      case 'flags': {
        const { result, a, b } = statement;
        const sunk = (value: Value | undefined): Value | undefined => value && sink(value, definitions);
        out.push({ ...statement, result: sunk(result), a: sunk(a), b: sunk(b) });
        break;
      }
      case 'flagBits':
        out.push({ ...statement, bits: sink(statement.bits, definitions) });
        break;
      default:
        out.push(statement);
    }
  }
  return out;
}

/** The low bits of a 64-bit value, extended. */
function part(value: Value, bits: number, signed: boolean): Value {
  if (signed) return { kind: 'op', type: 'i64', op: `i64.extend${bits}_s`, args: [value] };
  const mask: Value = { kind: 'const', type: 'i64', value: (1n << BigInt(bits)) - 1n };
  return { kind: 'op', type: 'i64', op: 'i64.and', args: [value, mask] };
}

/** Whether a value is of temporaries that have one value each. */
function isPure(value: Value, variables: ReadonlySet<number>): boolean {
  if (value.kind === 'op') return value.args.every((arg) => isPure(arg, variables));
  return value.kind !== 'field' && !(value.kind === 'temp' && variables.has(value.id));
}

/** Temporaries that are assigned, by id: they have different values at different times. */
export function variablesOf(list: readonly Statement[]): number[] {
  return list.flatMap((statement) => {
    if (statement.kind === 'if') return [...variablesOf(statement.yes), ...variablesOf(statement.no)];
    return statement.kind === 'assign' ? [statement.temp.id] : [];
  });
}

function size(value: Value): number {
  return value.kind === 'op' ? value.args.reduce((sum, arg) => sum + size(arg), 1) : 0;
}

/** Another value with the same low bits, with fewer operators on the way if there is one. */
function lowPart(value: Value, bits: number, definitions: Definitions): Value {
  const low = narrow(value, bits, definitions);
  return size(low) <= MAX_COPIED ? low : value;
}

function narrow(value: Value, bits: number, definitions: Definitions): Value {
  if (value.kind === 'temp') {
    const definition = definitions.get(value.id);
    if (!definition) return value;
    const low = narrow(definition, bits, definitions);
    return size(low) <= MAX_COPIED ? low : value;
  }
  if (value.kind !== 'op') return value;
  const [first, second] = value.args;
  if ((EXTENSIONS[value.op] ?? 0) >= bits) return narrow(first!, bits, definitions);
  if (value.op === 'i64.and' && second?.kind === 'const') {
    const mask = (1n << BigInt(bits)) - 1n;
    if ((second.value & mask) === mask) return narrow(first!, bits, definitions);
  }
  if (LOW_BITS.has(value.op))
    return { ...value, args: value.args.map((arg) => narrow(arg, bits, definitions)) };
  if (value.op === 'i64.shl' && second?.kind === 'const')
    return { ...value, args: [narrow(first!, bits, definitions), second] };
  return value;
}

/** The value with the definitions of its temporaries in it, as far as that is worth it. */
function sink(value: Value, definitions: Definitions): Value {
  const expanded = expand(value, definitions);
  return size(expanded) <= MAX_COPIED ? expanded : value;
}

function expand(value: Value, definitions: Definitions): Value {
  if (value.kind === 'temp') {
    const definition = definitions.get(value.id);
    if (!definition) return value;
    const expanded = expand(definition, definitions);
    return size(expanded) <= MAX_COPIED ? expanded : value;
  }
  if (value.kind !== 'op') return value;
  return { ...value, args: value.args.map((arg) => expand(arg, definitions)) };
}

/** Leaves out what computes temporaries that nothing reads. */
function dropUnused(list: readonly Statement[]): Statement[] {
  const used = new Set<number>();
  const visit = (value: Value | undefined): void => {
    if (value?.kind === 'temp') used.add(value.id);
    else if (value?.kind === 'op') value.args.forEach(visit);
  };
  const sweep = (statements: readonly Statement[]): Statement[] => {
    const kept: Statement[] = [];
    for (const statement of statements.toReversed()) {
      if ((statement.kind === 'let' || statement.kind === 'readRegister') && !used.has(statement.temp.id))
        continue;
      if (statement.kind === 'if') {
        const no = sweep(statement.no);
        const yes = sweep(statement.yes);
        visit(statement.condition);
        kept.push({ ...statement, yes, no });
        continue;
      }
      for (const value of valuesOf(statement)) visit(value);
      kept.push(statement);
    }
    return kept.toReversed();
  };
  return sweep(list);
}

/** The values that a statement other than an `if` reads. */
function valuesOf(statement: Statement): (Value | undefined)[] {
  switch (statement.kind) {
    case 'let':
    case 'assign':
    case 'writeState':
    case 'writeRegister':
      return [statement.value];
    case 'readState':
      return [statement.index];
    case 'linear':
      return [statement.segment, statement.offset];
    case 'load':
    case 'updateBegin':
      return [statement.linear, statement.segment];
    case 'store':
      return [statement.linear, statement.segment, statement.value];
    case 'updateEnd':
      return [statement.host, statement.old, statement.segment, statement.value];
    case 'flags':
      return [statement.flagKind, statement.result, statement.a, statement.b];
    case 'flagBits':
      return [statement.bits];
    case 'call':
      return [...statement.args];
    case 'raise':
      return [statement.error];
    case 'checkTarget':
    case 'branchTo':
      return [statement.target];
    case 'finish':
      return [statement.status];
    case 'branch':
      return [statement.condition];
    default:
      return [];
  }
}
