/** Sorts files that were dropped or chosen by what they are. */
import { sniff, SNIFF_BYTES } from '../disks/sniff.ts';
import type { FileKind } from '../disks/sniff.ts';
import type { AddedImage } from './disks/add-disk-dialog.ts';

export interface Refusal {
  readonly name: string;
  /** Goes behind the name. */
  readonly why: string;
  readonly advice: string;
}

export interface SortedFiles {
  readonly kernel?: File;
  readonly initrd?: File;
  readonly images: readonly AddedImage[];
  readonly refused: readonly Refusal[];
}

export async function sortFiles(files: readonly File[]): Promise<SortedFiles> {
  let kernel: File | undefined;
  let initrd: File | undefined;
  const images: AddedImage[] = [];
  const refused: Refusal[] = [];
  for (const file of files) {
    const kind = await sniffFile(file);
    switch (kind.kind) {
      case 'kernel':
        kernel = file;
        break;
      case 'initrd':
        initrd = file;
        break;
      case 'disk':
      case 'iso':
        images.push({ file, content: kind.content, problem: kind.problem, readOnly: kind.kind === 'iso' });
        break;
      case 'refused':
        refused.push({ name: file.name, why: kind.why, advice: kind.advice });
        break;
    }
  }
  return {
    images,
    refused,
    ...(kernel === undefined ? {} : { kernel }),
    ...(initrd === undefined ? {} : { initrd }),
  };
}

export function refusalText({ name, why }: Refusal): string {
  return `${name} ${why}.`;
}

async function sniffFile(file: File): Promise<FileKind> {
  try {
    const head = new Uint8Array(await file.slice(0, SNIFF_BYTES).arrayBuffer());
    return sniff({ name: file.name, sizeBytes: file.size, head });
  } catch {
    return {
      kind: 'refused',
      why: 'cannot be read',
      advice: 'Drop a file, not a folder; if it is a file, check that it is still there.',
    };
  }
}
