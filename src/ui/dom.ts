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
  play: 'M4.5 2.8v10.4l8.5-5.2z',
  pause: 'M4 3h2.8v10H4zM9.2 3H12v10H9.2z',
  reset:
    'M8 2.5a5.5 5.5 0 1 0 5.4 6.6h-1.8A3.8 3.8 0 1 1 8 4.2c1 0 2 .4 2.700 1.100L8.800 7.200H14V2l-2 2A5.500 5.500 0 0 0 8 2.500z',
  power:
    'M7.100 1.500h1.800v6.300H7.100zM4.700 3.300l1.200 1.300a4.300 4.300 0 1 0 4.200 0l1.200-1.300a6.100 6.100 0 1 1-6.600 0z',
  search:
    'M6.800 2a4.800 4.800 0 0 1 3.800 7.700l3.400 3.300-1.200 1.200-3.400-3.400A4.800 4.800 0 1 1 6.800 2zm0 1.700a3.100 3.100 0 1 0 0 6.200 3.100 3.100 0 0 0 0-6.200z',
  fullscreen:
    'M2 2h4.500v1.700H3.700v2.800H2zM9.500 2H14v4.500h-1.700V3.700H9.500zM2 9.500h1.700v2.800h2.800V14H2zM12.300 9.500H14V14H9.500v-1.700h2.800z',
  guest: 'M2 3h12v8H2zm1.600 1.600v4.800h8.800V4.600zM5 12.200h6v1.500H5z',
  copy: 'M5 1.800h8.200V11H5zm1.600 1.600v6h5v-6zM2.800 5h1.500v7.700H10v1.500H2.800z',
  close:
    'M3.700 2.600L8 6.900l4.300-4.300 1.100 1.100L9.100 8l4.300 4.300-1.100 1.100L8 9.100l-4.300 4.300-1.100-1.100L6.900 8 2.600 3.700z',
  up: 'M8 4.500l5 5-1.200 1.200L8 6.900l-3.800 3.800L3 9.500z',
  down: 'M8 11.500l-5-5 1.200-1.200L8 9.100l3.800-3.800L13 6.500z',
} as const;
