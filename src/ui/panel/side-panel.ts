/** The panel beside the console: one page of it at a time, opened and closed by the bar. */
import { button, element, ICON } from '../dom.ts';

export interface PanelPage {
  readonly id: string;
  readonly title: string;
  readonly icon: string;
  readonly node: HTMLElement;
  /** It is seen from now on, or not any more. */
  setShown(shown: boolean): void;
}

export class SidePanel {
  readonly node: HTMLElement;
  /** One per page, for the bar. */
  readonly toggles: readonly HTMLButtonElement[];
  readonly #pages: readonly PanelPage[];
  readonly #title = element('h2', { class: 'panel-title', id: 'panel-title' });
  /** Scrolls, so that the keyboard must reach it. */
  readonly #body = element('div', {
    class: 'panel-body',
    role: 'group',
    'aria-labelledby': 'panel-title',
    tabindex: '0',
  });
  #open: PanelPage | undefined;

  constructor(pages: readonly PanelPage[], onClose: () => void) {
    this.#pages = pages;
    const close = button(
      'Close panel',
      ICON.close,
      () => {
        const toggle = this.#open === undefined ? undefined : this.#toggleOf(this.#open);
        this.close();
        toggle?.focus();
        onClose();
      },
      'button button-icon button-quiet',
    ).node;
    this.node = element(
      'aside',
      { class: 'panel', id: 'panel', 'aria-labelledby': 'panel-title', tabindex: '-1', hidden: true },
      element('header', { class: 'panel-head' }, this.#title, close),
      this.#body,
    );
    this.node.addEventListener('keydown', (event) => {
      if (event.key === 'Escape' && !event.defaultPrevented) close.click();
    });
    this.toggles = pages.map((page) => {
      const toggle = button(
        page.title,
        page.icon,
        () => {
          if (this.#open === page) this.close();
          else {
            this.open(page.id);
            // The console, which keeps the Tab key, stands between the bar and the panel.
            this.node.focus();
          }
        },
        'button button-quiet panel-toggle',
      ).node;
      toggle.setAttribute('aria-expanded', 'false');
      toggle.setAttribute('aria-controls', 'panel');
      return toggle;
    });
  }

  get current(): string | undefined {
    return this.#open?.id;
  }

  open(id: string): void {
    const page = this.#pages.find((candidate) => candidate.id === id);
    if (page === undefined || page === this.#open) return;
    this.#hide();
    this.#open = page;
    this.#title.textContent = page.title;
    this.#body.replaceChildren(page.node);
    this.#body.scrollTop = 0;
    this.node.hidden = false;
    this.#toggleOf(page)?.setAttribute('aria-expanded', 'true');
    page.setShown(true);
  }

  close(): void {
    this.#hide();
    this.node.hidden = true;
  }

  #hide(): void {
    const page = this.#open;
    if (page === undefined) return;
    this.#open = undefined;
    this.#toggleOf(page)?.setAttribute('aria-expanded', 'false');
    page.setShown(false);
  }

  #toggleOf(page: PanelPage): HTMLButtonElement | undefined {
    return this.toggles[this.#pages.indexOf(page)];
  }
}
