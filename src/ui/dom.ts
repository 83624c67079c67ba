/** The few lines that building a page without a framework needs. */

export type Child = Node | string;

export interface Attributes {
  readonly class?: string;
  readonly id?: string;
  readonly role?: string;
  readonly type?: string;
  readonly title?: string;
  readonly for?: string;
  readonly name?: string;
  readonly value?: string;
  readonly accept?: string;
  readonly placeholder?: string;
  readonly rows?: string;
  readonly min?: string;
  readonly max?: string;
  readonly step?: string;
  readonly tabindex?: string;
  readonly spellcheck?: string;
  readonly autocomplete?: string;
  readonly inputmode?: string;
  readonly hidden?: boolean;
  readonly open?: boolean;
  readonly 'aria-label'?: string;
  readonly 'aria-live'?: 'polite' | 'assertive' | 'off';
  readonly 'aria-pressed'?: 'true' | 'false';
  readonly 'aria-describedby'?: string;
  readonly 'aria-labelledby'?: string;
  readonly 'aria-hidden'?: 'true';
  readonly 'aria-valuemin'?: string;
  readonly 'aria-valuemax'?: string;
}

export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes) as [string, string | boolean | undefined][]) {
    if (value === true) node.setAttribute(name, '');
    else if (typeof value === 'string') node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** Sets text only when it changes, so that screen readers and layout are left alone. */
export function setText(node: HTMLElement, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}

/** A shape on a 16 x 16 grid, drawn with the text's colour. */
export function icon(path: string): SVGSVGElement {
  const namespace = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(namespace, 'svg');
  svg.setAttribute('viewBox', '0 0 16 16');
  svg.setAttribute('aria-hidden', 'true');
  svg.classList.add('icon');
  const shape = document.createElementNS(namespace, 'path');
  shape.setAttribute('d', path);
  svg.append(shape);
  return svg;
}

export interface Button {
  readonly node: HTMLButtonElement;
  setLabel(label: string, path?: string): void;
}

/** A button with an icon, and its label beside it where there is room. */
export function button(label: string, path: string, onClick: () => void, className = 'button'): Button {
  const text = element('span', { class: 'button-label' }, label);
  const node = element('button', { class: className, type: 'button', title: label });
  let drawn = path;
  node.append(icon(path), text);
  node.addEventListener('click', onClick);
  return {
    node,
    setLabel: (next, nextPath) => {
      setText(text, next);
      node.title = next;
      if (nextPath === undefined || nextPath === drawn) return;
      drawn = nextPath;
      node.firstElementChild?.replaceWith(icon(nextPath));
    },
  };
}

export const ICON = {
  brand: 'M1 2.5h14v11H1zM4 5.5l2.8 2.5L4 10.5M8 10.5h4',
  play: 'M4.5 2.8v10.4l8.5-5.2z',
  pause: 'M4 3h2.8v10H4zM9.2 3H12v10H9.2z',
  reset:
    'M8 2.5a5.5 5.5 0 1 0 5.4 6.6h-1.8A3.8 3.8 0 1 1 8 4.2c1 0 2 .4 2.7 1.1L8.8 7.2H14V2l-2 2A5.5 5.5 0 0 0 8 2.5z',
  power: 'M7.1 1.5h1.8v6.3H7.1zM4.7 3.3l1.2 1.3a4.3 4.3 0 1 0 4.2 0l1.2-1.3a6.1 6.1 0 1 1-6.6 0z',
  search:
    'M6.8 2a4.8 4.8 0 0 1 3.8 7.7l3.4 3.3-1.2 1.2-3.4-3.4A4.8 4.8 0 1 1 6.8 2zm0 1.7a3.1 3.1 0 1 0 0 6.2 3.1 3.1 0 0 0 0-6.2z',
  fullscreen:
    'M2 2h4.5v1.7H3.7v2.8H2zM9.5 2H14v4.5h-1.7V3.7H9.5zM2 9.5h1.7v2.8h2.8V14H2zM12.3 9.5H14V14H9.5v-1.7h2.8z',
  guest: 'M2 3h12v8H2zm1.6 1.6v4.8h8.8V4.6zM5 12.2h6v1.5H5z',
  copy: 'M5 1.8h8.2V11H5zm1.6 1.6v6h5v-6zM2.8 5h1.5v7.7H10v1.5H2.8z',
  close: 'M3.7 2.6L8 6.9l4.3-4.3 1.1 1.1L9.1 8l4.3 4.3-1.1 1.1L8 9.1l-4.3 4.3-1.1-1.1L6.9 8 2.6 3.7z',
  up: 'M8 4.5l5 5-1.2 1.2L8 6.9l-3.8 3.8L3 9.5z',
  down: 'M8 11.5l-5-5 1.2-1.2L8 9.1l3.8-3.8L13 6.5z',
} as const;
