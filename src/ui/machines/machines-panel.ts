/** The saved machines: choose, rename, copy, delete. */
import type { MachineStore } from '../../store/machine-store.ts';
import { freeMachineName, MACHINE_NAME_MAX, newId } from '../../store/saved-machine.ts';
import type { SavedMachine } from '../../store/saved-machine.ts';
import { ask, askText } from '../confirm.ts';
import { button, element, ICON } from '../dom.ts';
import type { MachineSession } from '../machine-session.ts';
import type { PanelPage } from '../panel/side-panel.ts';
import { section } from '../settings/setting-row.ts';
import { describeMachine, formatAge } from './machine-texts.ts';

export interface MachinesActions {
  /** Shows another machine instead of this one. */
  open(machine: SavedMachine): void;
  /** Shows a new one, as for a first visit. */
  openNew(name: string): void;
}

export class MachinesPanel implements PanelPage {
  readonly id = 'machines';
  readonly title = 'Machines';
  readonly icon = ICON.machines;
  readonly node = element('div', { class: 'panel-page' });
  readonly #session: MachineSession;
  readonly #store: MachineStore;
  readonly #actions: MachinesActions;

  constructor(session: MachineSession, store: MachineStore, actions: MachinesActions) {
    this.#session = session;
    this.#store = store;
    this.#actions = actions;
  }

  setShown(shown: boolean): void {
    if (shown) void this.#refresh();
  }

  async #refresh(): Promise<void> {
    const machines = await this.#store.list();
    const session = this.#session;
    const others = machines.filter(({ id }) => id !== session.machine.id);
    const names = machines.map(({ name }) => name);
    this.node.replaceChildren(
      section('This machine', this.#currentCard(names)),
      section(
        'Other machines',
        ...(others.length === 0
          ? [
              element(
                'p',
                { class: 'panel-empty' },
                'No others yet. A machine is a name, settings and disks; what you change here is kept for this machine only.',
              ),
            ]
          : [element('ul', { class: 'cards' }, ...others.map((machine) => this.#card(machine, names)))]),
      ),
      section(
        'Add',
        element(
          'div',
          { class: 'panel-actions' },
          button('New machine', ICON.add, () => void this.#addNew(names)).node,
        ),
      ),
    );
  }

  #currentCard(names: readonly string[]): HTMLElement {
    const { machine, kind } = this.#session;
    const card = element(
      'div',
      { class: 'card card-current' },
      element('div', { class: 'card-title' }, machine.name),
      element('div', { class: 'card-detail' }, describeMachine(machine)),
    );
    if (kind === 'link') {
      card.append(
        element(
          'p',
          { class: 'panel-quiet' },
          'The address of this page describes it. Nothing that you change is kept unless you keep the machine.',
        ),
        element(
          'div',
          { class: 'panel-actions' },
          button('Keep this machine', ICON.save, () => void this.#keep(names), 'button button-primary').node,
        ),
      );
    } else {
      card.append(
        element(
          'div',
          { class: 'card-actions' },
          textButton('Rename', () => void this.#rename(machine, names)),
          textButton('Duplicate', () => void this.#duplicate(machine, names)),
        ),
      );
    }
    return card;
  }

  #card(machine: SavedMachine, names: readonly string[]): HTMLElement {
    return element(
      'li',
      { class: 'card' },
      element('div', { class: 'card-title' }, machine.name),
      element(
        'div',
        { class: 'card-detail' },
        `${describeMachine(machine)}${machine.usedAt === 0 ? '' : `; used ${formatAge(Date.now() - machine.usedAt)}`}`,
      ),
      element(
        'div',
        { class: 'card-actions' },
        textButton('Open', () => this.#actions.open(machine), `Open ${machine.name}`),
        textButton('Rename', () => void this.#rename(machine, names), `Rename ${machine.name}`),
        textButton('Duplicate', () => void this.#duplicate(machine, names), `Duplicate ${machine.name}`),
        textButton('Delete', () => void this.#remove(machine), `Delete ${machine.name}`),
      ),
    );
  }

  async #keep(names: readonly string[]): Promise<void> {
    const name = await askName(
      'Keep this machine',
      'Keep',
      freeMachineName(this.#session.machine.name, names),
    );
    if (name === undefined) return;
    await this.#session.keep(name);
    await this.#refresh();
  }

  async #rename(machine: SavedMachine, names: readonly string[]): Promise<void> {
    const others = names.filter((name) => name !== machine.name);
    const name = await askName('Rename the machine', 'Rename', machine.name, others);
    if (name === undefined) return;
    if (machine.id === this.#session.machine.id) await this.#session.rename(name);
    else await this.#store.save({ ...machine, name });
    await this.#refresh();
  }

  async #duplicate(machine: SavedMachine, names: readonly string[]): Promise<void> {
    const copy = { ...machine, id: newId(), name: freeMachineName(machine.name, names), usedAt: 0 };
    await this.#store.save(copy);
    for (const role of ['kernel', 'initrd'] as const)
      await this.#store.saveFile(copy.id, role, await this.#store.readFile(machine.id, role));
    await this.#refresh();
  }

  async #remove(machine: SavedMachine): Promise<void> {
    const sure = await ask({
      title: `Delete “${machine.name}”?`,
      message: 'Its settings are deleted. Its disks stay in the list of disks.',
      confirm: 'Delete the machine',
      tone: 'danger',
    });
    if (!sure) return;
    await this.#store.remove(machine.id);
    await this.#refresh();
  }

  async #addNew(names: readonly string[]): Promise<void> {
    const name = await askName('New machine', 'Create', freeMachineName('Machine', names), names);
    if (name !== undefined) this.#actions.openNew(name);
  }
}

export function textButton(label: string, onClick: () => void, spoken = label): HTMLButtonElement {
  const node = element('button', { type: 'button', class: 'text-button', 'aria-label': spoken }, label);
  node.addEventListener('click', onClick);
  return node;
}

function askName(
  title: string,
  confirm: string,
  value: string,
  taken: readonly string[] = [],
): Promise<string | undefined> {
  return askText({
    title,
    message: 'The name is shown in the list of machines.',
    label: 'Name',
    value,
    confirm,
    check: (name) => {
      if (name === '') return 'A machine needs a name.';
      if (name.length > MACHINE_NAME_MAX) return `A name can have ${MACHINE_NAME_MAX} characters at most.`;
      return taken.includes(name) ? `There is a machine “${name}” already.` : undefined;
    },
  });
}
