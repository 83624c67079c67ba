/** Fetches the images that an address names, to be read in place. */
import type { Result } from '../base/result.ts';
import type { LinkedImage } from '../config/v86-names.ts';
import type { Problem } from '../control/status.ts';
import { fileFromUrl } from '../machine/boot-file.ts';
import { formatBytes } from './text.ts';

export async function fetchImages(
  images: readonly LinkedImage[],
  tell: (text: string) => void,
): Promise<Result<readonly File[], Problem>> {
  const files: File[] = [];
  for (const { url, name } of images) {
    const progress = (received: number, total?: number): void =>
      tell(
        `Fetching ${name}: ${formatBytes(received)}${total === undefined ? '' : ` of ${formatBytes(total)}`}`,
      );
    const bytes = await fileFromUrl(name, url).read(progress, new AbortController().signal);
    if (!bytes.ok) return bytes;
    files.push(new File([bytes.value], name));
  }
  return { ok: true, value: files };
}
