/** The built page and a server for it: what the runner and the browser tests open. */
import { constants, createReadStream, existsSync, statSync } from 'node:fs';
import { open, realpath, rename, stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize, sep } from 'node:path';
import { isStale, root } from './stale.ts';
import { ensureWasm } from './wasm.ts';

/** Where ensureSite() builds the page. */
export const SITE_FOLDER = join(root, 'build', 'site');

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.css': 'text/css',
  '.wasm': 'application/wasm',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.webmanifest': 'application/manifest+json',
  '.json': 'application/json',
};

/** What a built page depends on. */
const INPUTS = [
  'src',
  'public',
  'index.html',
  'runner.html',
  'examples',
  'vite.config.ts',
  'tools/site',
  'package-lock.json',
  'build/core.wasm',
  'build/interpreter.wasm',
];

/** Builds the page into SITE_FOLDER if something that it is made of is newer. */
export async function ensureSite(): Promise<void> {
  await ensureWasm(false);
  if (isStale('build/site/index.html', INPUTS)) {
    // Loaded only when needed: it takes longer than the rest of the runner.
    const { buildSite } = await import('../site/build-site.ts');
    await buildSite({ folder: SITE_FOLDER, guest: false, logLevel: 'warn' });
  }
}

export interface SiteServer {
  readonly url: string;
  close(): void;
}

export interface SiteOptions {
  readonly folder: string;
  /** Further files by path, for example `/file/kernel`. */
  readonly files?: ReadonlyMap<string, string>;
  /** Files by path that the page may replace: `PUT path?offset=n` for each part, then `PUT path?size=n`. */
  readonly writable?: ReadonlyMap<string, string>;
  /** Called for every piece that the page writes. */
  readonly onWrite?: () => void;
  /** Folder whose files appear under /guest/. */
  readonly guestFolder?: string;
  /** False: without the headers that isolate the page, as many static hosts are. */
  readonly isolated?: boolean;
  /** The path of the site's folder, with a slash at both ends. */
  readonly base?: string;
  /** How long browsers may use a file without asking again. */
  readonly maxAgeSeconds?: number;
  /** 0: any free one. */
  readonly port?: number;
}

/** Serves on a free port of 127.0.0.1. */
export async function serveSite({
  folder,
  files,
  writable,
  onWrite = () => undefined,
  guestFolder,
  isolated = true,
  base = '/',
  maxAgeSeconds,
  port: wantedPort = 0,
}: SiteOptions): Promise<SiteServer> {
  const server = createServer((request, response) => {
    const path = decode(request.url ?? '/');
    const inside = path?.startsWith(base) === true ? path.slice(base.length - 1) : undefined;
    const file = inside === undefined ? undefined : resolve(inside, folder, files, guestFolder);
    if (isolated) {
      response.setHeader('Cross-Origin-Opener-Policy', 'same-origin');
      response.setHeader('Cross-Origin-Embedder-Policy', 'require-corp');
      response.setHeader('Cross-Origin-Resource-Policy', 'same-origin');
    }
    response.setHeader(
      'Cache-Control',
      maxAgeSeconds === undefined ? 'no-store' : `max-age=${maxAgeSeconds}`,
    );
    if (request.method === 'PUT') {
      const target = path === undefined ? undefined : writable?.get(path);
      void (target === undefined ? Promise.resolve(403) : receive(request, target, onWrite)).then(
        (status) => {
          response.statusCode = status;
          response.end();
        },
      );
      return;
    }
    if (file === undefined) {
      response.statusCode = 404;
      response.end('not found\n');
    } else sendFile(response, file);
  });
  await new Promise<void>((done) => server.listen(wantedPort, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}${base}`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** Returns the HTTP status. The file is replaced as a whole when its size comes: until then it is what it was. */
async function receive(request: IncomingMessage, path: string, onWrite: () => void): Promise<number> {
  const query = new URL(request.url ?? '/', 'http://localhost').searchParams;
  const target = await realpath(path);
  const old = await stat(target);
  // A device is no file to be replaced.
  const fresh = old.isFile() ? `${target}.virtab-new` : target;
  const file = await open(fresh, constants.O_RDWR | constants.O_CREAT, old.mode);
  try {
    const size = query.get('size');
    if (size !== null) {
      if (old.isFile()) await file.truncate(Number(size));
      await file.sync();
      if (old.isFile()) await rename(fresh, target);
      return 200;
    }
    let at = Number(query.get('offset'));
    for await (const piece of request as AsyncIterable<Buffer>) {
      await file.write(piece, 0, piece.length, at);
      at += piece.length;
      onWrite();
    }
    return 200;
  } catch (error) {
    process.stderr.write(`vm: ${path}: ${String(error)}\n`);
    return 500;
  } finally {
    await file.close();
  }
}

function decode(url: string): string | undefined {
  try {
    return decodeURIComponent(url.split('?', 1)[0] ?? '/');
  } catch {
    return undefined;
  }
}

function resolve(
  path: string,
  folder: string,
  files: ReadonlyMap<string, string> | undefined,
  guestFolder: string | undefined,
): string | undefined {
  const named = files?.get(path);
  if (named !== undefined) return existsSync(named) ? named : undefined;
  if (path.startsWith('/guest/')) {
    return guestFolder === undefined ? undefined : within(guestFolder, path.slice('/guest/'.length));
  }
  return within(folder, path.endsWith('/') ? `${path}index.html` : path);
}

function within(folder: string, path: string): string | undefined {
  const file = normalize(join(folder, path));
  if (!file.startsWith(folder + sep) || path.includes('\0')) return undefined;
  return statSync(file, { throwIfNoEntry: false })?.isFile() === true ? file : undefined;
}

function sendFile(response: ServerResponse, file: string): void {
  const stat = statSync(file);
  response.setHeader('Content-Type', TYPES[extname(file)] ?? 'application/octet-stream');
  if (stat.isFile()) response.setHeader('Content-Length', stat.size);
  createReadStream(file)
    .on('error', () => response.destroy())
    .pipe(response);
}
