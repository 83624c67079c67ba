/** The page's entry: checks the browser, reads the address, finds the guest, hands over to the page. */
import './ui/style.css';
import '@xterm/xterm/css/xterm.css';
import { MIB } from './base/units.ts';
import { parseUrl } from './config/url-options.ts';
import { DEFAULT_CONFIG, MEMORY_MAX_BYTES, MEMORY_MIN_BYTES } from './config/vm-config.ts';
import { fileFromUrl } from './machine/boot-file.ts';
import type { BootFile } from './machine/boot-file.ts';
import { isolatePage } from './hosting/isolation.ts';
import { watchForUpdates } from './hosting/updates.ts';
import { findDefaultGuest } from './machine/default-guest.ts';
import { isolationProblem } from './ui/isolation-problem.ts';
import { Page, showProblemPage } from './ui/page.ts';
import { checkRequirements } from './ui/requirements.ts';
import { UpdateBar } from './ui/update-bar.ts';
import { showWaitPage } from './ui/wait-page.ts';

export interface VirtabWindow extends Window {
  /** For the suite and for the curious: `virtab.machine.pause()`. */
  virtab?: Page;
}

/** A file that the address names, relative to the page. */
function namedFile(url: string | undefined): BootFile | undefined {
  if (url === undefined) return undefined;
  return fileFromUrl(url.split('/').at(-1) ?? url, url);
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
  const parsed = parseUrl(new URLSearchParams(location.search));
  const config = parsed.ok ? parsed.value : DEFAULT_CONFIG;
  const kernel = namedFile(config.kernel);
  const initrd = namedFile(config.initrd);
  const defaultGuest = kernel === undefined ? await findDefaultGuest('./guest/') : undefined;
  const page = new Page(root, {
    config,
    memoryLimits: { minimumMiB: MEMORY_MIN_BYTES / MIB, maximumMiB: MEMORY_MAX_BYTES / MIB },
    defaultGuest,
    ...(kernel === undefined ? {} : { kernel }),
    ...(initrd === undefined ? {} : { initrd }),
    ...(parsed.ok ? {} : { configProblem: { kind: 'bad-address' as const, ...parsed.error } }),
  });
  (window as VirtabWindow).virtab = page;
  // The development server's files change all the time.
  if (import.meta.env.PROD) void watchForUpdates(new UpdateBar(document.body));
  await page.begin();
}

const root = document.getElementById('root');
if (root === null) throw new Error('index.html has no element #root');
await openPage(root);
