/**
 * The files of one version in a cache of their own. What is kept has been compared with the digest that the build
 * computed: a half-finished deployment, or an old file from a cache on the way, never becomes part of a version.
 */
import type { SiteFile, SiteVersion } from '../site/site-version.ts';
import { isolated } from './isolation.ts';

/** With which digest a response was kept. */
const DIGEST_HEADER = 'X-Virtab-SHA-256';

export interface FileStoreParts {
  readonly caches: CacheStorage;
  /** The URL of the site's folder: an origin may have several sites. */
  readonly scope: string;
  readonly site: SiteVersion;
  readonly fetch: (request: Request) => Promise<Response>;
}

export class FileStore {
  readonly #parts: FileStoreParts;
  readonly #files: ReadonlyMap<string, SiteFile>;
  readonly #prefix: string;
  /** What is on its way: a file that the page is loading is not asked for once more in order to keep it. */
  readonly #loading = new Map<string, Promise<void>>();

  constructor(parts: FileStoreParts) {
    this.#parts = parts;
    this.#files = new Map(parts.site.files.map((file) => [file.path, file]));
    this.#prefix = `virtab ${parts.scope} `;
  }

  file(path: string): SiteFile | undefined {
    return this.#files.get(path);
  }

  /** All files of `group`, or an error that names the one that cannot be had. */
  async keepGroup(group: SiteFile['group']): Promise<void> {
    const files = this.#parts.site.files.filter((file) => file.group === group);
    await Promise.all(files.map((file) => this.#keep(file)));
  }

  async kept(file: SiteFile): Promise<Response | undefined> {
    return await (await this.#open()).match(this.#url(file.path));
  }

  /**
   * What the network has, on its way to the page; a copy is kept. `keep` is told what must be finished before the worker
   * may be stopped.
   */
  async load(file: SiteFile, keep: (done: Promise<unknown>) => void): Promise<Response> {
    const response = await this.#parts.fetch(new Request(this.#url(file.path), { cache: 'no-cache' }));
    if (!response.ok || response.body === null) return response;
    const [forPage, forCache] = response.body.tee();
    const stored = this.#store(file, new Response(forCache, response));
    this.#track(file, stored);
    // A copy that is not what the build made is not kept; the page has what the server sent.
    keep(stored.catch(() => undefined));
    return isolated(forPage, response);
  }

  /** A file of an earlier version, for a page that was loaded with it. Names with a digest are never used twice. */
  async fromEarlierVersion(path: string): Promise<Response | undefined> {
    for (const name of (await this.#names()).toReversed()) {
      const found = await (await this.#parts.caches.open(name)).match(this.#url(path));
      if (found !== undefined) return found;
    }
    return undefined;
  }

  async forgetOtherVersions(): Promise<void> {
    const names = (await this.#names()).filter((name) => name !== this.#name);
    await Promise.all(names.map((name) => this.#parts.caches.delete(name)));
  }

  get #name(): string {
    return `${this.#prefix}${this.#parts.site.version}`;
  }

  #url(path: string): string {
    return new URL(path, this.#parts.scope).href;
  }

  async #open(): Promise<Cache> {
    return await this.#parts.caches.open(this.#name);
  }

  /** The caches of this site, oldest first. */
  async #names(): Promise<readonly string[]> {
    return (await this.#parts.caches.keys()).filter((name) => name.startsWith(this.#prefix));
  }

  #track(file: SiteFile, done: Promise<void>): void {
    this.#loading.set(file.path, done);
    const forget = (): void => void this.#loading.delete(file.path);
    done.then(forget, forget);
  }

  async #keep(file: SiteFile): Promise<void> {
    const loading = this.#loading.get(file.path);
    if (loading !== undefined) {
      const done = await loading.then(
        () => true,
        () => false,
      );
      if (done) return;
    }
    const done = this.#keepNow(file);
    this.#track(file, done);
    await done;
  }

  async #keepNow(file: SiteFile): Promise<void> {
    if ((await this.kept(file)) !== undefined) return;
    const earlier = await this.fromEarlierVersion(file.path);
    if (earlier?.headers.get(DIGEST_HEADER) === file.sha256) {
      await (await this.#open()).put(this.#url(file.path), earlier);
      return;
    }
    // What the browser's own cache has is asked for anew if it does not fit: a host may let it keep files for minutes.
    for (const cache of ['no-cache', 'reload'] as const) {
      const response = await this.#parts.fetch(new Request(this.#url(file.path), { cache }));
      if (!response.ok) throw new Error(`${file.path}: the server answered ${response.status}`);
      if (await this.#store(file, response).then(alwaysTrue, isNotWrong)) return;
    }
    throw new WrongFile(file.path);
  }

  async #store(file: SiteFile, response: Response): Promise<void> {
    const bytes = await response.arrayBuffer();
    if ((await digest(bytes)) !== file.sha256) throw new WrongFile(file.path);
    const headers = new Headers({
      'Content-Type':
        contentType(file.path) ?? response.headers.get('Content-Type') ?? 'application/octet-stream',
      'Content-Length': String(bytes.byteLength),
      [DIGEST_HEADER]: file.sha256,
    });
    const kept = isolated(bytes, { status: 200, statusText: 'OK', headers });
    await (await this.#open()).put(this.#url(file.path), kept);
  }
}

class WrongFile extends Error {
  constructor(path: string) {
    super(`${path}: the server sent something else than what was built`);
  }
}

function alwaysTrue(): boolean {
  return true;
}

/** False for a file that is not what it should be; any other failure goes on. */
function isNotWrong(error: unknown): boolean {
  if (error instanceof WrongFile) return false;
  throw error;
}

/** Types that browsers insist on and some hosts do not know. */
function contentType(path: string): string | undefined {
  if (path.endsWith('.wasm')) return 'application/wasm';
  if (path.endsWith('.webmanifest')) return 'application/manifest+json';
  return undefined;
}

async function digest(bytes: ArrayBuffer): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return [...hash].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
