/** The worker of the disk store: only in workers files have synchronous access. */
import { expose } from 'comlink';
import { failure, success } from '../base/result.ts';
import type { Result } from '../base/result.ts';
import { ImageStore } from '../block/image-store.ts';
import type { ImageFolder } from '../block/image-store.ts';
import { SteeredStream } from '../block/steered-stream.ts';
import { IMPORT_CANCELLED } from '../control/disk-store.ts';
import type { DiskStore } from '../control/disk-store.ts';
import { browserImageFolder } from './image-folder.ts';

const NO_STORAGE =
  'The browser gives this page no storage: it may be a private window, or the user has forbidden it.';
/** Several pieces of an export travel at a time. */
const UPLOADS = 4;

/** Imports under way, by the number that whoever asked for them gave. */
const jobs = new Map<number, SteeredStream>();

let opening: Promise<ImageStore | undefined> | undefined;

async function open(): Promise<ImageStore | undefined> {
  const folder = (await browserImageFolder()) as ImageFolder | undefined;
  return folder === undefined ? undefined : new ImageStore({ folder, locks: navigator.locks });
}

async function using<T>(work: (store: ImageStore) => Promise<Result<T>>): Promise<Result<T>> {
  opening ??= open();
  const store = await opening;
  return store === undefined ? failure(NO_STORAGE) : await work(store);
}

async function put(url: string, body?: Uint8Array<ArrayBuffer>): Promise<void> {
  const response = await fetch(url, { method: 'PUT', ...(body === undefined ? {} : { body }) });
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
}

const store: DiskStore = {
  list: () => using(async (images) => success(await images.list())),
  create: (name, bytes) => using((images) => images.create(name, bytes)),
  grow: (name, bytes) => using((images) => images.grow(name, bytes)),
  remove: (name) => using((images) => images.remove(name)),
  rename: (from, to) => using((images) => images.rename(from, to)),
  importBlob: (name, blob, progress, job) =>
    using((images) => {
      const steered = new SteeredStream(blob.stream());
      if (job !== undefined) jobs.set(job, steered);
      return images
        .import(name, steered.readable, blob.size, progress)
        .then((result) => (steered.isCancelled ? failure(IMPORT_CANCELLED) : result))
        .finally(() => {
          if (job !== undefined) jobs.delete(job);
        });
    }),
  steer: async (job, how) => jobs.get(job)?.steer(how),
  importUrl: (name, url, progress) =>
    using(async (images) => {
      const response = await fetch(url);
      if (!response.ok || response.body === null)
        return failure(`${url}: the server answered ${response.status}.`);
      const total = Number(response.headers.get('Content-Length') ?? 0);
      return await images.import(name, response.body, total, progress);
    }),
  exportFile: (name) => using((images) => images.exportFile(name)),
  exportTo: (name, url, progress) =>
    using(async (images) => {
      const uploads = new Set<Promise<void>>();
      const exported = await images.export(
        name,
        async (piece, at) => {
          const upload = put(`${url}?offset=${at}`, piece).then(() => void uploads.delete(upload));
          uploads.add(upload);
          if (uploads.size >= UPLOADS) await Promise.race(uploads);
        },
        progress,
      );
      if (!exported.ok) return exported;
      await Promise.all(uploads);
      await put(`${url}?size=${exported.value}`);
      return success(undefined);
    }),
  usage: async () => {
    const { usage = 0, quota = 0 } = await navigator.storage.estimate();
    return { usedBytes: usage, quotaBytes: quota, persistent: await navigator.storage.persisted() };
  },
};

expose(store);
