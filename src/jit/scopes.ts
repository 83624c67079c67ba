/** Where control goes inside a region's function: blocks in front of traces and loops, and how one trace gets to another. */
import type { Code, Label } from '../wasmgen/code.ts';
import type { Loop, Plan } from './plan.ts';

/** What `next` is on the way to a loop's head: no landing has that number. */
const NEXT_HEAD = -1;

export interface Way {
  readonly label: Label;
  /** What `next` has to be there. */
  readonly next: number | undefined;
  readonly isBack: boolean;
}

type Item = number | Loop;

export class Scopes {
  readonly #header: Label | undefined;
  readonly #code: Code;
  readonly #plan: Plan;
  /** Local that selects a trace at the start of the region or of a loop. */
  readonly #next: number;
  /** Ends in front of the item: open until it is emitted. */
  readonly #fronts = new Map<Item, Label>();
  /** Of the loops that are open. */
  readonly #starts = new Map<Loop, Label>();

  /** `header`: the loop around everything, if there is one. */
  constructor(code: Code, plan: Plan, next: number, header: Label | undefined) {
    this.#header = header;
    this.#code = code;
    this.#plan = plan;
    this.#next = next;
  }

  front(item: Item): Label {
    return this.#fronts.get(item)!;
  }

  /** Opens the block in front of an item: the last one first. */
  open(item: Item): void {
    this.#fronts.set(item, this.#code.block());
  }

  /** Emits an item that was opened. */
  emit(item: Item, emitTrace: (trace: number) => void): void {
    const code = this.#code;
    code.end();
    if (typeof item === 'number') {
      emitTrace(item);
      return;
    }
    this.#starts.set(item, code.loop());
    const { head, items, landings } = item;
    const reached = landings.length > 0 ? items : items.slice(1);
    for (const inner of reached.toReversed()) this.open(inner);
    if (landings.length > 0) this.#select(item);
    else emitTrace(head);
    for (const inner of reached) this.emit(inner, emitTrace);
    code.end().unreachable();
  }

  /**
   * How a trace goes to another. The order of emission has all branches back lead to the head of a loop around them, unless
   * that was dissolved: then they lead to an entry by way of the region's start.
   */
  way(from: number, to: number): Way {
    const around = this.#plan.traces[from]!.loops;
    const target = this.#plan.traces[to]!.loops;
    const back = around.find(({ head }) => head === to);
    if (back) return { label: this.#starts.get(back)!, next: this.#nextOfHead(back), isBack: true };
    if (to <= from) return { label: this.#header!, next: this.#plan.traces[to]!.entry, isBack: true };
    const entered = target.find((loop) => !around.includes(loop));
    if (!entered) return { label: this.front(to), next: undefined, isBack: false };
    const next = entered.head === to ? this.#nextOfHead(entered) : this.#plan.landings.get(to);
    return { label: this.front(entered), next, isBack: false };
  }

  #nextOfHead({ landings }: Loop): number | undefined {
    return landings.length > 0 ? NEXT_HEAD : undefined;
  }

  #select({ head, items, landings }: Loop): void {
    const code = this.#code;
    const targets: Label[] = [];
    for (const trace of landings) {
      // The loop or trace of this loop that has it.
      const { loops } = this.#plan.traces[trace]!;
      const item = items.find((inner) =>
        typeof inner === 'number' ? inner === trace : loops.includes(inner),
      );
      targets[this.#plan.landings.get(trace)!] = this.front(item!);
    }
    const start = this.front(head);
    code.get(this.#next).brTable(
      Array.from(targets, (target) => target ?? start),
      start,
    );
  }
}
