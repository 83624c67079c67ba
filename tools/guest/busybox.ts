/** The applets of a busybox binary, read from its name table, so that the binary need not run on the host. */

/**
 * busybox keeps all applet names in one sorted, NUL-separated list that starts with `[` and `[[`. The result is empty
 * if there is no such list; the guest then asks the binary itself (`busybox --install`).
 */
export function appletNames(binary: Uint8Array): string[] {
  const bytes = Buffer.from(binary.buffer, binary.byteOffset, binary.byteLength);
  const start = bytes.indexOf('\0[\0[[\0a', 0, 'latin1');
  if (start < 0) return [];
  const names: string[] = [];
  let from = start + 1;
  for (;;) {
    const end = bytes.indexOf(0, from);
    const name = bytes.toString('latin1', from, end);
    const previous = names.at(-1);
    if (!/^[\w.[-]+$/.test(name) || (previous !== undefined && name <= previous)) return names;
    names.push(name);
    from = end + 1;
  }
}
