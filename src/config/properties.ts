/** QEMU's `key=value,key=value` lists. A comma inside a value is written twice. */
import { success } from '../base/result.ts';
import type { Result } from '../base/result.ts';
import { configError } from './config-error.ts';
import type { ConfigError } from './config-error.ts';
import { parseSize } from './size.ts';
import { closest } from './suggest.ts';

export interface Property<T> {
  readonly name: string;
  /** Placeholder, for messages: `on|off`. */
  readonly value: string;
  /** Undefined: not a value that the property takes. */
  readonly apply: (target: T, value: string) => T | undefined;
}

/** Splits at commas; two of them are one inside a value. */
export function splitList(text: string): string[] {
  return text.split(/(?<!,),(?!,)/).map((part) => part.replaceAll(',,', ','));
}

export function escapeValue(text: string): string {
  return text.replaceAll(',', ',,');
}

/** `parts` as they come out of `splitList`; `what` names the thing that has the properties. */
export function applyProperties<T>(
  target: T,
  parts: readonly string[],
  properties: readonly Property<T>[],
  shown: string,
  what: string,
): Result<T, ConfigError> {
  let result = target;
  for (const part of parts) {
    const at = part.indexOf('=');
    const name = at < 0 ? part : part.slice(0, at);
    const property = properties.find((candidate) => candidate.name === name);
    if (property === undefined) return unknown(name, properties, shown, what);
    // QEMU's short form of a switch.
    const value = at < 0 && property.value.startsWith('on|') ? 'on' : at < 0 ? '' : part.slice(at + 1);
    const applied = property.apply(result, value);
    if (applied === undefined) {
      return configError(
        shown,
        `${shown}: "${part}" is not a value that ${name} of ${what} takes.`,
        `Write it as ${name}=${property.value}.`,
      );
    }
    result = applied;
  }
  return success(result);
}

function unknown<T>(
  name: string,
  properties: readonly Property<T>[],
  shown: string,
  what: string,
): Result<never, ConfigError> {
  const names = properties.map((property) => property.name);
  const guess = closest(name, names);
  return configError(
    shown,
    `${shown}: ${what} has no property "${name}".`,
    guess === undefined ? `It has ${names.join(', ')}.` : `Did you mean ${guess}?`,
  );
}

const TRUE = ['on', 'yes', 'true', 'y'];
const FALSE = ['off', 'no', 'false', 'n'];

export interface Range {
  readonly from: number;
  readonly to: number;
  readonly powerOfTwo?: boolean;
}

/** The kinds of properties of a `T`: each `set` says what a value changes. */
export class PropertyKinds<T extends object> {
  text(name: string, value: string, set: (value: string) => Partial<T>): Property<T> {
    return {
      name,
      value,
      apply: (target, given) => (given === '' ? undefined : { ...target, ...set(given) }),
    };
  }

  choice<V extends string>(name: string, values: readonly V[], set: (value: V) => Partial<T>): Property<T> {
    return {
      name,
      value: values.join('|'),
      apply: (target, given) => {
        const value = values.find((candidate) => candidate === given);
        return value === undefined ? undefined : { ...target, ...set(value) };
      },
    };
  }

  flag(name: string, set: (value: boolean) => Partial<T>): Property<T> {
    return {
      name,
      value: 'on|off',
      apply: (target, given) => {
        const value = TRUE.includes(given) ? true : FALSE.includes(given) ? false : undefined;
        return value === undefined ? undefined : { ...target, ...set(value) };
      },
    };
  }

  whole(name: string, range: Range, set: (value: number) => Partial<T>): Property<T> {
    return {
      name,
      value: `${range.from}..${range.to}${range.powerOfTwo === true ? ', a power of two' : ''}`,
      apply: (target, given) => {
        const value = wholeNumber(given);
        if (value === undefined || value < range.from || value > range.to) return undefined;
        if (range.powerOfTwo === true && (value & (value - 1)) !== 0) return undefined;
        return { ...target, ...set(value) };
      },
    };
  }

  size(name: string, set: (bytes: number) => Partial<T>): Property<T> {
    return {
      name,
      value: 'SIZE (512M, 4G)',
      apply: (target, given) => {
        const bytes = parseSize(given);
        return bytes === undefined || bytes === 0 ? undefined : { ...target, ...set(bytes) };
      },
    };
  }
}

/** Decimal, or hexadecimal with 0x. */
export function wholeNumber(given: string): number | undefined {
  return /^(\d+|0x[\da-f]+)$/i.test(given) ? Number(given) : undefined;
}
