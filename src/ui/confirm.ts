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

export interface TextField {
  readonly label: string;
  readonly value: string;
  readonly hint?: string;
  /** What is wrong with the text; undefined if nothing is. */
  readonly check: (text: string) => string | undefined;
}

export interface TextQuestion extends Question, TextField {}

/** True if the answer was `confirm`. */
export async function ask(question: Question): Promise<boolean> {
  return (await askTexts(question, [])) !== undefined;
}

/** The text, or undefined if there was no answer. */
export async function askText(question: TextQuestion): Promise<string | undefined> {
  return (await askTexts(question, [question]))?.[0];
}

let count = 0;

/** The texts in the order of the fields, or undefined if there was no answer. */
export function askTexts(
  question: Question,
  fields: readonly TextField[],
): Promise<readonly string[] | undefined> {
  const id = `question-${++count}`;
  const inputs = fields.map(({ value }, index) =>
    element('input', {
      id: `${id}-text-${index}`,
      class: 'field',
      value,
      spellcheck: 'false',
      autocomplete: 'off',
    }),
  );
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
  for (const [index, { label, hint }] of fields.entries()) {
    form.append(
      element(
        'div',
        { class: 'form-row' },
        element('label', { for: `${id}-text-${index}` }, label),
        inputs[index]!,
        ...(hint === undefined ? [] : [element('span', { class: 'form-hint' }, hint)]),
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
    let answer: readonly string[] | undefined;
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      const texts = inputs.map(({ value }) => value.trim());
      for (const [index, { check }] of fields.entries()) {
        const wrong = check(texts[index]!);
        if (wrong === undefined) continue;
        setText(problem, wrong);
        inputs[index]!.focus();
        return;
      }
      answer = texts;
      dialog.close();
    });
    cancel.addEventListener('click', () => dialog.close());
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(answer);
    });
    dialog.showModal();
    const [first] = inputs;
    if (first !== undefined) {
      first.focus();
      first.select();
    } else if (question.tone === 'danger') cancel.focus();
    else confirm.focus();
  });
}
