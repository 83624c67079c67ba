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
  readonly maxlength?: string;
  readonly step?: string;
  readonly tabindex?: string;
  readonly spellcheck?: string;
  readonly autocomplete?: string;
  readonly inputmode?: string;
  readonly href?: string;
  readonly scope?: string;
  readonly hidden?: boolean;
  readonly open?: boolean;
  readonly checked?: boolean;
  readonly disabled?: boolean;
  readonly multiple?: boolean;
  readonly [name: `aria-${string}`]: string;
  readonly [name: `data-${string}`]: string;
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
  machines: 'M1.5 3h13v4h-13zm1.5 1.4v1.2h2V4.4zM1.5 9h13v4h-13zM3 10.4v1.2h2v-1.2z',
  disks:
    'M8 1.6c3.3 0 5.6 1 5.6 2.4v8c0 1.4-2.3 2.4-5.6 2.4S2.4 13.400 2.4 12V4c0-1.400 2.300-2.400 5.600-2.400zM3.900 6v2c0 .4 1.600 1.100 4.100 1.100s4.100-.7 4.100-1.100V6A9 9 0 0 1 8 6.700 9 9 0 0 1 3.900 6zm0 4v2c0 .4 1.600 1 4.100 1s4.100-.6 4.100-1v-2a9 9 0 0 1-4.100.7A9 9 0 0 1 3.900 10z',
  settings:
    'M2 3.200h5.300a2 2 0 0 1 3.800 0H14v1.500h-2.900a2 2 0 0 1-3.800 0H2zM2 11.200h1.900a2 2 0 0 1 3.800 0H14v1.500H7.700a2 2 0 0 1-3.800 0H2zM2 7.200h8.200a2 2 0 0 1 3.800 0v1.500a2 2 0 0 1-3.800 0H2z',
  activity:
    'M1 7.300h3l2.200-5 3.600 10.200 1.800-5.200H15v1.500h-2.300l-2.900 7-3.700-10.300-1.100 2.300H1z',
  add: 'M7.200 2.500h1.600v4.700h4.700v1.600H8.800v4.700H7.200V8.800H2.500V7.200h4.700z',
  file: 'M3 1.500h6.300L13 5.200v9.300H3zm1.600 1.600v9.800h6.800V6.400H8.100V3.100z',
  trash:
    'M6 1.500h4l.7 1.200H14v1.500H2V2.700h3.300zM3.200 5.500h9.600l-.8 9H4zm2.300 1.500l.3 6h1.100l-.2-6zm3.800 0l-.2 6h1.100l.3-6z',
  save: 'M7.200 1.500h1.600v6.600l2.400-2.400 1.100 1.100L8 11.100 3.700 6.800l1.100-1.100 2.400 2.400zM2 12.600h12v1.600H2z',
  load: 'M7.200 11.100V4.500L4.800 6.900 3.700 5.800 8 1.500l4.300 4.300-1.100 1.100-2.400-2.400v6.600zM2 12.600h12v1.600H2z',
  link: 'M6.700 9.300a2.800 2.800 0 0 1 0-4l2.200-2.200a2.800 2.800 0 0 1 4 4L11.600 8.400l-1.100-1.100 1.300-1.300a1.200 1.200 0 0 0-1.800-1.800L7.800 6.400a1.200 1.200 0 0 0 0 1.800zM9.300 6.700a2.800 2.800 0 0 1 0 4l-2.200 2.200a2.800 2.800 0 0 1-4-4l1.300-1.300 1.100 1.100-1.300 1.300a1.200 1.200 0 0 0 1.800 1.800l2.200-2.200a1.200 1.200 0 0 0 0-1.800z',
  stop: 'M3.500 3.500h9v9h-9z',
  gauge:
    'M8 2.500a6 6 0 0 1 5.200 9l-1.300-.8a4.500 4.500 0 1 0-7.800 0l-1.300.8A6 6 0 0 1 8 2.500zm2.800 2.700l1 1L9.200 9.300a1.300 1.300 0 1 1-1.300-1.200z',
  down: 'M8 11.5l-5-5 1.2-1.2L8 9.1l3.8-3.8L13 6.5z',
} as const;
