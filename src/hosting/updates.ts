/** Keeps the site for use without the network, and tells when a newer version of it is there. */
import type { KeptMessage, PageMessage } from '../site/messages.ts';
import { registerWorker } from './worker-registration.ts';

/** The browser looks for a new version with every visit; a tab that stays open looks this often, when it is looked at. */
const CHECK_MS = 3_600_000;

export interface UpdateListener {
  /** A new version is kept completely and waits. */
  onReady(takeOver: () => void): void;
  /** Another tab let the new version take over; this one still runs the earlier one. */
  onReplaced(): void;
  /** The page works without the network from now on. */
  onKept(): void;
}

/** Does nothing where there is no service worker. */
export async function watchForUpdates(listener: UpdateListener): Promise<void> {
  const registered = await registerWorker();
  if (registered.kind !== 'registered') return;
  const { registration } = registered;

  let isReloading = false;
  const offer = (worker: ServiceWorker): void =>
    listener.onReady(() => {
      isReloading = true;
      tell(worker, { kind: 'take-over' });
    });
  const watch = (worker: ServiceWorker | null): void => {
    worker?.addEventListener('statechange', () => {
      // Without a worker before it, it is the first version and not a new one.
      if (worker.state === 'installed' && registration.active !== null) offer(worker);
    });
  };
  if (registration.waiting !== null && registration.active !== null) offer(registration.waiting);
  watch(registration.installing);
  registration.addEventListener('updatefound', () => watch(registration.installing));

  // The first controller of a page that came from the network is of the same version.
  let hadController = navigator.serviceWorker.controller !== null;
  navigator.serviceWorker.addEventListener('controllerchange', () => {
    if (isReloading) location.reload();
    else if (hadController) listener.onReplaced();
    hadController = true;
  });

  let checked = Date.now();
  document.addEventListener('visibilitychange', () => {
    if (document.hidden || Date.now() - checked < CHECK_MS) return;
    checked = Date.now();
    // Without the network there is nothing new.
    registration.update().catch(() => undefined);
  });

  const { active } = await navigator.serviceWorker.ready;
  if (active !== null && (await keepAll(active)).kind === 'kept') listener.onKept();
}

function tell(worker: ServiceWorker, message: PageMessage, ports: MessagePort[] = []): void {
  worker.postMessage(message, ports);
}

function keepAll(worker: ServiceWorker): Promise<KeptMessage> {
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve) => {
    port1.addEventListener('message', (event: MessageEvent<KeptMessage>) => {
      resolve(event.data);
      port1.close();
    });
    port1.start();
    tell(worker, { kind: 'keep-all' }, [port2]);
  });
}
