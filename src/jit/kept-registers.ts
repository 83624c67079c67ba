/** The registers that stay in locals all around a loop of a region. */
import type { Statement, Type } from '../ir/ir.ts';
import { REG_PAGE_RIP, VCPU } from '../layout/vcpu.ts';

export interface KeptRegister {
  /** `general3` for RBX, `xmm16 f64` for the low half of XMM1. */
  readonly key: string;
  /** Offset in the vCPU block. */
  readonly offset: number;
  readonly type: Type;
}

export function generalKey(number: number): string {
  return `general${number}`;
}

/** `where`: byte offset in the file of XMM registers. */
export function vectorKey(where: number, type: Type): string {
  return `xmm${where} ${type}`;
}

/** Statements of a trace: those of each instruction. */
type Bodies = readonly (readonly Statement[])[];

/** Those of a loop of these traces, by `key`: registers whose contents come from outside of some of them. */
export function keptRegisters(traces: readonly Bodies[]): ReadonlyMap<string, KeptRegister> {
  const kept = [...keptGeneral(traces), ...keptVectors(traces)];
  return new Map(kept.map((register) => [register.key, register]));
}

/** One look at a register. */
interface Use {
  readonly number: number;
  /** It needs what was there before: it reads, or leaves a part as it is. */
  readonly needs: boolean;
  /** Nothing of what was there before is left. */
  readonly replaces: boolean;
}

/** Registers that one of these traces needs before it has replaced them. */
function comingIn(
  traces: readonly Bodies[],
  useOf: (statement: Statement) => Use | undefined,
): ReadonlySet<number> {
  const needed = new Set<number>();
  for (const bodies of traces) {
    const replaced = new Set<number>();
    const scan = (list: readonly Statement[], always: boolean): void => {
      for (const statement of list) {
        if (statement.kind === 'if') {
          scan(statement.yes, false);
          scan(statement.no, false);
          continue;
        }
        const use = useOf(statement);
        if (use?.needs && !replaced.has(use.number)) needed.add(use.number);
        if (use?.replaces && always) replaced.add(use.number);
      }
    };
    for (const body of bodies) scan(body, true);
  }
  return needed;
}

function keptGeneral(traces: readonly Bodies[]): KeptRegister[] {
  const needed = comingIn(traces, (statement) => {
    if (statement.kind !== 'readRegister' && statement.kind !== 'writeRegister') return undefined;
    const { file, where } = statement.register;
    if (file !== 'general' || typeof where !== 'number' || where >> 3 === REG_PAGE_RIP) return undefined;
    const replaces = statement.kind === 'writeRegister' && statement.bytes >= 4;
    return { number: where >> 3, needs: !replaces, replaces };
  });
  return Array.from(needed, (number) => ({
    key: generalKey(number),
    offset: VCPU.at.regs + number * 8,
    type: 'i64',
  }));
}

interface VectorAccess {
  /** Byte offset of the register in the file. */
  readonly register: number;
  readonly writes: boolean;
  /** The view of the register that is read or written, or undefined if it is another part. */
  readonly view: Type | undefined;
}

function vectorAccess(statement: Statement): VectorAccess | undefined {
  if (statement.kind !== 'readRegister' && statement.kind !== 'writeRegister') return undefined;
  const { file, where } = statement.register;
  if (file !== 'xmm' || typeof where !== 'number') return undefined;
  const { type } = statement.kind === 'readRegister' ? statement.temp : statement.value;
  const isView = where % 16 === 0 && (type === 'f64' || type === 'f32' || statement.bytes === 16);
  return {
    register: where & ~15,
    writes: statement.kind === 'writeRegister',
    view: isView ? type : undefined,
  };
}

/**
 * XMM registers by the one way in which they are looked at: as a number in the low part, or as a whole. What is written in
 * other parts (MOVHPS, PINSRW) is not kept.
 */
function keptVectors(traces: readonly Bodies[]): KeptRegister[] {
  const views = new Map<number, Set<Type>>();
  const inParts = new Set<number>();
  const look = (list: readonly Statement[]): void => {
    for (const statement of list) {
      if (statement.kind === 'if') {
        look(statement.yes);
        look(statement.no);
      }
      const access = vectorAccess(statement);
      if (!access) continue;
      const { register, writes, view } = access;
      if (writes && view === undefined) inParts.add(register);
      // Writing all of it fits every view.
      if (view === undefined || (writes && view === 'v128')) continue;
      views.set(register, (views.get(register) ?? new Set<Type>()).add(view));
    }
  };
  for (const bodies of traces) for (const body of bodies) look(body);
  const typeOf = (register: number): Type => {
    const [view, other] = views.get(register) ?? [];
    return view !== undefined && other === undefined ? view : 'v128';
  };
  const needed = comingIn(traces, (statement) => {
    const access = vectorAccess(statement);
    if (!access || access.view === undefined || !views.has(access.register)) return undefined;
    const replaces = access.writes && (access.view === 'v128' || access.view === typeOf(access.register));
    return { number: access.register, needs: !replaces, replaces };
  });
  return [...needed]
    .filter((register) => !inParts.has(register))
    .map((register) => {
      const type = typeOf(register);
      return { key: vectorKey(register, type), offset: VCPU.at.xmm + register, type };
    });
}
