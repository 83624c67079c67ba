/** The worker of a thread that owns devices. */
import { expose } from 'comlink';
import { failure, success } from '../base/result.ts';
import type { Result } from '../base/result.ts';
import type { HelperRequest } from '../block/aio.ts';
import type { IoEvent } from '../control/io-control.ts';
import type { HubLinkSetup } from '../iothread/hubs.ts';
import { createIoControl } from './io-control.ts';
import { browserImageFolder } from './image-folder.ts';

function startHelper(
  request: HelperRequest,
  thread: number,
  onEnd: (problem: string) => void,
): Promise<Worker> {
  const worker = new Worker(new URL('./aio-helper.ts', import.meta.url), { type: 'module', name: 'aio' });
  return new Promise((resolve, reject) => {
    worker.addEventListener('message', ({ data }: MessageEvent<string>) => {
      if (data === 'ready') resolve(worker);
      else reject(new Error(data));
    });
    worker.addEventListener('error', (event) => {
      event.preventDefault();
      reject(new Error(event.message));
      onEnd(event.message);
    });
    const { port, memory, name, mode, readOnly } = request;
    worker.postMessage({ port, memory, name, mode, readOnly, thread });
  });
}

async function startHelpers(request: HelperRequest, thread: number): Promise<Result<undefined>> {
  const workers: Worker[] = [];
  const lost = (problem: string): void => {
    for (const worker of workers) worker.terminate();
    request.lost(problem);
  };
  const started = await Promise.allSettled(
    Array.from({ length: request.threads }, async () =>
      workers.push(await startHelper(request, thread, lost)),
    ),
  );
  const failed = started.find((result) => result.status === 'rejected');
  if (failed === undefined) return success(undefined);
  for (const worker of workers) worker.terminate();
  return failure(failed.reason instanceof Error ? failed.reason.message : String(failed.reason));
}

/** Resolves when the helper listens. */
function linkHub(setup: HubLinkSetup): Promise<void> {
  const worker = new Worker(new URL('./hub-link.ts', import.meta.url), { type: 'module', name: 'hub' });
  return new Promise((resolve, reject) => {
    worker.addEventListener('message', () => resolve());
    worker.addEventListener('error', (event) => reject(new Error(event.message)));
    worker.postMessage(setup);
  });
}

expose(
  createIoControl({
    openDirectory: browserImageFolder,
    locks: navigator.locks,
    cores: navigator.hardwareConcurrency,
    startHelpers,
    readableFile: (file) => ({
      name: file.name,
      size: file.size,
      readSync: (start, end) => new FileReaderSync().readAsArrayBuffer(file.slice(start, end)),
    }),
    fillRandom: (bytes) => void crypto.getRandomValues(bytes),
    linkHub,
    report: (event: IoEvent) => postMessage({ ioEvent: event }),
  }),
);
