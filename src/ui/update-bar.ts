/** Offers a new version of the page; over the console, so that nothing moves. */
import type { UpdateListener } from '../hosting/updates.ts';
import { button, element, ICON, setText } from './dom.ts';

export class UpdateBar implements UpdateListener {
  readonly #text = element('p', { class: 'update-text' });
  readonly #node: HTMLElement;
  #onReload = (): void => location.reload();

  constructor(host: HTMLElement) {
    const reload = button('Reload now', ICON.reset, () => this.#onReload(), 'button button-primary');
    const later = button('Later', ICON.close, () => (this.#node.hidden = true), 'button');
    this.#node = element(
      'aside',
      { class: 'update', hidden: true, 'aria-label': 'New version' },
      element('div', { role: 'status' }, this.#text),
      element('div', { class: 'update-actions' }, reload.node, later.node),
    );
    host.append(this.#node);
  }

  onReady(takeOver: () => void): void {
    this.#onReload = takeOver;
    this.#show('A new version of Virtab is ready. Reloading turns the machine off.');
  }

  onReplaced(): void {
    this.#onReload = () => location.reload();
    this.#show(
      'Another tab has changed to a new version of Virtab. This tab goes on with the old one until it is reloaded.',
    );
  }

  onKept(): void {
    document.documentElement.dataset['offline'] = 'ready';
  }

  #show(text: string): void {
    // First visible, then filled: a status that appears with its text is not announced by every screen reader.
    this.#node.hidden = false;
    setText(this.#text, text);
  }
}
