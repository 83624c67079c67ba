/** The fields of the settings: each shows a value, and tells when the user has chosen another. */
import { element } from '../dom.ts';

export interface Control<T> {
  readonly node: HTMLElement;
  show(value: T): void;
  setDisabled(disabled: boolean): void;
}

export interface Choice<T extends string> {
  readonly value: T;
  readonly label: string;
}

let count = 0;

export function freshId(prefix: string): string {
  return `${prefix}-${++count}`;
}

/** A few choices side by side. */
export function segments<T extends string>(
  label: string,
  choices: readonly Choice<T>[],
  onChange: (value: T) => void,
): Control<T> {
  const name = freshId('segments');
  const inputs = choices.map(({ value }) => {
    const input = element('input', { type: 'radio', name, value, class: 'visually-hidden' });
    input.addEventListener('change', () => {
      if (input.checked) onChange(value);
    });
    return input;
  });
  const node = element(
    'div',
    { class: 'segments', role: 'radiogroup', 'aria-label': label },
    ...choices.map((choice, index) =>
      element('label', { class: 'segment' }, inputs[index]!, element('span', {}, choice.label)),
    ),
  );
  return {
    node,
    show: (value) => {
      for (const [index, choice] of choices.entries()) inputs[index]!.checked = choice.value === value;
    },
    setDisabled: (disabled) => {
      for (const input of inputs) input.disabled = disabled;
    },
  };
}

export function select<T extends string>(
  label: string,
  choices: readonly Choice<T>[],
  onChange: (value: T) => void,
): Control<T> {
  const node = element(
    'select',
    { class: 'field field-select', 'aria-label': label },
    ...choices.map(({ value, label: text }) => element('option', { value }, text)),
  );
  node.addEventListener('change', () => onChange(node.value as T));
  return {
    node,
    show: (value) => {
      node.value = value;
    },
    setDisabled: (disabled) => {
      node.disabled = disabled;
    },
  };
}

export interface NumberOptions {
  readonly label: string;
  readonly minimum: number;
  readonly maximum: number;
  readonly unit?: string;
}

/** Takes effect when the field is left or Enter is pressed; what is out of range goes back to what was there. */
export function number(
  { label, minimum, maximum, unit }: NumberOptions,
  onChange: (value: number) => void,
): Control<number> {
  const input = element('input', {
    type: 'number',
    class: 'field field-number',
    inputmode: 'numeric',
    min: String(minimum),
    max: String(maximum),
    step: '1',
    'aria-label': unit === undefined ? label : `${label} in ${unit}`,
  });
  let shown = minimum;
  input.addEventListener('change', () => {
    const value = Number(input.value);
    if (Number.isInteger(value) && value >= minimum && value <= maximum) {
      shown = value;
      onChange(value);
    } else input.value = String(shown);
  });
  return {
    node: element('span', { class: 'field-with-unit' }, input, ...(unit === undefined ? [] : [unit])),
    show: (value) => {
      shown = value;
      input.value = String(value);
    },
    setDisabled: (disabled) => {
      input.disabled = disabled;
    },
  };
}

/** A line of text; it stays as the user wrote it until another value is shown. */
export function line(label: string, placeholder: string, onChange: (value: string) => void): Control<string> {
  const node = element('input', {
    class: 'field',
    spellcheck: 'false',
    autocomplete: 'off',
    'aria-label': label,
    placeholder,
  });
  node.addEventListener('change', () => onChange(node.value.trim()));
  return {
    node,
    show: (value) => {
      node.value = value;
    },
    setDisabled: (disabled) => {
      node.disabled = disabled;
    },
  };
}

/** Several lines on the screen, one line as a value. */
export function text(label: string, placeholder: string, onChange: (value: string) => void): Control<string> {
  const node = element('textarea', {
    class: 'field',
    rows: '2',
    spellcheck: 'false',
    autocomplete: 'off',
    'aria-label': label,
    placeholder,
  });
  node.addEventListener('change', () => onChange(node.value.replaceAll(/\s*\n\s*/g, ' ').trim()));
  return {
    node,
    show: (value) => {
      node.value = value;
    },
    setDisabled: (disabled) => {
      node.disabled = disabled;
    },
  };
}
