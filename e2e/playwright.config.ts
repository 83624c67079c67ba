import { defineConfig } from '@playwright/test';
import { launchOptions } from '../tools/runner/chromium.ts';

export default defineConfig({
  testDir: '.',
  testMatch: '*.e2e.ts',
  outputDir: '../test-results/e2e',
  globalSetup: './global-setup.ts',
  reporter: [['list'], ['json', { outputFile: '../test-results/playwright.json' }]],
  // A guest keeps a core busy: two cores are one page at a time.
  workers: 1,
  timeout: 120_000,
  expect: { timeout: 15_000 },
  use: {
    browserName: 'chromium',
    launchOptions: launchOptions(),
    viewport: { width: 1280, height: 800 },
    screenshot: 'only-on-failure',
    // Every test would keep the whole site in its browser; those of the service worker allow it.
    serviceWorkers: 'block',
  },
});
