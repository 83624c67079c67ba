/** Find in the console and its scrollback. */
import type { Console } from './terminal.ts';
import { button, element, ICON, setText } from './dom.ts';

export class SearchBar {
  readonly node: HTMLElement;
  readonly #console: Console;
  readonly #input = element('input', {
    type: 'search',
    class: 'field',
    placeholder: 'Find in the console',
    'aria-label': 'Find in the console',
    spellcheck: 'false',
    autocomplete: 'off',
  });
  readonly #count = element('span', { class: 'search-count', 'aria-live': 'polite' });

  constructor(target: Console) {
    this.#console = target;
    this.node = element(
      'div',
      { class: 'search', role: 'search', hidden: true },
      this.#input,
      this.#count,
      button('Previous match', ICON.up, () => this.#find('previous'), 'button button-icon').node,
      button('Next match', ICON.down, () => this.#find('next'), 'button button-icon').node,
      button('Close search', ICON.close, () => this.close(), 'button button-icon').node,
    );
    this.#input.addEventListener('input', () => this.#find('next'));
    this.#input.addEventListener('keydown', (event) => {
      if (event.key === 'Enter') this.#find(event.shiftKey ? 'previous' : 'next');
      else if (event.key === 'Escape') this.close();
      else return;
      event.preventDefault();
    });
    target.onSearchResult(({ index, count }) => {
      setText(
        this.#count,
        this.#input.value === '' ? '' : count === 0 ? 'No match' : `${index + 1} of ${count}`,
      );
    });
  }

  open(): void {
    this.node.hidden = false;
    this.#input.select();
    this.#input.focus();
  }

  close(): void {
    this.node.hidden = true;
    setText(this.#count, '');
    this.#console.endSearch();
  }

  #find(direction: 'next' | 'previous'): void {
    if (this.#input.value === '') {
      setText(this.#count, '');
      return;
    }
    this.#console.find(this.#input.value, direction);
  }
}
