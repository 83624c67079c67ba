/** What is being loaded and how much of it, until the guest's first output. */
import type { LoadProgress, LoadStep } from '../control/status.ts';
import { element, setText } from './dom.ts';
import { formatBytes, formatCount, STEP_NAMES } from './text.ts';

interface Row {
  readonly node: HTMLElement;
  readonly detail: HTMLElement;
  readonly bar: HTMLProgressElement;
}

export class BootProgress {
  readonly node: HTMLElement;
  readonly #rows = new Map<LoadStep, Row>();
  readonly #note = element('p', { class: 'boot-note' });

  constructor(host: HTMLElement) {
    const list = element('ol', { class: 'boot-steps' });
    this.node = element(
      'section',
      { class: 'boot', hidden: true, 'aria-label': 'Boot progress' },
      list,
      this.#note,
    );
    this.#list = list;
    host.append(this.node);
  }

  readonly #list: HTMLOListElement;

  /** `names` says which file a step loads; a step that is missing does not happen. */
  begin(names: ReadonlyMap<LoadStep, string>): void {
    this.#rows.clear();
    this.#list.replaceChildren();
    for (const [step, name] of names) {
      const detail = element('span', { class: 'boot-detail' });
      const bar = element('progress', {
        class: 'boot-bar',
        max: '1',
        value: '0',
        'aria-label': STEP_NAMES[step],
      });
      const node = element(
        'li',
        { class: 'boot-step' },
        element('span', { class: 'boot-name' }, STEP_NAMES[step]),
        element('span', { class: 'boot-file', title: name }, name),
        detail,
        bar,
      );
      node.dataset['phase'] = 'waiting';
      this.#rows.set(step, { node, detail, bar });
      this.#list.append(node);
    }
    setText(this.#note, '');
    this.node.hidden = false;
  }

  update(progress: LoadProgress): void {
    let phase = 'done';
    for (const [step, row] of this.#rows) {
      if (step === progress.step) {
        phase = 'waiting';
        row.node.dataset['phase'] = 'active';
        this.#showAmount(row, progress);
      } else {
        row.node.dataset['phase'] = phase;
        if (phase === 'done') row.bar.value = 1;
      }
    }
  }

  /** All is loaded; the guest runs and has not said anything yet. */
  running(instructions: number): void {
    for (const row of this.#rows.values()) {
      row.node.dataset['phase'] = 'done';
      row.bar.value = 1;
    }
    setText(
      this.#note,
      `The guest is running and has not printed anything yet: ${formatCount(instructions)} instructions so far.`,
    );
  }

  hide(): void {
    this.node.hidden = true;
  }

  #showAmount(row: Row, { receivedBytes, totalBytes }: LoadProgress): void {
    // Memory is there all at once.
    if (receivedBytes === 0) {
      row.bar.removeAttribute('value');
      setText(row.detail, '');
      return;
    }
    if (totalBytes === undefined || totalBytes === 0) {
      row.bar.removeAttribute('value');
      setText(row.detail, formatBytes(receivedBytes));
      return;
    }
    row.bar.value = receivedBytes / totalBytes;
    setText(
      row.detail,
      receivedBytes < totalBytes
        ? `${formatBytes(receivedBytes)} of ${formatBytes(totalBytes)}`
        : formatBytes(totalBytes),
    );
  }
}
