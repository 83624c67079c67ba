/** Names for disks that come from files. */
const NAME_MAX = 100;
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const CONTROL = /[\u0000-\u001f]/g;

/** A name for a file that was dropped: one that an image can have, and not in `taken`. */
export function freeDiskName(wanted: string, taken: readonly string[]): string {
  const clean = wanted
    .replaceAll(CONTROL, '')
    .replaceAll(/[/\\:*?"<>|]/g, '-')
    .replace(/^[.\s]+/, '')
    .trim();
  const limited = clean === '' ? 'disk.img' : clean.slice(-NAME_MAX);
  if (!taken.includes(limited)) return limited;
  const dot = limited.lastIndexOf('.');
  const [stem, extension] = dot > 0 ? [limited.slice(0, dot), limited.slice(dot)] : [limited, ''];
  for (let number = 2; ; number++) {
    const name = `${stem}-${number}${extension}`;
    if (!taken.includes(name)) return name;
  }
}
