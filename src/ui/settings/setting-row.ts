/** One setting: its title with QEMU's name, the field, what it does and when it helps, its default, and what `auto` chose. */
import { element, setText } from '../dom.ts';

export interface RowTexts {
  readonly title: string;
  /** As on QEMU's command line; Virtab's own are marked. */
  readonly option: string;
  readonly isOwn?: boolean;
  readonly sentence: string;
  /** The default; absent where there is no choice. */
  readonly usual?: string;
}

export interface SettingRow {
  readonly node: HTMLElement;
  /** What `auto` chose and why, or why the setting cannot be changed; empty for nothing. */
  setNote(note: string): void;
}

export function settingRow(texts: RowTexts, field: HTMLElement, wide = false): SettingRow {
  const note = element('p', { class: 'setting-note', hidden: true });
  const node = element(
    'div',
    { class: wide ? 'setting setting-wide' : 'setting' },
    element(
      'div',
      { class: 'setting-name' },
      element('span', { class: 'setting-title' }, texts.title),
      ...(texts.option === texts.title ? [] : [element('code', { class: 'setting-option' }, texts.option)]),
    ),
    element('div', { class: 'setting-field' }, field),
    element(
      'p',
      { class: 'setting-text' },
      texts.sentence,
      ...(texts.usual === undefined
        ? []
        : [
            ' ',
            element(
              'span',
              { class: 'setting-usual' },
              texts.isOwn === true ? `Virtab’s own; default: ${texts.usual}.` : `Default: ${texts.usual}.`,
            ),
          ]),
    ),
    note,
  );
  return {
    node,
    setNote: (text) => {
      setText(note, text);
      note.hidden = text === '';
    },
  };
}

export function section(title: string, ...children: readonly Node[]): HTMLElement {
  return element(
    'section',
    { class: 'panel-section', 'aria-label': title },
    element('h3', {}, title),
    ...children,
  );
}
