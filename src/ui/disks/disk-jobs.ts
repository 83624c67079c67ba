/** What is being copied into or out of the browser's storage, with progress, pause and cancel. */
import type { Result } from '../../base/result.ts';
import { button, element, ICON, setText } from '../dom.ts';
import { formatBytes } from '../text.ts';

export interface DiskJobSource {
  readonly title: string;
  readonly totalBytes: number;
  /** Resolves when it is over; `cancelled` is no error. */
  readonly end: Promise<Result<unknown>>;
  readonly steer: (how: 'pause' | 'resume' | 'cancel') => void;
}

export class DiskJobs {
  readonly node = element('ul', { class: 'jobs', 'aria-label': 'Copies under way' });
  #running = 0;

  constructor() {
    this.node.hidden = true;
  }

  get isBusy(): boolean {
    return this.#running > 0;
  }

  /** Shows a job until it is over; the result tells how far it is. */
  add({ title, totalBytes, end, steer }: DiskJobSource): (doneBytes: number) => void {
    const bar = element('progress', { class: 'boot-bar', max: '1', value: '0', 'aria-label': title });
    const detail = element('span', { class: 'job-detail' });
    let paused = false;
    const pause = button(
      'Pause',
      ICON.pause,
      () => {
        paused = !paused;
        steer(paused ? 'pause' : 'resume');
        pause.setLabel(paused ? 'Resume' : 'Pause', paused ? ICON.play : ICON.pause);
      },
      'button button-icon button-quiet',
    );
    const cancel = button(
      'Cancel',
      ICON.close,
      () => steer('cancel'),
      'button button-icon button-quiet',
    ).node;
    pause.node.title = `Pause: ${title}`;
    cancel.title = `Cancel: ${title}`;
    const row = element(
      'li',
      { class: 'job' },
      element('span', { class: 'job-title', title }, title),
      element('span', { class: 'job-buttons' }, pause.node, cancel),
      bar,
      detail,
    );
    this.node.append(row);
    this.node.hidden = false;
    this.#running++;
    const started = performance.now();
    void end.finally(() => {
      row.remove();
      this.#running--;
      this.node.hidden = this.#running === 0;
    });
    return (done) => {
      bar.value = totalBytes === 0 ? 1 : done / totalBytes;
      const seconds = (performance.now() - started) / 1000;
      const speed = seconds > 0.5 ? `, ${formatBytes(done / seconds)}/s` : '';
      setText(detail, `${formatBytes(done)} of ${formatBytes(totalBytes)}${speed}`);
    };
  }
}
