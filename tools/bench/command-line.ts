/** What the subcommands of `npm run bench` share. */

export const log = (line: string): void => console.error(line);

export function fail(message: string): never {
  log(`bench: ${message}`);
  process.exit(2);
}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The items that were named, or all. */
export function choose<T extends { readonly id: string }>(
  items: readonly T[],
  names: string | undefined,
): readonly T[] {
  if (names === undefined) return items;
  return names.split(',').map((name) => {
    const found = items.find(({ id }) => id === name);
    return found ?? fail(`there is no "${name}". There are: ${items.map(({ id }) => id).join(', ')}.`);
  });
}

export function readCount(option: string, text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1) fail(`--${option} ${text}: not a number.`);
  return count;
}

export function readSeconds(option: string, text: string): number {
  const seconds = Number(text);
  if (!(seconds >= 0)) fail(`--${option} ${text}: not a number of seconds.`);
  return seconds;
}
