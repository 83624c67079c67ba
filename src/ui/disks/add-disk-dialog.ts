/** What to do with a dropped image: read it in place, or copy it into the browser. */
import { button, element, ICON, setText } from '../dom.ts';
import { formatBytes } from '../text.ts';

export interface AddedImage {
  readonly file: File;
  /** What is on it. */
  readonly content: string;
  readonly problem: string | undefined;
  /** A CD image is only ever read. */
  readonly readOnly: boolean;
}

export type AddChoice = 'in-place' | 'import';

/** Undefined: neither. `freeBytes`: room in the browser's storage. */
export function askHowToAdd(image: AddedImage, freeBytes: number): Promise<AddChoice | undefined> {
  const { file } = image;
  const fits = file.size <= freeBytes;
  const option = (choice: AddChoice, title: string, text: string, disabled: boolean): HTMLElement => {
    const node = element(
      'button',
      { type: 'button', class: 'choose-card', ...(disabled ? { disabled: true } : {}) },
      element('span', { class: 'card-title' }, title),
      element('span', { class: 'card-detail' }, text),
    );
    node.addEventListener('click', () => dialog.close(choice));
    return node;
  };
  const problem = element('p', { class: 'form-warning' });
  setText(problem, image.problem ?? '');
  const dialog = element(
    'dialog',
    { class: 'dialog', 'aria-labelledby': 'add-disk-title' },
    element(
      'div',
      { class: 'form' },
      element('h2', { id: 'add-disk-title' }, 'Add a disk'),
      element(
        'p',
        { class: 'form-text' },
        element('b', {}, file.name),
        ` (${formatBytes(file.size)}, ${image.content})`,
      ),
      problem,
      option(
        'import',
        image.readOnly ? 'Copy it into the browser' : 'Copy it into the browser, writable',
        fits
          ? 'Takes a moment. The copy is there again after a reload; your file is not changed.'
          : `There is no room: it needs ${formatBytes(file.size)}, and the browser has ${formatBytes(Math.max(0, freeBytes))} left.`,
        !fits,
      ),
      option(
        'in-place',
        'Use the file where it is, read-only',
        'At once, whatever its size. After a reload you have to drop it again, as a page cannot keep your file.',
        false,
      ),
      element(
        'div',
        { class: 'form-actions' },
        button('Cancel', ICON.close, () => dialog.close(), 'button').node,
      ),
    ),
  );
  document.body.append(dialog);
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      dialog.remove();
      const { returnValue } = dialog;
      resolve(returnValue === 'in-place' || returnValue === 'import' ? returnValue : undefined);
    });
    dialog.showModal();
    dialog.querySelector<HTMLButtonElement>('.choose-card:not(:disabled)')?.focus();
  });
}
