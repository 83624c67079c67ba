/**
 * What a built site consists of. The build writes this list into the service worker, so that a change of any file is a
 * new worker, and a worker serves the files of one build only.
 */

/**
 * - `shell`: what the page needs to start; kept before the worker serves anything.
 * - `guest`: large and not needed at once; kept when it is first loaded, or when the page has time.
 */
export type SiteFileGroup = 'shell' | 'guest';

export interface SiteFile {
  /** Relative to the site's folder, for example `assets/core-1a2b3c.wasm`. */
  readonly path: string;
  readonly group: SiteFileGroup;
  readonly bytes: number;
  /** Hexadecimal. */
  readonly sha256: string;
}

export interface SiteVersion {
  /** Differs whenever a file does. */
  readonly version: string;
  readonly files: readonly SiteFile[];
}

/** The path of the site's file that `url` asks for; undefined outside of the site. `scope` is the URL of its folder. */
export function sitePath(url: string, scope: string): string | undefined {
  const { origin, pathname } = new URL(url);
  const folder = new URL(scope);
  if (origin !== folder.origin || !pathname.startsWith(folder.pathname)) return undefined;
  const path = decodePath(pathname.slice(folder.pathname.length));
  if (path === undefined) return undefined;
  return path === '' || path.endsWith('/') ? `${path}index.html` : path;
}

function decodePath(path: string): string | undefined {
  try {
    return decodeURIComponent(path);
  } catch {
    return undefined;
  }
}
