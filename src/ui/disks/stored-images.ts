/** The images in the browser's storage with what is on them. */
import type { DiskStore } from '../../control/disk-store.ts';
import { sniffContent, SNIFF_BYTES } from '../../disks/sniff.ts';
import { failure, success } from '../../base/result.ts';
import type { Result } from '../../base/result.ts';
import { openStoredImage } from '../../machine/disk-store.ts';

export interface StoredImage {
  readonly name: string;
  readonly sizeBytes: number;
  readonly inUse: boolean;
  /** The file system or partition table on it; empty where nothing known is. */
  readonly content: string;
}

export class StoredImages {
  readonly #store: DiskStore;

  constructor(store: DiskStore) {
    this.#store = store;
  }

  async list(): Promise<Result<readonly StoredImage[]>> {
    const images = await this.#store.list();
    if (!images.ok) return failure(images.error);
    return success(
      await Promise.all(
        images.value.map(async ({ name, bytes, inUse }) => ({
          name,
          sizeBytes: bytes,
          inUse,
          content: await contentOf(name),
        })),
      ),
    );
  }
}

async function contentOf(name: string): Promise<string> {
  try {
    const file = await openStoredImage(name);
    const head = new Uint8Array(await file.slice(0, SNIFF_BYTES).arrayBuffer());
    return sniffContent(head) ?? (head.every((byte) => byte === 0) ? 'blank' : '');
  } catch {
    // Written or removed at this moment: the next look says more.
    return '';
  }
}
