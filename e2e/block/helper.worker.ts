/** A helper of `aio=threads`: opens the file, says so, and serves the port until the stop. */
import { probeSharedViews } from '../../src/block/drivers/sync-file.ts';
import { ThreadServer } from '../../src/block/drivers/thread-server.ts';
import { diskFolder } from './real-storage.ts';
import type { HelperStart } from './messages.ts';

async function serve(start: HelperStart): Promise<void> {
  const directory = await diskFolder();
  const handle = await directory.getFileHandle(start.name);
  const file = await handle.createSyncAccessHandle({ mode: start.mode });
  const wake = new Int32Array(start.wake);
  const server = new ThreadServer({
    port: start.port,
    memory: start.memory,
    file,
    readOnly: start.readOnly,
    sharedViews: probeSharedViews(file),
    wake: () => {
      Atomics.add(wake, 0, 1);
      Atomics.notify(wake, 0);
    },
  });
  self.postMessage('');
  server.run();
  self.close();
}

self.addEventListener('message', ({ data }: MessageEvent<HelperStart>) => {
  serve(data).catch((error: unknown) => self.postMessage(String(error)));
});
