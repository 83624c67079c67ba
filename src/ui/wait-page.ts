/** What is shown while the page prepares itself for its reload at the first visit. */
import { element } from './dom.ts';
import { brand } from './machine-bar.ts';

export function showWaitPage(
  root: HTMLElement,
  text = 'Setting the page up for its first visit: it will reload itself once.',
): void {
  const bar = element('header', { class: 'bar' }, brand());
  bar.dataset['state'] = 'loading';
  const note = element('p', { class: 'wait-note', role: 'status' }, text);
  root.replaceChildren(
    element('div', { class: 'page' }, bar, element('main', { class: 'stage wait' }, note)),
  );
}
