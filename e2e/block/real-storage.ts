/** The browser's own storage, in the shapes that the drivers take. */
import type { HelperRequest } from '../../src/block/aio.ts';
import type { OpfsDirectory } from '../../src/block/drivers/opfs-directory.ts';
import type { Result } from '../../src/base/result.ts';
import { failure, success } from '../../src/base/result.ts';
import type { HelperStart } from './messages.ts';

export async function diskFolder(): Promise<OpfsDirectory> {
  const root = await navigator.storage.getDirectory();
  return root.getDirectoryHandle('disks', { create: true });
}

export async function startHelpers(
  request: HelperRequest,
  wake: SharedArrayBuffer,
): Promise<Result<undefined>> {
  const { port, memory, name, mode, readOnly } = request;
  const problems = await Promise.all(
    Array.from({ length: request.threads }, () => startHelper({ port, memory, wake, name, mode, readOnly })),
  );
  const problem = problems.find((text) => text !== '');
  return problem === undefined ? success(undefined) : failure(problem);
}

function startHelper(start: HelperStart): Promise<string> {
  const worker = new Worker(new URL('./helper.worker.ts', import.meta.url), { type: 'module' });
  return new Promise((resolve) => {
    worker.addEventListener('message', ({ data }: MessageEvent<string>) => resolve(data));
    worker.addEventListener('error', ({ message }) => resolve(message || 'the worker did not start'));
    worker.postMessage(start);
  });
}
