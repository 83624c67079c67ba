/**
 * A configuration in the address of the page, with the names of the command line: `?m=1G&append=console%3DttyS0&no-reboot`.
 * Options without a value count as given when they are there, unless their value is `0`, `no`, `off` or `false`.
 */
import { success } from '../base/result.ts';
import type { Result } from '../base/result.ts';
import { configError } from './config-error.ts';
import type { ConfigError } from './config-error.ts';
import { checkHardware } from './device-options.ts';
import { NOT_YET, OPTIONS } from './options.ts';
import type { Draft } from './options.ts';
import { complete, isNamed } from './qemu-options.ts';
import { closest } from './suggest.ts';
import type { VmConfig } from './vm-config.ts';

/** What URLSearchParams iterates over. */
export type SearchParameters = Iterable<readonly [name: string, value: string]>;

/** `ignored`: parameters that are somebody else's. */
export function parseUrl(
  parameters: SearchParameters,
  ignored: readonly string[] = [],
): Result<VmConfig, ConfigError> {
  let draft: Draft = {};
  for (const [name, value] of parameters) {
    if (ignored.includes(name)) continue;
    const option = OPTIONS.find((candidate) => isNamed(candidate, name));
    if (option === undefined) return unknownParameter(name);
    if (option.value === undefined && /^(0|no|off|false)$/i.test(value)) continue;
    const applied = option.apply(draft, value, name);
    if (!applied.ok) return applied;
    draft = applied.value;
  }
  const config = complete(draft);
  const checked = checkHardware(config, '');
  return checked.ok ? success(config) : checked;
}

/** The query string, without the question mark, that gives `config` again; empty for the default. */
export function toUrlQuery(config: VmConfig): string {
  const defaults = complete({});
  return OPTIONS.flatMap((option) => {
    const values = option.print(config);
    if (JSON.stringify(values) === JSON.stringify(option.print(defaults))) return [];
    return values.map((value) =>
      option.value === undefined ? option.name : `${option.name}=${encodeURIComponent(value)}`,
    );
  }).join('&');
}

function unknownParameter(name: string): Result<never, ConfigError> {
  const notYet = NOT_YET[name];
  if (notYet !== undefined) {
    return configError(
      name,
      `The address of the page asks for "${name}": ${notYet}.`,
      'Remove it from the address.',
    );
  }
  const guess = closest(
    name,
    OPTIONS.map((option) => option.name),
  );
  return configError(
    name,
    `The address of the page has a parameter "${name}" that does not exist.`,
    guess === undefined
      ? 'Remove it from the address.'
      : `Did you mean "${guess}"? Change it in the address.`,
  );
}
