/** A helper of `aio=threads`: opens the image and serves the port until the disk's thread says stop. */
import type { HelperRequest } from '../block/aio.ts';
import type { OpfsDirectory } from '../block/drivers/opfs-directory.ts';
import { probeSharedViews } from '../block/drivers/sync-file.ts';
import { ThreadServer } from '../block/drivers/thread-server.ts';
import { viewsOf } from '../base/views.ts';
import { CAUSE_COMPLETION } from '../layout/machine.ts';
import { wakeThread } from '../sync/wake.ts';
import { browserImageFolder } from './image-folder.ts';

export interface HelperSetup extends Pick<HelperRequest, 'port' | 'memory' | 'name' | 'mode' | 'readOnly'> {
  /** The disk's thread. */
  readonly thread: number;
}

async function serve(setup: HelperSetup): Promise<void> {
  const { port, memory, name, mode, readOnly, thread } = setup;
  const folder = (await browserImageFolder()) as OpfsDirectory | undefined;
  if (folder === undefined) throw new Error('the browser gives no storage');
  const file = await (await folder.getFileHandle(name)).createSyncAccessHandle({ mode });
  const views = viewsOf(memory);
  const server = new ThreadServer({
    port,
    memory,
    file,
    readOnly,
    sharedViews: probeSharedViews(file),
    wake: () => wakeThread(views, thread, CAUSE_COMPLETION),
  });
  postMessage('ready');
  // The message leaves before the thread blocks.
  setTimeout(() => {
    server.run();
    close();
  }, 0);
}

addEventListener('message', ({ data }: MessageEvent<HelperSetup>) => {
  serve(data).catch((error: unknown) => {
    postMessage(error instanceof Error ? error.message : String(error));
    close();
  });
});
