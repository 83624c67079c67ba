/** Where disks live in the browser's storage: every file of this folder is a raw image, except what an import has not finished. */
export const DISK_FOLDER = 'disks';

/** Behind the name of a file that is being imported. */
export const UNFINISHED = '.import';

/** How long a name may be, and what it may not contain: it is a file's name, and a value of QEMU's comma-separated options. */
const NAME_MAX = 100;
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const FORBIDDEN = /[/\\,:"<>|?*\u0000-\u001f]/;
// oxlint-disable-next-line no-control-regex -- as above
const CONTROL = /[\u0000-\u001f]/g;

/** Why `name` cannot be a disk's; undefined if it can. */
export function diskNameProblem(name: string): string | undefined {
  if (name.trim() === '') return 'A disk needs a name.';
  if (name.length > NAME_MAX) return `A disk's name can have ${NAME_MAX} characters at most.`;
  if (name.startsWith('.') || name.endsWith(UNFINISHED) || name !== name.trim())
    return `A disk's name cannot begin with a dot, end with “${UNFINISHED}”, or have blanks around it.`;
  const bad = FORBIDDEN.exec(name)?.[0];
  return bad === undefined ? undefined : `A disk's name cannot contain “${bad}”.`;
}

/** A name for a file that was dropped: allowed, and not in `taken`. */
export function freeDiskName(wanted: string, taken: readonly string[]): string {
  const clean = wanted
    .replaceAll(CONTROL, '')
    .replaceAll(/[/\\,:"<>|?*]/g, '-')
    .replace(/^[.\s]+/, '')
    .trim();
  const limited = clean === '' ? 'disk.img' : clean.slice(-(NAME_MAX - 8));
  if (!taken.includes(limited)) return limited;
  const dot = limited.lastIndexOf('.');
  const [stem, extension] = dot > 0 ? [limited.slice(0, dot), limited.slice(dot)] : [limited, ''];
  for (let number = 2; ; number++) {
    const name = `${stem}-${number}${extension}`;
    if (!taken.includes(name)) return name;
  }
}
