/**
 * The site's service worker: isolates the page where the host does not, and serves the files of its own build, without
 * the network once it has them. A new version waits until a person lets it take over; it never replaces single files.
 */
import type { KeptMessage, PageMessage } from '../site/messages.ts';
import { sitePath } from '../site/site-version.ts';
import type { SiteFile, SiteVersion } from '../site/site-version.ts';
import { FileStore } from './file-store.ts';

declare const self: ServiceWorkerGlobalScope;
/** Put here by the build. */
declare const __VIRTAB_SITE__: SiteVersion;

const site = __VIRTAB_SITE__;
const { scope } = self.registration;
const store = new FileStore({
  caches: self.caches,
  scope,
  site,
  fetch: (request) => self.fetch(request),
});

self.addEventListener('install', (event) => event.waitUntil(store.keepGroup('shell')));

// A first visit is served from now on; so are the pages of an earlier version, whose files are still kept.
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));

self.addEventListener('fetch', (event) => {
  const { request } = event;
  const path = sitePath(request.url, scope);
  if (path === undefined || request.method !== 'GET' || request.headers.has('Range')) return;
  const file = store.file(path);
  if (file !== undefined) event.respondWith(serve(event, file));
  else if (path.startsWith('assets/')) event.respondWith(serveEarlier(request, path));
  // All else is not ours: the network answers.
});

async function serve(event: FetchEvent, file: SiteFile): Promise<Response> {
  return (await store.kept(file)) ?? (await store.load(file, (done) => event.waitUntil(done)));
}

async function serveEarlier(request: Request, path: string): Promise<Response> {
  return (await store.fromEarlierVersion(path)) ?? (await self.fetch(request));
}

self.addEventListener('message', (event) => {
  const message = event.data as PageMessage;
  switch (message.kind) {
    case 'take-over':
      event.waitUntil(self.skipWaiting());
      break;
    case 'keep-all':
      event.waitUntil(keepAll().then((answer) => event.ports[0]?.postMessage(answer)));
      break;
  }
});

async function keepAll(): Promise<KeptMessage> {
  try {
    await store.keepGroup('shell');
    await store.keepGroup('guest');
    // Other tabs may still need the files of the version that they were loaded with, and the next version is on its way.
    const pages = await self.clients.matchAll({ type: 'window', includeUncontrolled: true });
    const { installing, waiting } = self.registration;
    if (pages.length <= 1 && installing === null && waiting === null) await store.forgetOtherVersions();
    return { kind: 'kept', version: site.version };
  } catch (error) {
    return { kind: 'not-kept', why: error instanceof Error ? error.message : String(error) };
  }
}
