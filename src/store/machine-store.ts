/** The saved machines, over a store of keys and values (IndexedDB in a browser). */
import { decodeMachine, encodeMachine } from './saved-machine.ts';
import type { SavedMachine } from './saved-machine.ts';

/** Of idb-keyval; injected, so that it can be a fake. `update` is atomic, also between tabs. */
export interface KeyValueStore {
  get(key: string): Promise<unknown>;
  set(key: string, value: unknown): Promise<void>;
  update(key: string, change: (old: unknown) => unknown): Promise<void>;
  remove(key: string): Promise<void>;
}

const MACHINES = 'machines';

export type BootRole = 'kernel' | 'initrd';

export class MachineStore {
  readonly #store: KeyValueStore;

  constructor(store: KeyValueStore) {
    this.#store = store;
  }

  /** The one that was started last comes first. What cannot be read any more is left where it is, and out of the list. */
  async list(): Promise<SavedMachine[]> {
    return asList(await this.#store.get(MACHINES))
      .flatMap((encoded) => {
        const machine = decodeMachine(encoded);
        return machine.ok ? [machine.value] : [];
      })
      .sort((a, b) => b.usedAt - a.usedAt);
  }

  /** Adds it, or puts it in the place of the one with its id. */
  async save(machine: SavedMachine): Promise<void> {
    const encoded = encodeMachine(machine);
    await this.#store.update(MACHINES, (old) => {
      const all = asList(old);
      const at = all.findIndex((other) => idOf(other) === machine.id);
      return at < 0 ? [...all, encoded] : all.with(at, encoded);
    });
  }

  async remove(id: string): Promise<void> {
    await this.#store.update(MACHINES, (old) => asList(old).filter((other) => idOf(other) !== id));
    await this.#store.remove(fileKey(id, 'kernel'));
    await this.#store.remove(fileKey(id, 'initrd'));
  }

  /** A kernel or an initrd of the user's, kept beside the machine. */
  async saveFile(id: string, role: BootRole, file: File | undefined): Promise<void> {
    if (file === undefined) await this.#store.remove(fileKey(id, role));
    else await this.#store.set(fileKey(id, role), file);
  }

  async readFile(id: string, role: BootRole): Promise<File | undefined> {
    const file = await this.#store.get(fileKey(id, role));
    return file instanceof File ? file : undefined;
  }
}

function fileKey(id: string, role: BootRole): string {
  return `${role}:${id}`;
}

function asList(value: unknown): unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}

function idOf(value: unknown): unknown {
  return typeof value === 'object' && value !== null && 'id' in value ? value.id : undefined;
}
