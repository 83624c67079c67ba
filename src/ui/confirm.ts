/** Questions that need an answer before something happens. */
import { element, setText } from './dom.ts';

export interface Question {
  readonly title: string;
  readonly message: string;
  /** What the question is about, item by item. */
  readonly items?: readonly string[];
  /** The answer that does it, as a verb. */
  readonly confirm: string;
  readonly cancel?: string;
  readonly tone?: 'normal' | 'danger';
}

export interface TextQuestion extends Question {
  readonly label: string;
  readonly value: string;
  readonly hint?: string;
  /** What is wrong with the text; undefined if nothing is. */
  check(text: string): string | undefined;
}

/** True if the answer was `confirm`. */
export async function ask(question: Question): Promise<boolean> {
  return (await openQuestion(question, undefined)) !== undefined;
}

/** The text, or undefined if there was no answer. */
export function askText(question: TextQuestion): Promise<string | undefined> {
  return openQuestion(question, question);
}

let count = 0;

function openQuestion(question: Question, text: TextQuestion | undefined): Promise<string | undefined> {
  const id = `question-${++count}`;
  const input = element('input', {
    id: `${id}-text`,
    class: 'field',
    value: text?.value ?? '',
    spellcheck: 'false',
    autocomplete: 'off',
  });
  const problem = element('p', { class: 'form-problem', role: 'alert' });
  const cancel = element('button', { class: 'button', type: 'button' }, question.cancel ?? 'Cancel');
  const confirm = element(
    'button',
    { class: question.tone === 'danger' ? 'button button-danger' : 'button button-primary', type: 'submit' },
    question.confirm,
  );
  const form = element(
    'form',
    { class: 'form' },
    element('h2', { id: `${id}-title` }, question.title),
    element('p', { class: 'form-text', id: `${id}-message` }, question.message),
  );
  if (question.items !== undefined) {
    form.append(
      element('ul', { class: 'form-items' }, ...question.items.map((item) => element('li', {}, item))),
    );
  }
  if (text !== undefined) {
    form.append(
      element(
        'div',
        { class: 'form-row' },
        element('label', { for: `${id}-text` }, text.label),
        input,
        ...(text.hint === undefined ? [] : [element('span', { class: 'form-hint' }, text.hint)]),
      ),
    );
  }
  form.append(problem, element('div', { class: 'form-actions' }, cancel, confirm));
  form.noValidate = true;
  const dialog = element(
    'dialog',
    {
      class: 'dialog dialog-small',
      'aria-labelledby': `${id}-title`,
      'aria-describedby': `${id}-message`,
    },
    form,
  );
  document.body.append(dialog);
  return new Promise((resolve) => {
    let answer: string | undefined;
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      const value = text === undefined ? '' : input.value.trim();
      const wrong = text?.check(value);
      if (wrong !== undefined) {
        setText(problem, wrong);
        input.focus();
        return;
      }
      answer = value;
      dialog.close();
    });
    cancel.addEventListener('click', () => dialog.close());
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(answer);
    });
    dialog.showModal();
    if (text !== undefined) {
      input.focus();
      input.select();
    } else if (question.tone === 'danger') cancel.focus();
    else confirm.focus();
  });
}
