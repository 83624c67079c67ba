/** The page's entry: checks the browser, reads the address, finds the machine, hands over to the page. */
import './ui/style.css';
import './ui/styles/panel.css';
import './ui/styles/settings.css';
import './ui/styles/lists.css';
import './ui/styles/activity.css';
import '@xterm/xterm/css/xterm.css';
import { createStore, del, get, set, update } from 'idb-keyval';
import type { Result } from './base/result.ts';
import { MIB } from './base/units.ts';
import type { ConfigError } from './config/config-error.ts';
import { parseUrl } from './config/url-options.ts';
import { translateAddress } from './config/v86-names.ts';
import type { LinkedImage } from './config/v86-names.ts';
import { DEFAULT_CONFIG, MEMORY_MAX_BYTES, MEMORY_MIN_BYTES } from './config/vm-config.ts';
import type { VmConfig } from './config/vm-config.ts';
import { isolatePage } from './hosting/isolation.ts';
import { watchForUpdates } from './hosting/updates.ts';
import { openDiskStore } from './machine/disk-store.ts';
import { findDefaultGuest } from './machine/default-guest.ts';
import { MachineStore } from './store/machine-store.ts';
import type { KeyValueStore } from './store/machine-store.ts';
import { newId } from './store/saved-machine.ts';
import type { SavedMachine } from './store/saved-machine.ts';
import { fetchImages } from './ui/fetch-images.ts';
import { confirmLink } from './ui/link-check.ts';
import { isolationProblem } from './ui/isolation-problem.ts';
import { chooseMachine } from './ui/machines/chooser.ts';
import { MachineSession } from './ui/machine-session.ts';
import type { SessionKind } from './ui/machine-session.ts';
import { Page, showProblemPage } from './ui/page.ts';
import { checkRequirements } from './ui/requirements.ts';
import { UpdateBar } from './ui/update-bar.ts';
import { showWaitPage } from './ui/wait-page.ts';

export interface VirtabWindow extends Window {
  /** For the suite and for the curious: `virtab.machine.pause()`. */
  virtab?: Page;
}

/** In the tab's storage: which machine it shows, so that a reload shows it again. */
const SHOWN_MACHINE = 'virtab-machine';

function keyValueStore(): KeyValueStore {
  const database = createStore('virtab', 'values');
  return {
    get: (key) => get(key, database),
    set: (key, value) => set(key, value, database),
    update: (key, change) => update(key, change, database),
    remove: (key) => del(key, database),
  };
}

function freshMachine(config: VmConfig): SavedMachine {
  return { id: newId(), name: 'Machine', config, usedAt: 0 };
}

interface Address {
  readonly config: VmConfig;
  readonly images: readonly LinkedImage[];
}

const NOTHING: Address = { config: DEFAULT_CONFIG, images: [] };

function readAddress(given: URLSearchParams): Result<Address, ConfigError> {
  const translated = translateAddress(given);
  if (!translated.ok) return translated;
  const { parameters, images } = translated.value;
  const config = parseUrl(parameters);
  return config.ok ? { ok: true, value: { config: config.value, images } } : config;
}

/** The machine that an address describes, with what the user allows it. */
async function linkedMachine({ config, images }: Address): Promise<SavedMachine> {
  const brought = images.map(({ name }) => name);
  const allowed = await confirmLink(config, brought);
  return { ...freshMachine(allowed), name: 'From a link', inPlace: brought };
}

interface Found {
  readonly machine: SavedMachine;
  readonly kind: SessionKind;
}

/** The machine that this tab showed, the only one there is, or the one that the user chooses. */
async function findMachine(root: HTMLElement, store: MachineStore): Promise<Found> {
  const machines = await store.list();
  const shown = machines.find(({ id }) => id === sessionStorage.getItem(SHOWN_MACHINE));
  const machine = shown ?? (machines.length > 1 ? await chooseMachine(root, machines) : machines[0]);
  return machine === undefined
    ? { machine: freshMachine(DEFAULT_CONFIG), kind: 'new' }
    : { machine, kind: 'saved' };
}

/** Shows another machine in this tab. */
function show(id: string): void {
  sessionStorage.setItem(SHOWN_MACHINE, id);
  location.assign(location.pathname);
}

async function openPage(root: HTMLElement): Promise<void> {
  const problem = checkRequirements();
  if (problem !== undefined) {
    showProblemPage(root, problem);
    return;
  }
  const failure = await isolatePage({ onWait: () => showWaitPage(root) });
  if (failure !== undefined) {
    showProblemPage(root, isolationProblem(failure));
    return;
  }
  const store = new MachineStore(keyValueStore());
  const address = readAddress(new URLSearchParams(location.search));
  const fetched = address.ok
    ? await fetchImages(address.value.images, (text) => showWaitPage(root, text))
    : ({ ok: true, value: [] } as const);
  const linked: Found | undefined =
    location.search === ''
      ? undefined
      : { machine: await linkedMachine(address.ok ? address.value : NOTHING), kind: 'link' };
  const { machine, kind } = linked ?? (await findMachine(root, store));
  if (kind === 'saved') sessionStorage.setItem(SHOWN_MACHINE, machine.id);
  const defaultGuest = await findDefaultGuest('./guest/');
  const session = await MachineSession.open({ store, defaultGuest, machine, kind });
  if (fetched.ok) for (const file of fetched.value) session.setFile(file);
  session.onChange(() => {
    if (session.kind === 'saved') sessionStorage.setItem(SHOWN_MACHINE, session.machine.id);
  });
  const page = new Page(root, {
    session,
    store,
    disks: openDiskStore(),
    memoryLimits: { minimumMiB: MEMORY_MIN_BYTES / MIB, maximumMiB: MEMORY_MAX_BYTES / MIB },
    open: ({ id }) => show(id),
    openNew: (name) => {
      const fresh = { ...freshMachine(DEFAULT_CONFIG), name };
      void store.save(fresh).then(() => show(fresh.id));
    },
    ...(address.ok ? {} : { configProblem: { kind: 'bad-address' as const, ...address.error } }),
    ...(fetched.ok ? {} : { configProblem: fetched.error }),
  });
  (window as VirtabWindow).virtab = page;
  // The development server's files change all the time.
  if (import.meta.env.PROD) void watchForUpdates(new UpdateBar(document.body));
  await page.begin();
}

const root = document.getElementById('root');
if (root === null) throw new Error('index.html has no element #root');
try {
  await openPage(root);
} catch (error) {
  showProblemPage(root, {
    kind: 'page-failed',
    message: `Something that the page needs to start failed: ${error instanceof Error ? error.message : String(error)}`,
    advice:
      'Reload the page, and allow this site to store data. If that does not help, please attach the report to an issue.',
    ...(error instanceof Error && error.stack !== undefined ? { report: error.stack } : {}),
  });
}
