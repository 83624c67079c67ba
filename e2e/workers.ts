/** The workers of a page, where a test can take them away as a browser does. */
import type { Page } from '@playwright/test';

interface WatchedWindow {
  readonly workersByName?: Map<string, Worker>;
}

/** Before the page is loaded. */
export async function keepWorkers(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const workersByName = new Map<string, Worker>();
    Object.assign(window, { workersByName });
    const Original = Worker;
    window.Worker = class extends Original {
      constructor(url: string | URL, options?: WorkerOptions) {
        super(url, options);
        workersByName.set(options?.name ?? '', this);
      }
    };
  });
}

/** Ends a worker without a word: no event tells the page. */
export async function takeAway(page: Page, name: string): Promise<void> {
  await page.evaluate((wanted) => {
    const worker = (window as WatchedWindow).workersByName?.get(wanted);
    if (worker === undefined) throw new Error(`there is no worker ${wanted}`);
    worker.terminate();
  }, name);
}

/** The clock of the page's timers goes on by so many seconds, while the machine's threads get their turns. */
export async function pass(page: Page, seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    await page.clock.runFor(1000);
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}
