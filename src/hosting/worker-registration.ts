/** Registers the site's service worker, and waits until it serves pages. */

/** Relative to the page: the worker's scope is the folder of the site. */
const SCRIPT = 'service-worker.js';

/**
 * - `insecure`: browsers offer service workers only over HTTPS and from localhost.
 * - `not-offered`: not in this browser or in this window (private windows, blocked storage).
 * - `failed`: the worker could not be had or started.
 */
export type RegistrationFailure =
  | { readonly kind: 'insecure' }
  | { readonly kind: 'not-offered' }
  | { readonly kind: 'failed'; readonly why: string };

export type Registration =
  | { readonly kind: 'registered'; readonly registration: ServiceWorkerRegistration }
  | RegistrationFailure;

export async function registerWorker(): Promise<Registration> {
  if (!isSecureContext) return { kind: 'insecure' };
  const container = navigator.serviceWorker as ServiceWorkerContainer | undefined;
  if (container === undefined) return { kind: 'not-offered' };
  try {
    return { kind: 'registered', registration: await container.register(SCRIPT) };
  } catch (error) {
    return { kind: 'failed', why: error instanceof Error ? error.message : String(error) };
  }
}

/** Resolves when `worker` serves pages (true), or will never (false). */
export function whenActive(worker: ServiceWorker): Promise<boolean> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (worker.state === 'activated') resolve(true);
      else if (worker.state === 'redundant') resolve(false);
      else return;
      worker.removeEventListener('statechange', look);
    };
    worker.addEventListener('statechange', look);
    look();
  });
}
