/** Gives the user a file: the browser asks where, or puts it with the other downloads. */
export function saveAs(name: string, contents: Blob): void {
  const url = URL.createObjectURL(contents);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  // The download has its own hold on the contents once it has begun.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
