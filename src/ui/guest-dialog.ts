/** Which guest to start: kernel, initial RAM disk, command line, memory. */
import { button, element, ICON, setText } from './dom.ts';
import type { FileChoice } from './machine-session.ts';
import { formatBytes } from './text.ts';

export interface GuestChoice {
  readonly kernel: FileChoice;
  readonly initrd: FileChoice;
  readonly commandLine: string;
  readonly memoryMiB: number;
}

export interface GuestDialogOptions {
  /** Label of the default kernel and initrd; absent where there is none. */
  readonly defaultKernel?: string | undefined;
  readonly defaultInitrd?: string | undefined;
  readonly memoryLimits: { readonly minimumMiB: number; readonly maximumMiB: number };
  start(choice: GuestChoice): void;
}

interface FileField {
  readonly node: HTMLElement;
  value: FileChoice;
  show(): void;
}

export class GuestDialog {
  readonly node: HTMLDialogElement;
  readonly #options: GuestDialogOptions;
  readonly #kernel: FileField;
  readonly #initrd: FileField;
  readonly #commandLine = element('textarea', {
    id: 'guest-command-line',
    class: 'field',
    rows: '3',
    spellcheck: 'false',
    autocomplete: 'off',
  });
  readonly #memory: HTMLInputElement;
  readonly #problem = element('p', { class: 'form-problem', role: 'alert' });
  readonly #warning = element('p', { class: 'form-warning' });
  readonly #submit = element(
    'button',
    { class: 'button button-primary', type: 'submit' },
    'Start this guest',
  );

  constructor(host: HTMLElement, options: GuestDialogOptions) {
    this.#options = options;
    const { minimumMiB, maximumMiB } = options.memoryLimits;
    this.#kernel = fileField(
      'guest-kernel',
      'Kernel',
      options.defaultKernel,
      'bzImage or ELF vmlinux (QEMU: -kernel)',
      false,
    );
    this.#initrd = fileField(
      'guest-initrd',
      'Initial RAM disk',
      options.defaultInitrd,
      'cpio, compressed or not (QEMU: -initrd)',
      true,
    );
    this.#memory = element('input', {
      id: 'guest-memory',
      class: 'field field-number',
      type: 'number',
      inputmode: 'numeric',
      min: String(minimumMiB),
      max: String(maximumMiB),
      step: '1',
    });
    const form = element(
      'form',
      { class: 'form' },
      element('h2', { id: 'guest-title' }, 'Guest'),
      this.#warning,
      this.#kernel.node,
      this.#initrd.node,
      labelled('guest-command-line', 'Kernel command line', '-append', this.#commandLine),
      labelled('guest-memory', 'Memory in MiB', '-m', this.#memory),
      this.#problem,
      element(
        'div',
        { class: 'form-actions' },
        button('Cancel', ICON.close, () => this.node.close(), 'button').node,
        this.#submit,
      ),
    );
    form.noValidate = true;
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#accept();
    });
    this.node = element('dialog', { class: 'dialog', 'aria-labelledby': 'guest-title' }, form);
    // A click on the backdrop has the dialog itself as its target.
    this.node.addEventListener('click', (event) => {
      if (event.target === this.node) this.node.close();
    });
    host.append(this.node);
  }

  open(choice: GuestChoice, replacesRunningGuest: boolean): void {
    this.#kernel.value = choice.kernel;
    this.#initrd.value = choice.initrd;
    this.#kernel.show();
    this.#initrd.show();
    this.#commandLine.value = choice.commandLine;
    this.#memory.value = String(choice.memoryMiB);
    setText(this.#problem, '');
    setText(this.#warning, replacesRunningGuest ? 'Starting this guest turns the running one off.' : '');
    if (!this.node.open) this.node.showModal();
    this.#submit.focus();
  }

  #accept(): void {
    const memoryMiB = Number(this.#memory.value);
    const { minimumMiB, maximumMiB } = this.#options.memoryLimits;
    if (this.#kernel.value === undefined) {
      setText(this.#problem, 'Choose a kernel first.');
      return;
    }
    if (!Number.isInteger(memoryMiB) || memoryMiB < minimumMiB || memoryMiB > maximumMiB) {
      setText(this.#problem, `Memory must be a whole number from ${minimumMiB} to ${maximumMiB} MiB.`);
      this.#memory.focus();
      return;
    }
    this.node.close();
    this.#options.start({
      kernel: this.#kernel.value,
      initrd: this.#initrd.value,
      commandLine: this.#commandLine.value.replaceAll(/\s*\n\s*/g, ' ').trim(),
      memoryMiB,
    });
  }
}

function labelled(id: string, text: string, option: string, field: HTMLElement): HTMLElement {
  return element(
    'div',
    { class: 'form-row' },
    element('label', { for: id }, text, ' ', element('code', {}, option)),
    field,
  );
}

function fileField(
  id: string,
  label: string,
  defaultLabel: string | undefined,
  hint: string,
  optional: boolean,
): FileField {
  const input = element('input', { id, type: 'file', class: 'visually-hidden' });
  const name = element('span', { class: 'file-name' });
  const choose = element('label', { class: 'button', for: id }, 'Choose a file');
  const useDefault = element('button', { type: 'button', class: 'button button-quiet' }, 'Default');
  const none = element('button', { type: 'button', class: 'button button-quiet' }, 'None');
  const row = element('div', { class: 'file-row' }, input, choose, name);
  if (defaultLabel !== undefined) row.append(useDefault);
  if (optional) row.append(none);
  const field: FileField = {
    node: element(
      'div',
      { class: 'form-row', role: 'group', 'aria-label': label },
      element('span', { class: 'form-label' }, label),
      row,
      element('span', { class: 'form-hint' }, hint),
    ),
    value: undefined,
    show: () => {
      const { value } = field;
      if (value === undefined) setText(name, optional ? 'none' : 'not chosen yet');
      else if (value === 'default') setText(name, defaultLabel ?? 'default');
      else setText(name, `${value.name} (${formatBytes(value.size)})`);
      name.title = name.textContent;
      useDefault.hidden = value === 'default';
      none.hidden = value === undefined;
    },
  };
  const set = (value: FileChoice): void => {
    field.value = value;
    field.show();
  };
  input.setAttribute('aria-label', `${label}: choose a file`);
  input.addEventListener('change', () => {
    const file = input.files?.[0];
    if (file !== undefined) set(file);
    input.value = '';
  });
  useDefault.addEventListener('click', () => set('default'));
  none.addEventListener('click', () => set(undefined));
  return field;
}
