/** Files dropped anywhere on the page. */
import { element } from './dom.ts';

export function acceptDrops(target: HTMLElement, receive: (files: readonly File[]) => void): void {
  const veil = element(
    'div',
    { class: 'drop-veil', hidden: true },
    'Drop a kernel to start it, or a disk image to attach it',
  );
  target.append(veil);
  const hasFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes('Files') === true;
  // enter and leave fire for every element under the pointer: the count is 0 only outside.
  let depth = 0;
  target.addEventListener('dragenter', (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth++;
    veil.hidden = false;
  });
  target.addEventListener('dragleave', (event) => {
    if (!hasFiles(event)) return;
    depth = Math.max(0, depth - 1);
    veil.hidden = depth === 0;
  });
  target.addEventListener('dragover', (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    if (event.dataTransfer !== null) event.dataTransfer.dropEffect = 'copy';
  });
  target.addEventListener('drop', (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth = 0;
    veil.hidden = true;
    receive([...(event.dataTransfer?.files ?? [])]);
  });
}
