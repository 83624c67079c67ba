/**
 * What an address may not do by itself: a link that names a kernel and one of the user's own disks would let a stranger's kernel read
 * that disk. The user is asked, by name, and the machine comes up without them unless the answer is yes.
 */
import type { VmConfig } from '../config/vm-config.ts';
import { ask } from './confirm.ts';
import { withoutDrive } from './disks/drive-edits.ts';

/** What of the user's a configuration reaches for, in words; `brought` are images that the link itself brings. */
export function reachesFor(config: VmConfig, brought: readonly string[] = []): readonly string[] {
  return [
    ...config.drives.flatMap(({ file, readOnly }) =>
      file === undefined || brought.includes(file)
        ? []
        : [`the disk “${file}”${readOnly ? ' (to read it)' : ' (to read and change it)'}`],
    ),
    ...config.netdevs.map(({ hub }) => `the network of your other tabs (hub ${hub})`),
  ];
}

/** The configuration without any of it. */
export function harmless(config: VmConfig, brought: readonly string[] = []): VmConfig {
  const diskless = config.drives.reduce(
    (rest, { id, file }) => (file === undefined || brought.includes(file) ? rest : withoutDrive(rest, id)),
    config,
  );
  return {
    ...diskless,
    netdevs: [],
    devices: diskless.devices.filter(({ kind }) => kind !== 'virtio-net'),
  };
}

export async function confirmLink(config: VmConfig, brought: readonly string[]): Promise<VmConfig> {
  const wanted = reachesFor(config, brought);
  if (wanted.length === 0) return config;
  const kernel = config.kernel === undefined ? 'the default guest' : `the kernel ${config.kernel}`;
  const agreed = await ask({
    title: 'This link asks for something of yours',
    message: `It starts ${kernel} and gives it:`,
    items: wanted,
    confirm: 'Allow it',
    cancel: 'Start without',
    tone: 'danger',
  });
  return agreed ? config : harmless(config, brought);
}
