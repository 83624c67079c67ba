/** What the page has to say: in the middle while there is nothing else to see, else below the console. */
import { button, element, ICON } from './dom.ts';

export interface NoticeAction {
  readonly label: string;
  readonly icon: string;
  readonly primary?: boolean;
  run(): void;
}

export interface NoticeContent {
  /** For tests and styles: the state that this notice belongs to. */
  readonly kind: string;
  readonly tone: 'info' | 'warning' | 'error';
  readonly place: 'middle' | 'below';
  readonly title: string;
  readonly message: string;
  readonly advice?: string;
  /** What the failing part says of itself; the rest of the report is added. */
  readonly report?: string;
  readonly actions?: readonly NoticeAction[];
}

export class Notice {
  readonly node = element('section', { class: 'notice', hidden: true, 'aria-label': 'Message' });
  /** Announces without taking the focus away. */
  readonly #live = element('div', { class: 'visually-hidden', role: 'status', 'aria-live': 'polite' });
  readonly #compose: (content: NoticeContent) => string;
  #kind: string | undefined;

  /** `compose` makes the report that every error offers. */
  constructor(host: HTMLElement, compose: (content: NoticeContent) => string) {
    this.#compose = compose;
    host.append(this.node, this.#live);
  }

  get kind(): string | undefined {
    return this.#kind;
  }

  show(content: NoticeContent): void {
    this.#kind = content.kind;
    const card = element(
      'div',
      { class: 'notice-card' },
      element('h2', {}, content.title),
      element('p', {}, content.message),
    );
    if (content.advice !== undefined) card.append(element('p', { class: 'notice-advice' }, content.advice));
    const report = content.tone === 'error' ? this.#compose(content) : undefined;
    if (report !== undefined) {
      card.append(
        element(
          'details',
          { class: 'notice-report' },
          element('summary', {}, 'Report'),
          element('pre', { tabindex: '0', 'aria-label': 'Report' }, report),
        ),
      );
    }
    const actions = (content.actions ?? []).map((action) => {
      const className = action.primary === true ? 'button button-primary' : 'button';
      return button(action.label, action.icon, () => action.run(), className).node;
    });
    if (report !== undefined) actions.push(copyButton(report));
    if (actions.length > 0) card.append(element('div', { class: 'notice-actions' }, ...actions));

    this.node.dataset['kind'] = content.kind;
    this.node.dataset['tone'] = content.tone;
    this.node.dataset['place'] = content.place;
    this.node.replaceChildren(card);
    this.node.hidden = false;
    this.#live.textContent = `${content.title}. ${content.message} ${content.advice ?? ''}`;
  }

  hide(): void {
    this.#kind = undefined;
    this.node.hidden = true;
    this.node.replaceChildren();
    this.#live.textContent = '';
  }
}

function copyButton(text: string): HTMLButtonElement {
  const copy = button('Copy report', ICON.copy, () => {
    navigator.clipboard.writeText(text).then(
      () => copy.setLabel('Copied'),
      () => copy.setLabel('The browser refused: select the text instead'),
    );
  });
  return copy.node;
}
