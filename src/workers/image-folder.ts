/** Where the images of disks are in the browser's storage. */

import { IMAGE_FOLDER } from '../control/disk-store.ts';

/** Undefined where the browser gives no storage: an insecure page, or one that the user has forbidden it. */
export async function browserImageFolder(): Promise<FileSystemDirectoryHandle | undefined> {
  try {
    const root = await navigator.storage.getDirectory();
    return await root.getDirectoryHandle(IMAGE_FOLDER, { create: true });
  } catch {
    return undefined;
  }
}
