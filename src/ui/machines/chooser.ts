/** The start page of those who have several machines: which one? */
import type { SavedMachine } from '../../store/saved-machine.ts';
import { button, element, ICON } from '../dom.ts';
import { brand } from '../machine-bar.ts';
import { describeMachine, formatAge } from './machine-texts.ts';

/** `undefined`: a new one. */
export function chooseMachine(
  root: HTMLElement,
  machines: readonly SavedMachine[],
): Promise<SavedMachine | undefined> {
  return new Promise((resolve) => {
    const cards = machines.map((machine) => {
      const card = element(
        'button',
        { type: 'button', class: 'choose-card' },
        element('span', { class: 'card-title' }, machine.name),
        element('span', { class: 'card-detail' }, describeMachine(machine)),
        element(
          'span',
          { class: 'card-detail' },
          machine.usedAt === 0 ? 'not started yet' : `used ${formatAge(Date.now() - machine.usedAt)}`,
        ),
      );
      card.addEventListener('click', () => resolve(machine));
      return element('li', {}, card);
    });
    root.replaceChildren(
      element(
        'div',
        { class: 'page page-chooser' },
        element('header', { class: 'bar' }, brand()),
        element(
          'main',
          { class: 'choose' },
          element('h2', {}, 'Which machine?'),
          element('ul', { class: 'choose-list' }, ...cards),
          button('New machine', ICON.add, () => resolve(undefined)).node,
        ),
      ),
    );
    cards[0]?.querySelector('button')?.focus();
  });
}
