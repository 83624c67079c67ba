/** The settings of the machine that is shown, and what can be done with all of them together. */
import { toUrlQuery } from '../../config/url-options.ts';
import { nativeCommand } from '../../config/native-command.ts';
import type { DeviceInfo } from '../../control/info.ts';
import { encodeMachine } from '../../store/saved-machine.ts';
import { button, element, ICON, setText } from '../dom.ts';
import { saveAs } from '../download.ts';
import { harmless } from '../link-check.ts';
import type { MachineSession } from '../machine-session.ts';
import type { PanelPage } from '../panel/side-panel.ts';
import { DeviceSettings } from './device-settings.ts';
import { differences, machineSettings } from './machine-settings.ts';
import type { Field, MachineSetting } from './machine-settings.ts';
import { section, settingRow } from './setting-row.ts';

export interface SettingsActions {
  chooseGuest(): void;
  restart(): void;
  importFile(file: File): void;
}

export class SettingsPanel implements PanelPage {
  readonly id = 'settings';
  readonly title = 'Settings';
  readonly icon = ICON.settings;
  readonly node: HTMLElement;
  readonly #session: MachineSession;
  readonly #settings: readonly MachineSetting[];
  readonly #fields: readonly Field[];
  readonly #bootText = element('p', { class: 'boot-choice' });
  readonly #devices: DeviceSettings;
  readonly #footText = element('span');
  readonly #foot: HTMLElement;
  #isShown = false;

  constructor(session: MachineSession, actions: SettingsActions) {
    this.#session = session;
    this.#devices = new DeviceSettings(session);
    const usualCommandLine = session.config.commandLine === undefined ? session.commandLine : '';
    this.#settings = machineSettings(usualCommandLine);
    const fields: Field[] = [];
    const rows = this.#settings.map((setting) => {
      const field = setting.make(
        (edit) => void session.edit(edit),
        (why) => row.setNote(why),
      );
      const row = settingRow(setting.texts, field.node, setting.wide);
      fields.push(field);
      return row.node;
    });
    this.#fields = fields;
    const restart = button('Restart now', ICON.reset, () => actions.restart(), 'button').node;
    restart.title = 'Turns the guest off without asking it, and starts it with these settings.';
    this.#foot = element(
      'div',
      { class: 'panel-foot', role: 'status', hidden: true },
      this.#footText,
      restart,
    );
    this.node = element(
      'div',
      { class: 'panel-page' },
      section(
        'Guest',
        this.#bootText,
        element(
          'div',
          { class: 'panel-actions' },
          button('Choose a guest', ICON.guest, () => actions.chooseGuest()).node,
        ),
      ),
      section('Machine', ...rows),
      this.#devices.node,
      this.#sharing(actions),
      this.#foot,
    );
    session.onChange(() => this.show());
    this.show();
  }

  setShown(shown: boolean): void {
    this.#isShown = shown;
    if (shown) this.show();
  }

  /** Brings every field up to date; also to be called when the machine starts or ends. */
  show(): void {
    const session = this.#session;
    for (const field of this.#fields) field.show(session.config);
    this.#devices.show();
    const { kernel, initrd } = session.boot;
    const { kernel: defaultKernel, initrd: defaultInitrd } = session.defaultLabels;
    const kernelName = kernel === 'default' ? defaultKernel : kernel?.name;
    const initrdName = initrd === 'default' ? defaultInitrd : initrd?.name;
    setText(
      this.#bootText,
      kernelName === undefined
        ? 'No kernel yet: drop one onto the page, or choose one.'
        : `${kernelName}${initrdName === undefined ? ', without an initial RAM disk' : ` with ${initrdName}`}`,
    );
    const { startedWith } = session;
    const changed =
      startedWith === undefined || !session.isPowered
        ? []
        : differences(startedWith, session.config, this.#settings);
    this.#foot.hidden = changed.length === 0;
    setText(
      this.#footText,
      `Changed: ${changed.join(', ')}. It takes effect when the machine is started again.`,
    );
  }

  /** What the running machine's devices say. */
  setInfo(info: DeviceInfo | undefined): void {
    if (this.#isShown) this.#devices.setInfo(info);
  }

  #sharing(actions: SettingsActions): HTMLElement {
    const session = this.#session;
    const link = copyButton('Copy link', ICON.link, () => {
      const query = toUrlQuery(harmless(session.config));
      return `${location.origin}${location.pathname}${query === '' ? '' : `?${query}`}`;
    });
    const command = copyButton('Copy as QEMU command', ICON.copy, () =>
      nativeCommand(session.config, {
        kernel: fileNameOf(session.boot.kernel, 'vmlinuz'),
        ...(session.boot.initrd === undefined
          ? {}
          : { initrd: fileNameOf(session.boot.initrd, 'initrd.img') }),
        commandLine: session.commandLine,
      }),
    );
    const input = element('input', {
      type: 'file',
      class: 'visually-hidden',
      id: 'settings-file',
      accept: '.json',
    });
    input.setAttribute('aria-label', 'Import settings: choose a file');
    input.addEventListener('change', () => {
      const file = input.files?.[0];
      if (file !== undefined) actions.importFile(file);
      input.value = '';
    });
    return section(
      'Share',
      element(
        'p',
        { class: 'panel-quiet' },
        'A link or a file has the settings; not the disks, the network, or the kernels that you dropped.',
      ),
      element(
        'div',
        { class: 'panel-actions' },
        link,
        command,
        button('Export settings', ICON.save, () => {
          const { name, config } = session.machine;
          const machine = encodeMachine({
            id: session.machine.id,
            name,
            config: harmless(config),
            usedAt: 0,
          });
          saveAs(
            `${session.machine.name}.virtab.json`,
            new Blob([`${JSON.stringify(machine, undefined, 2)}\n`]),
          );
        }).node,
        element('span', { class: 'file-row' }, input, importLabel()),
      ),
    );
  }
}

function importLabel(): HTMLElement {
  return element('label', { class: 'button', for: 'settings-file' }, 'Import settings');
}

function fileNameOf(choice: File | 'default' | undefined, usual: string): string {
  return choice instanceof File ? choice.name : usual;
}

/** Says for a moment that it has copied. */
function copyButton(label: string, path: string, text: () => string): HTMLButtonElement {
  const copy = button(label, path, () => {
    navigator.clipboard.writeText(text()).then(
      () => {
        copy.setLabel('Copied');
        setTimeout(() => copy.setLabel(label), 2000);
      },
      () => window.prompt('The browser refused to copy. The text:', text()),
    );
  });
  return copy.node;
}
