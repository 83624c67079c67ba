/**
 * The first stop of the Tab key: lets a screen reader read what the guest prints. Off unless asked for, because xterm then
 * keeps its lines in the page once more, for every line that is printed.
 */
import { element, setText } from './dom.ts';

/** In the browser's storage. */
const WANTED = 'virtab-screen-reader';

export class ScreenReaderSwitch {
  readonly node: HTMLButtonElement;
  readonly #apply: (on: boolean) => void;

  constructor(apply: (on: boolean) => void) {
    this.#apply = apply;
    this.node = element('button', { type: 'button', class: 'skip' });
    this.node.addEventListener('click', () => {
      const on = localStorage.getItem(WANTED) === null;
      if (on) localStorage.setItem(WANTED, 'on');
      else localStorage.removeItem(WANTED);
      this.#show();
    });
    this.#show();
  }

  #show(): void {
    const on = localStorage.getItem(WANTED) !== null;
    setText(
      this.node,
      on ? 'Screen reader mode of the console is on' : 'Turn on screen reader mode of the console',
    );
    this.node.setAttribute('aria-pressed', String(on));
    this.#apply(on);
  }
}
