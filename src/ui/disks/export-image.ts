/** Copies an image out of the browser: with progress where the browser lets pages write files, else as a download. */
import { success } from '../../base/result.ts';
import type { Result } from '../../base/result.ts';
import { saveAs } from '../download.ts';
import type { DiskJobs } from './disk-jobs.ts';

/** Of browsers with file pickers (Chromium). */
interface PickerWindow {
  showSaveFilePicker?(options: { suggestedName: string }): Promise<FileSystemFileHandle>;
}

const PIECE_BYTES = 4 * 1024 * 1024;

export async function exportImage(image: File, name: string, jobs: DiskJobs): Promise<Result<unknown>> {
  const picker = window as PickerWindow;
  if (picker.showSaveFilePicker === undefined) {
    // The browser shows the progress of a download itself.
    saveAs(name, image);
    return success(undefined);
  }
  let target: FileSystemFileHandle;
  try {
    target = await picker.showSaveFilePicker({ suggestedName: name });
  } catch {
    // The user chose no file.
    return success(undefined);
  }
  let gate: Promise<void> | undefined;
  let open: (() => void) | undefined;
  let cancelled = false;
  let show: (done: number) => void = () => undefined;
  const copy = async (): Promise<Result<unknown>> => {
    try {
      const writable = await target.createWritable();
      for (let at = 0; at < image.size; at += PIECE_BYTES) {
        if (gate !== undefined) await gate;
        if (cancelled) {
          await writable.abort();
          return success('cancelled');
        }
        const piece = image.slice(at, at + PIECE_BYTES);
        await writable.write(piece);
        show(at + piece.size);
      }
      await writable.close();
      return success('exported');
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      return {
        ok: false,
        error: `“${name}” could not be exported (${why}). If a machine uses it, power that off first.`,
      };
    }
  };
  const end = copy();
  show = jobs.add({
    title: `Exporting ${name}`,
    totalBytes: image.size,
    end,
    steer: (how) => {
      if (how === 'pause') {
        gate ??= new Promise((resolve) => {
          open = resolve;
        });
        return;
      }
      cancelled ||= how === 'cancel';
      open?.();
      gate = undefined;
    },
  });
  return end;
}
