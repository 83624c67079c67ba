/** The page's entry: checks the browser, finds the guest, hands over to the page. */
import './ui/style.css';
import '@xterm/xterm/css/xterm.css';
import { browserHost } from './machine/browser-host.ts';
import { findDefaultGuest } from './machine/default-guest.ts';
import { Page, showProblemPage } from './ui/page.ts';
import { checkRequirements } from './ui/requirements.ts';

const root = document.getElementById('virtab');
if (root === null) throw new Error('index.html has no element #virtab');

const problem = checkRequirements();
if (problem !== undefined) {
  showProblemPage(root, problem);
} else {
  const config = { memoryBytes: 512 * 1024 * 1024, cpus: 1, noReboot: false };
  const page = new Page(root, {
    config: config as never,
    host: browserHost,
    memoryLimits: { minimumMiB: 32, maximumMiB: 3008 },
    defaultGuest: await findDefaultGuest('./guest/'),
  });
  Object.assign(window, { virtab: page });
  await page.begin();
}
