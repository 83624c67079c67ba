/** The shape of a region's function: what its blocks do, how they follow each other, and where it is entered. */
import { Builder } from '../ir/builder.ts';
import type { Statement } from '../ir/ir.ts';
import { simplify } from '../ir/simplify.ts';
import type { Form } from '../isa/forms.ts';
import { describeInstruction } from '../isa/semantics/index.ts';
import { CORE_FUNCTIONS, type CoreName } from '../layout/core-abi.ts';
import { effectsOf } from './effects.ts';
import { MODE_CODE16, MODE_CODE_MASK } from '../layout/vcpu.ts';
import { keptRegisters, type KeptRegister } from './kept-registers.ts';
import { nestLoops, nodesOf, type Item } from './nesting.ts';
import type { RegionBlock } from './region.ts';
import { InstructionSite } from './site.ts';

export interface PlannedBlock extends RegionBlock {
  /** The statements of each instruction. */
  readonly bodies: readonly (readonly Statement[])[];
}

/**
 * Blocks that run one behind the other: only the first can be reached from elsewhere, so what is known at the end of
 * one is known at the start of the next.
 */
export interface Trace {
  readonly blocks: readonly PlannedBlock[];
  /** Number of the region's entry that leads here, or -1. */
  readonly entry: number;
  /** The loops of the region that it is part of, from the outermost. */
  readonly loops: readonly Loop[];
}

export interface Loop {
  /** Index of the trace that all branches back lead to; the first of `items`. */
  readonly head: number;
  readonly items: readonly (number | Loop)[];
  /** Other traces inside that are reached from outside: entries of the region, and targets of branches. */
  readonly landings: readonly number[];
  /** Registers in locals all around it; of a loop inside another, the same as that one's. */
  readonly kept: ReadonlyMap<string, KeptRegister>;
}

/** Indices of the traces in an item of the plan. */
export function tracesOf(item: number | Loop): readonly number[] {
  return typeof item === 'number' ? [item] : item.items.flatMap(tracesOf);
}

export interface Plan {
  /** In the order of emission. */
  readonly traces: readonly Trace[];
  /** Page offsets at which the region can be entered, by the number of the entry. */
  readonly entries: readonly number[];
  /** Index of the trace that starts at a page offset. */
  readonly heads: ReadonlyMap<number, number>;
  /** Traces and loops in the order of emission. */
  readonly items: readonly (number | Loop)[];
  /** By the index of a trace that is reached through the start of a loop: its number there, that of its entry if it is one. */
  readonly landings: ReadonlyMap<number, number>;
  /** By number of the entry: what it can reach without leaving the region. */
  readonly windows: readonly Window[];
  /** What leaves by an address that it computes may well come back: a call inside the page, or a jump table. */
  readonly comesBack: boolean;
}

/** Bytes [from, to) of the page, which have to lie in the code segment. */
export interface Window {
  readonly from: number;
  readonly to: number;
  /** A branch with a 16-bit operand leads inside: it may not wrap. */
  readonly below64K: boolean;
}

interface Exits {
  /** Offset of the direct branch's target. */
  readonly target: number | undefined;
  readonly isCall: boolean;
  readonly fallsThrough: boolean;
}

