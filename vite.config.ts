import { spawnSync } from 'node:child_process';
import { createReadStream, existsSync, readFileSync, statSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { join, normalize, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Connect, Plugin } from 'vite';
import { defineConfig } from 'vitest/config';
import { appIcons } from './tools/site/app-icons.ts';

/** Shared memory exists only on a cross-origin isolated page. */
const ISOLATION = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
};

const root = fileURLToPath(new URL('.', import.meta.url));
const guestFolder = join(root, 'build', 'guest');

function sendPlain(response: ServerResponse, status: number, text: string): void {
  response.statusCode = status;
  response.setHeader('Content-Type', 'text/plain; charset=utf-8');
  response.end(`${text}\n`);
}

/** Serves build/guest/ under /guest/: the default guest is made after the page is built. */
function serveGuest(middlewares: Connect.Server): void {
  middlewares.use('/guest/', (request, response) => {
    const name = decodePath(request.url ?? '/');
    const file = name === undefined ? undefined : normalize(join(guestFolder, name));
    if (file === undefined || !file.startsWith(guestFolder + sep) || !existsSync(file)) {
      sendPlain(response, 404, 'This file of the default guest does not exist.');
      return;
    }
    const stat = statSync(file);
    if (!stat.isFile()) {
      sendPlain(response, 404, 'This file of the default guest does not exist.');
      return;
    }
    response.setHeader('Content-Length', stat.size);
    response.setHeader('Cache-Control', 'no-cache');
    response.setHeader(
      'Content-Type',
      file.endsWith('.json') ? 'application/json' : 'application/octet-stream',
    );
    for (const [header, value] of Object.entries(ISOLATION)) response.setHeader(header, value);
    if (request.method === 'HEAD') {
      response.end();
      return;
    }
    createReadStream(file)
      .on('error', () => response.destroy())
      .pipe(response);
  });
}

function decodePath(url: string): string | undefined {
  try {
    const path = decodeURIComponent(url.split('?', 1)[0] ?? '');
    return path.includes('\0') ? undefined : path;
  } catch {
    return undefined;
  }
}

function guest(): Plugin {
  return {
    name: 'virtab-guest',
    configureServer: (server) => serveGuest(server.middlewares),
    configurePreviewServer: (server) => serveGuest(server.middlewares),
  };
}

/** For reports: the package's version, and the commit where there is one. */
function version(): string {
  const { version: number } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    version: string;
  };
  const commit = spawnSync('git', ['describe', '--always', '--dirty'], { cwd: root, encoding: 'utf8' });
  return commit.status === 0 ? `${number} (${commit.stdout.trim()})` : number;
}

export default defineConfig({
  define: { __VIRTAB_VERSION__: JSON.stringify(version()) },
  // A build works under any path.
  base: './',
  plugins: [guest(), appIcons()],
  server: {
    host: '127.0.0.1',
    headers: ISOLATION,
    watch: { ignored: ['**/build/**', '**/test-results/**'] },
  },
  preview: { host: '127.0.0.1', headers: ISOLATION },
  worker: { format: 'es' },
  build: {
    target: 'es2023',
    // The wasm modules are compiled while they stream in: never as data in a script.
    assetsInlineLimit: 0,
    // xterm with its WebGL renderer is most of the page's script.
    chunkSizeWarningLimit: 700,
    rolldownOptions: {
      // How long the bundler took is nothing for those who only want to run a machine.
      checks: { bundlerTimings: false },
      input: { index: 'index.html', runner: 'runner.html', embed: 'examples/embed.html' },
    },
  },
  test: {
    // Tests are not about time: a busy machine may take long over any of them.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    include: ['src/**/*.test.ts', 'tools/**/*.test.ts', 'wasm/**/*.test.ts'],
    reporters: ['default', ['json', { outputFile: 'test-results/vitest.json' }]],
    // Two cores are the least that the project supports; more workers would only fight for them.
    maxWorkers: 2,
  },
});
