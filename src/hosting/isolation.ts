/**
 * Isolates the page where its host does not: the service worker adds the headers to everything that it serves, the page
 * itself included, so that one reload is needed at the first visit.
 */
import { registerWorker, whenActive } from './worker-registration.ts';
import type { RegistrationFailure } from './worker-registration.ts';

export type IsolationFailure =
  | RegistrationFailure
  /** The page is shown inside of a page that is not isolated itself. */
  | { readonly kind: 'framed' }
  /** The worker serves the page, and the browser does not isolate it all the same. */
  | { readonly kind: 'refused' };

/**
 * In the state of this history entry: the page was reloaded for the sake of the headers, and once is enough. (Not in the
 * session storage: isolation changes the process, and Chromium's processes each keep a copy of that.)
 */
interface EntryState {
  readonly reloadedForIsolation?: boolean;
}

export interface IsolationOptions {
  /** Called before the one wait that a person can notice. */
  readonly onWait: () => void;
}

/** Undefined if the page is isolated. Does not return if the page is about to be reloaded. */
export async function isolatePage({ onWait }: IsolationOptions): Promise<IsolationFailure | undefined> {
  const wasReloaded = (history.state as EntryState | null)?.reloadedForIsolation === true;
  if (wasReloaded) markReloaded(false);
  if (globalThis.crossOriginIsolated) return undefined;
  // Only the outermost page can be isolated by its own headers.
  if (window.top !== window) return { kind: 'framed' };
  if (wasReloaded) return { kind: 'refused' };
  onWait();
  const registered = await registerWorker();
  if (registered.kind !== 'registered') return registered;
  const { installing, waiting, active } = registered.registration;
  const worker = active ?? waiting ?? installing;
  if (worker === null || !(await whenActive(worker))) {
    return { kind: 'failed', why: 'its files could not be kept in the browser' };
  }
  markReloaded(true);
  location.reload();
  return await new Promise<never>(() => undefined);
}

function markReloaded(reloadedForIsolation: boolean): void {
  history.replaceState({ ...(history.state as EntryState | null), reloadedForIsolation }, '');
}
