/** How much room there is, and whether the browser may throw the disks away. */
import { button, element, ICON, setText } from '../dom.ts';
import { formatBytes } from '../text.ts';

export class StorageNote {
  readonly node: HTMLElement;
  readonly #meter = element('progress', {
    class: 'boot-bar',
    max: '1',
    value: '0',
    'aria-label': 'Storage used',
  });
  readonly #amount = element('p', { class: 'panel-quiet' });
  readonly #promise = element('p', { class: 'panel-quiet storage-promise' });
  readonly #protect = button('Ask the browser to keep them', ICON.save, () => void this.#ask());

  constructor() {
    this.node = element(
      'div',
      { class: 'storage' },
      this.#meter,
      this.#amount,
      this.#promise,
      this.#protect.node,
    );
    this.#protect.node.hidden = true;
  }

  async refresh(): Promise<void> {
    const { usage = 0, quota = 0 } = await navigator.storage.estimate();
    this.#meter.value = quota === 0 ? 0 : usage / quota;
    setText(
      this.#amount,
      `${formatBytes(usage)} used of the ${formatBytes(quota)} that the browser allows this site.`,
    );
    this.#showPromise(await navigator.storage.persisted());
  }

  #showPromise(persisted: boolean, refused = false): void {
    this.node.dataset['persisted'] = String(persisted);
    this.#protect.node.hidden = persisted || refused;
    setText(
      this.#promise,
      persisted
        ? 'Protected: the browser keeps the disks until you delete them or the data of this site.'
        : `Not protected: when space is short the browser may delete all disks of this site at once. Export what you cannot lose.${
            refused
              ? ' The browser did not agree to keep them; it may once you use this page more often, or install it.'
              : ''
          }`,
    );
  }

  async #ask(): Promise<void> {
    const persisted = await navigator.storage.persist();
    this.#showPromise(persisted, !persisted);
  }
}
