import { expect, test } from 'vitest';
import { DEFAULT_CONFIG } from '../config/vm-config.ts';
import { MachineStore } from './machine-store.ts';
import type { KeyValueStore } from './machine-store.ts';
import { cleanName, decodeMachine, encodeMachine, freeMachineName } from './saved-machine.ts';
import type { SavedMachine } from './saved-machine.ts';

class FakeStore implements KeyValueStore {
  readonly values = new Map<string, unknown>();
  get = async (key: string): Promise<unknown> => this.values.get(key);
  set = async (key: string, value: unknown): Promise<void> => void this.values.set(key, value);
  remove = async (key: string): Promise<void> => void this.values.delete(key);
  update = async (key: string, change: (old: unknown) => unknown): Promise<void> =>
    // As IndexedDB: what goes in is cloned.
    void this.values.set(key, structuredClone(change(this.values.get(key))));
}

const machine: SavedMachine = {
  id: 'a-1',
  name: 'Debian',
  config: { ...DEFAULT_CONFIG, memoryBytes: 1 << 30, commandLine: 'console=ttyS0 quiet', noReboot: true },
  usedAt: 5,
};

test('a machine that was saved is there again with all its settings', async () => {
  const store = new MachineStore(new FakeStore());
  await store.save(machine);
  expect(await store.list()).toEqual([machine]);
});

test('saving again replaces, and the one that was started last comes first', async () => {
  const store = new MachineStore(new FakeStore());
  await store.save(machine);
  await store.save({ ...machine, id: 'b-2', name: 'Other', usedAt: 9 });
  await store.save({ ...machine, name: 'Renamed' });
  expect((await store.list()).map(({ name }) => name)).toEqual(['Other', 'Renamed']);
});

test('a machine that is removed takes its files along', async () => {
  const values = new FakeStore();
  const store = new MachineStore(values);
  await store.save(machine);
  await store.saveFile(machine.id, 'kernel', new File(['x'], 'vmlinuz'));
  expect((await store.readFile(machine.id, 'kernel'))?.name).toBe('vmlinuz');
  await store.remove(machine.id);
  expect(await store.list()).toEqual([]);
  expect([...values.values.keys()]).toEqual(['machines']);
});

test('one that cannot be read is left out of the list and stays in the store', async () => {
  const values = new FakeStore();
  values.values.set('machines', [{ virtab: 2, id: 'future' }]);
  const store = new MachineStore(values);
  await store.save(machine);
  expect((await store.list()).map(({ id }) => id)).toEqual(['a-1']);
  expect(values.values.get('machines')).toEqual([{ virtab: 2, id: 'future' }, encodeMachine(machine)]);
});

test.each([
  ['nothing', null, 'This is not a machine of Virtab.'],
  ['another file', { name: 'x' }, 'This is not a machine of Virtab.'],
  ['a newer version', { virtab: 2 }, 'This machine was saved by a newer version of Virtab.'],
  ['no options', { virtab: 1 }, 'its options are missing'],
  ['impossible options', { virtab: 1, options: ['-m', '1T'] }, '-m 1T: a machine can have'],
])('%s is refused with the reason', (_, value, message) => {
  const decoded = decodeMachine(value);
  expect(decoded).toMatchObject({ ok: false, error: expect.stringContaining(message) });
});

test('an id or a name from outside that is odd is replaced', () => {
  const decoded = decodeMachine({ virtab: 1, id: '../x', name: ' \n', options: [] });
  expect(decoded).toMatchObject({
    ok: true,
    value: { name: 'Machine', id: expect.stringMatching(/^[\w-]+$/) },
  });
});

test('names are cleaned and made unique', () => {
  expect(cleanName('  My\tPC  ')).toBe('MyPC');
  expect(freeMachineName('Debian', ['Debian', 'Debian 2'])).toBe('Debian 3');
});