/** `wanted`: offsets of blocks at which the region has to be enterable, apart from those where it must be. */
export function planRegion(blocks: readonly RegionBlock[], mode: number, wanted: ReadonlySet<number>): Plan {
  const builder = new Builder();
  const planned = blocks.map((block): PlannedBlock => {
    const bodies = block.instructions.map((instruction) => {
      const { tail } = instruction;
      if (tail) {
        const { address, bytes, low, high } = tail;
        builder.status(
          'checkTail',
          builder.i32(address),
          builder.i32(bytes),
          builder.i64(low),
          builder.i64(high),
        );
      }
      describeInstruction(builder, new InstructionSite(instruction, mode));
      return simplify(builder.take(), () => builder.temp('i64'));
    });
    return { ...block, bodies };
  });
  const byOffset = new Map(planned.map((block) => [block.offset, block]));
  const exits = new Map(planned.map((block) => [block, exitsOf(block, mode)]));
  const next = (block: PlannedBlock): PlannedBlock[] => {
    const { target, fallsThrough } = exits.get(block)!;
    const found = [target, fallsThrough ? block.end : undefined].map((offset) => byOffset.get(offset ?? -1));
    return found.filter((successor) => successor !== undefined);
  };

  const predecessors = new Map<PlannedBlock, number>();
  const entered = new Set(planned.filter(({ offset }) => wanted.has(offset)));
  for (const block of planned) {
    const { target, isCall } = exits.get(block)!;
    const called = isCall ? byOffset.get(target ?? -1) : undefined;
    if (called) entered.add(called);
    for (const successor of next(block)) predecessors.set(successor, (predecessors.get(successor) ?? 0) + 1);
  }
  for (const block of planned) if (!predecessors.has(block)) entered.add(block);
  const reached = new Set<PlannedBlock>();
  const reach = (from: PlannedBlock): void => {
    const work = [from];
    for (let block = work.pop(); block; block = work.pop()) {
      if (reached.has(block)) continue;
      reached.add(block);
      work.push(...next(block));
    }
  };
  for (const block of entered) reach(block);
  for (const block of planned) {
    if (reached.has(block)) continue;
    entered.add(block);
    reach(block);
  }

  const placed = new Set<PlannedBlock>();
  const chains: PlannedBlock[][] = [];
  /** The block that control always comes to from `block` alone, behind its side exits. */
  const follower = (block: PlannedBlock): PlannedBlock | undefined => {
    const { target, fallsThrough } = exits.get(block)!;
    const successor = byOffset.get((fallsThrough ? block.end : target) ?? -1);
    const only = successor && !entered.has(successor) && predecessors.get(successor) === 1;
    return only && !placed.has(successor) ? successor : undefined;
  };
  const place = (head: PlannedBlock): void => {
    const chain: PlannedBlock[] = [];
    for (let block: PlannedBlock | undefined = head; block; block = follower(block)) {
      placed.add(block);
      chain.push(block);
    }
    chains.push(chain);
  };
  const continues = new Set(planned.map((block) => follower(block)).filter((block) => block !== undefined));
  for (const block of planned) if (!placed.has(block) && !continues.has(block)) place(block);
  // Circles that nothing leads into were made entries; what is left is behind a block that was placed by another.
  for (const block of planned) if (!placed.has(block)) place(block);

  const { items, order, edges } = arrange(chains, next);
  const heads = new Map(order.map((chain, i) => [chain[0]!.offset, i]));
  edges.forEach((targets, from) => {
    // The budget may end at any branch back: the region is entered there again.
    for (const to of targets) if (to <= from) entered.add(order[to]![0]!);
  });
  const entries: number[] = [];
  const entryOf = order.map(([head]) => (entered.has(head!) ? entries.push(head!.offset) - 1 : -1));
  const loopsOf: Loop[][] = order.map(() => []);
  const predecessorsOf: number[][] = order.map(() => []);
  edges.forEach((targets, from) => {
    for (const to of targets) predecessorsOf[to]!.push(from);
  });
  const landings = new Map<number, number>();
  const build = (item: Item, outside: Loop['kept'] | undefined): number | Loop => {
    if (typeof item === 'number') return item;
    const members = nodesOf(item);
    const inside = new Set(members);
    const isReached = (to: number): boolean =>
      entryOf[to]! >= 0 || predecessorsOf[to]!.some((from) => !inside.has(from));
    const landed = members.filter((member) => member !== item.head && isReached(member));
    for (const member of landed) {
      if (!landings.has(member)) landings.set(member, numberOf(member));
    }
    const kept =
      outside ?? keptRegisters(members.map((member) => order[member]!.flatMap(({ bodies }) => bodies)));
    const items = item.items.map((inner) => build(inner, kept));
    const loop = { head: item.head, items, landings: landed, kept };
    for (const member of members) loopsOf[member]!.unshift(loop);
    return loop;
  };
  let others = 0;
  const numberOf = (trace: number): number =>
    entryOf[trace]! >= 0 ? entryOf[trace]! : entries.length + others++;
  const hasJumpTable = (item: Item): boolean =>
    nodesOf(item).some((node) => order[node]!.some((block) => semanticsOf(block) === 'jmpTo'));
  // A jump table leads to anywhere in its loop: the start of the region is as good as that of the loop, and nearer.
  const dissolve = (item: Item): readonly Item[] =>
    typeof item !== 'number' && hasJumpTable(item) ? item.items.flatMap(dissolve) : [item];
  const built = items.flatMap(dissolve).map((item) => build(item, undefined));
  const traces = order.map((blocks, i): Trace => ({ blocks, entry: entryOf[i]!, loops: loopsOf[i]! }));
  const comesBack = planned.some((block) => {
    const semantics = semanticsOf(block);
    return semantics === 'jmpTo' || (semantics === 'call' && next(block).length > 0);
  });
  const windows = entries.map((offset) => windowFrom(byOffset.get(offset)!, next, mode));
  return { traces, entries, windows, heads, items: built, landings, comesBack };
}

interface Arranged {
  /** Indices are places in `order`. */
  readonly items: readonly Item[];
  readonly order: readonly (readonly PlannedBlock[])[];
  readonly edges: readonly (readonly number[])[];
}

/** An order of the traces' blocks in which branches lead back to the heads of loops alone. */
function arrange(
  chains: readonly (readonly PlannedBlock[])[],
  next: (block: PlannedBlock) => readonly PlannedBlock[],
): Arranged {
  const byOffset = new Map(chains.map((chain, i) => [chain[0]!.offset, i]));
  const edges = chains.map((chain) => {
    const targets = chain.flatMap((block) => next(block).map(({ offset }) => byOffset.get(offset)));
    return targets.filter((to) => to !== undefined);
  });
  const items = nestLoops(edges);
  const order = items.flatMap(nodesOf);
  const places = new Map(order.map((chain, place) => [chain, place]));
  const placed = (item: Item): Item =>
    typeof item === 'number'
      ? places.get(item)!
      : { head: places.get(item.head)!, items: item.items.map(placed) };
  return {
    items: items.map(placed),
    order: order.map((chain) => chains[chain]!),
    edges: order.map((chain) => edges[chain]!.map((to) => places.get(to)!)),
  };
}

