/** An order of a graph's nodes in which every edge back leads to the head of a loop that it stands in. */

export interface LoopNest {
  /** The node that edges back lead to; the first of `items`. */
  readonly head: number;
  readonly items: readonly Item[];
}

export type Item = number | LoopNest;

/**
 * A weak topological order (Bourdoncle, Efficient chaotic iteration strategies with widenings, FMPA 1993): loops in loops, and
 * the nodes in none of them. `edges`: successors of each node. What is left for last among a node's successors stands next to it.
 */
export function nestLoops(edges: readonly (readonly number[])[]): readonly Item[] {
  const FINISHED = Infinity;
  const numbers = edges.map(() => 0);
  const stack: number[] = [];
  let count = 0;
  const visit = (node: number, order: Item[]): number => {
    stack.push(node);
    const own = ++count;
    numbers[node] = own;
    let lowest = own;
    let isHead = false;
    for (const to of edges[node]!) {
      const reached = numbers[to] === 0 ? visit(to, order) : numbers[to]!;
      if (reached > lowest) continue;
      lowest = reached;
      isHead = true;
    }
    if (lowest !== own) return lowest;
    const members = stack.splice(stack.indexOf(node));
    numbers[node] = FINISHED;
    if (!isHead) {
      order.unshift(node);
      return lowest;
    }
    // Without its head the loop is looked at anew: what still goes round is a loop inside.
    for (const member of members) if (member !== node) numbers[member] = 0;
    const inside: Item[] = [];
    for (const to of edges[node]!) if (numbers[to] === 0) visit(to, inside);
    order.unshift({ head: node, items: [node, ...inside] });
    return lowest;
  };
  const order: Item[] = [];
  for (let node = 0; node < edges.length; node++) if (numbers[node] === 0) visit(node, order);
  return order;
}

/** The nodes of an item, in order. */
export function nodesOf(item: Item): readonly number[] {
  return typeof item === 'number' ? [item] : item.items.flatMap(nodesOf);
}
