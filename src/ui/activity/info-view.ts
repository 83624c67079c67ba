/** What `info` tells in QEMU's monitor, for the machine that runs: a topic, and its text as long as somebody looks. */
import { describeInfo, INFO_TOPICS } from '../../control/describe.ts';
import type { InfoTopic } from '../../control/describe.ts';
import type { MachineInfo } from '../../control/info.ts';
import { button, element, ICON, setText } from '../dom.ts';
import { select } from '../settings/controls.ts';

/** The guest stands still for about a millisecond at each look. */
const REFRESH_MS = 2000;

/** After `info`, in words. */
const LABELS: Readonly<Record<InfoTopic, string>> = {
  block: 'block: disks, and why they are reached as they are',
  aio: 'aio: what the disks’ drivers did, and how long it took',
  ioeventfd: 'ioeventfd: kicks, doorbells and interrupts',
  exits: 'exits: accesses to devices, and their time',
  network: 'network: cards and frames',
  stats: 'stats: the threads of the devices',
  jit: 'jit: translated code',
};

export class InfoView {
  readonly node: HTMLElement;
  readonly #info: () => Promise<MachineInfo | undefined>;
  readonly #text = element('pre', { class: 'info-text', tabindex: '0', 'aria-label': 'What info tells' });
  #topic: InfoTopic = 'block';
  #isShown = false;
  #timer: ReturnType<typeof setInterval> | undefined;

  /** `info`: undefined while there is nothing to tell. */
  constructor(info: () => Promise<MachineInfo | undefined>) {
    this.#info = info;
    const topics = select<InfoTopic>(
      'info',
      INFO_TOPICS.map((value) => ({ value, label: LABELS[value] })),
      (topic) => {
        this.#topic = topic;
        void this.refresh();
      },
    );
    topics.show(this.#topic);
    this.node = element(
      'div',
      { class: 'info' },
      topics.node,
      this.#text,
      element(
        'div',
        { class: 'panel-actions' },
        button('Copy', ICON.copy, () => void navigator.clipboard.writeText(this.#text.textContent)).node,
      ),
    );
  }

  setShown(shown: boolean): void {
    this.#isShown = shown;
    clearInterval(this.#timer);
    if (!shown) return;
    void this.refresh();
    this.#timer = setInterval(() => {
      // A text that is replaced while it is selected cannot be copied.
      if (!this.#isSelected()) void this.refresh();
    }, REFRESH_MS);
  }

  async refresh(): Promise<void> {
    const info = await this.#info();
    if (!this.#isShown) return;
    setText(this.#text, info === undefined ? 'The machine has no power.' : describeInfo(info, this.#topic));
  }

  #isSelected(): boolean {
    const selection = getSelection();
    return selection !== null && !selection.isCollapsed && selection.containsNode(this.#text, true);
  }
}