/** What the last instruction of a block does. */
function semanticsOf(block: PlannedBlock): string {
  return block.instructions.at(-1)!.form.row.semantics;
}

function windowFrom(
  entry: PlannedBlock,
  next: (block: PlannedBlock) => readonly PlannedBlock[],
  mode: number,
): Window {
  const reached = new Set([entry]);
  // A set's iteration goes on over what is added meanwhile.
  for (const block of reached) for (const successor of next(block)) reached.add(successor);
  const blocks = [...reached];
  const is16 = (mode & MODE_CODE_MASK) === MODE_CODE16;
  return {
    from: Math.min(...blocks.map(({ offset }) => offset)),
    to: Math.max(...blocks.map(({ end }) => end)),
    below64K: is16 && blocks.some(({ instructions }) => instructions.at(-1)!.form.operandBits === 16),
  };
}

/** Whether the direct branch of a form goes to its `disp` in the page, or wraps its target to 16 bits. */
export function staysInPage({ operandBits }: Form, mode: number): boolean {
  // In 16-bit code each entry of a region makes sure that nothing inside wraps.
  return operandBits !== 16 || (mode & MODE_CODE_MASK) === MODE_CODE16;
}

function exitsOf(block: PlannedBlock, mode: number): Exits {
  const last = block.bodies.at(-1) ?? [];
  const { form, disp } = block.instructions.at(-1)!;
  const branch = findBranch(last);
  const conditional = branch !== undefined && branch.kind === 'branch' && branch.condition !== undefined;
  const target = branch && staysInPage(form, mode) ? disp : undefined;
  return {
    target,
    isCall: branch !== undefined && form.row.semantics === 'call',
    fallsThrough: conditional || !ends(last),
  };
}

function findBranch(list: readonly Statement[]): Statement | undefined {
  const last = list.at(-1);
  return last?.kind === 'branch' ? last : undefined;
}

/** Whether control never reaches the end of these statements. */
export function ends(list: readonly Statement[]): boolean {
  const last = list.at(-1);
  switch (last?.kind) {
    case 'branch':
      return last.condition === undefined;
    case 'branchTo':
    case 'leave':
    case 'raise':
      return true;
    case 'call':
      return isTerminal(last.name as CoreName);
    default:
      return false;
  }
}

/** A function of the core that never lets its instruction fall through. */
export function isTerminal(name: CoreName): boolean {
  return CORE_FUNCTIONS[name].result === 'status' && effectsOf(name).terminal;
}

export function setsFlags(list: readonly Statement[]): boolean {
  return list.some((statement) => {
    if (statement.kind === 'if') return setsFlags(statement.yes) || setsFlags(statement.no);
    if (statement.kind === 'call') return effectsOf(statement.name as CoreName).writesFlags;
    return statement.kind === 'flags' || statement.kind === 'flagBits';
  });
}

/**
 * What happens to flags that are not in memory: a fault may show them, they are stored or replaced, or neither.
 * Leaving the region and calling what looks at flags store them.
 */
export function faultFate(list: readonly Statement[]): 'fault' | 'settled' | 'kept' {
  for (const statement of list) {
    switch (statement.kind) {
      case 'flags':
      case 'flagBits':
      case 'branchTo':
      case 'leave':
        return 'settled';
      case 'let':
      case 'assign':
      case 'condition':
      case 'readState':
      case 'writeState':
      case 'readRegister':
      case 'writeRegister':
      case 'nextRip':
      case 'checkBranch':
      case 'branch':
      case 'fence':
        break;
      case 'if': {
        const fates = [faultFate(statement.yes), faultFate(statement.no)];
        if (fates.includes('fault')) return 'fault';
        break;
      }
      case 'call': {
        const { readsFlags, writesFlags } = effectsOf(statement.name as CoreName);
        if (readsFlags || writesFlags) return 'settled';
        if (CORE_FUNCTIONS[statement.name as CoreName].result !== 'value') return 'fault';
        break;
      }
      default:
        return 'fault';
    }
  }
  return 'kept';
}

/** What comes first in these statements: all flags are replaced, or somebody may look at them. */
export function flagsFate(list: readonly Statement[]): 'replaced' | 'seen' | 'kept' {
  for (const statement of list) {
    switch (statement.kind) {
      case 'flags':
        return 'replaced';
      case 'let':
      case 'assign':
      case 'readState':
      case 'writeState':
      case 'readRegister':
      case 'writeRegister':
      case 'nextRip':
      case 'checkBranch':
      case 'fence':
        break;
      case 'if':
        if (flagsFate(statement.yes) !== 'kept' || flagsFate(statement.no) !== 'kept') return 'seen';
        break;
      default:
        return 'seen';
    }
  }
  return 'kept';
}
