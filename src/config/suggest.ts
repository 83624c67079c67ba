/** The name that someone may have meant. */
export function closest(wrong: string, names: readonly string[]): string | undefined {
  const limit = wrong.length <= 4 ? 1 : 2;
  let best: string | undefined;
  let bestDistance = limit + 1;
  for (const name of names) {
    const distance = editDistance(wrong, name);
    if (distance < bestDistance) [best, bestDistance] = [name, distance];
  }
  return (
    best ?? names.find((name) => wrong.length >= 3 && (name.startsWith(wrong) || wrong.startsWith(name)))
  );
}

/** Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let previous: number[] = [];
  let current = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = current[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      let cost = Math.min(current[j]! + 1, next[j - 1]! + 1, substitution);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        cost = Math.min(cost, previous[j - 2]! + 1);
      next.push(cost);
    }
    [previous, current] = [current, next];
  }
  return current[b.length]!;
}
