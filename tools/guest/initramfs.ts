/** The default guest's root: busybox, a few kernel modules, and the scripts that bring it up. */
import { appletNames } from './busybox.ts';
import { CpioArchive } from './cpio.ts';
import { dependenciesOf, modulesAlias, modulesDep } from './modules.ts';
import type { KernelModule } from './modules.ts';

/** What a PC like ours may need; modules that the kernel has built in are not there and are skipped. */
export const WANTED_MODULES = [
  'virtio_pci',
  'virtio_blk',
  'virtio_net',
  'virtio_console',
  'virtio_rng',
  'virtio_balloon',
  'virtio_input',
  'ext4',
  'vfat',
  'isofs',
  'nls_cp437',
  'nls_ascii',
  'nls_utf8',
  'loop',
  'button',
  'evdev',
] as const;

/**
 * PID 1 until it hands over to busybox's init. Every external command costs the guest about a million
 * instructions, so what the shell has built in is preferred. Modules are loaded for the hardware that is there.
 */
const INIT = `#!/bin/sh
export PATH=/bin
[ -e /bin/mount ] || /bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
echo virtab > /proc/sys/kernel/hostname

# Modules: first for the buses' devices, then for those that the first ones brought up.
modprobe -qab $(cat /sys/bus/*/devices/*/modalias 2>/dev/null) 2>/dev/null
set -- /sys/bus/virtio/devices/*/modalias /sys/class/input/input*/modalias
if [ -e "$1" ] || [ -e "$2" ]; then
  modprobe -qab $(cat "$@" 2>/dev/null) 2>/dev/null
fi

ip link set lo up
for interface in /sys/class/net/eth*; do
  [ -e "$interface" ] || continue
  ip link set "\${interface##*/}" up
  udhcpc -b -i "\${interface##*/}" -s /etc/udhcpc.script > /dev/null 2>&1 &
done

# A serial line does not know the size of the terminal. COLUMNS=n LINES=n on the kernel's command line tell it at
# the start, and are no use to anybody later; the command "resize" asks the terminal for it.
[ -n "$COLUMNS" ] && [ -n "$LINES" ] && stty cols "$COLUMNS" rows "$LINES" 2>/dev/null
unset COLUMNS LINES

# The power button.
[ -e /dev/input/event0 ] && acpid -l /dev/null 2>/dev/null

# A root shell on every console that the kernel was given.
read -r consoles < /sys/class/tty/console/active
{
  for console in $consoles; do
    [ "$console" = tty0 ] && console=tty1
    [ -c "/dev/$console" ] && echo "$console::respawn:-/bin/sh"
  done
  echo '::ctrlaltdel:/bin/reboot'
  echo '::shutdown:/bin/umount -a -r'
} > /etc/inittab
exec /bin/init
`;

const PROFILE = `export PATH=/bin HOME=/root USER=root
export PS1='\\u@\\h:\\w\\$ '
case $(tty) in
  /dev/tty[0-9]*) export TERM=linux ;;
  *) export TERM=xterm-256color ;;
esac
alias ll='ls -l'
cd /root
read -r release < /proc/sys/kernel/osrelease
echo "Virtab: Linux $release with busybox, from Debian. You are root; 'poweroff' ends the machine."
`;

/** Called by udhcpc with the lease in the environment. */
const UDHCPC_SCRIPT = `#!/bin/sh
case "$1" in
  deconfig)
    ip addr flush dev "$interface"
    ip link set "$interface" up
    ;;
  bound|renew)
    ip addr flush dev "$interface"
    ip addr add "$ip/\${mask:-24}" dev "$interface"
    for gateway in $router; do
      ip route replace default via "$gateway" dev "$interface"
      break
    done
    : > /etc/resolv.conf
    [ -n "$domain" ] && echo "search $domain" >> /etc/resolv.conf
    for server in $dns; do echo "nameserver $server" >> /etc/resolv.conf; done
    ;;
esac
`;

export interface InitramfsParts {
  readonly busybox: Uint8Array;
  /** Kernel release, e.g. `6.1.0-56-cloud-amd64`. */
  readonly release: string;
  /** All modules of the kernel package that may be taken, by name. */
  readonly modules: ReadonlyMap<string, KernelModule>;
  /** modules.builtin of the kernel package. */
  readonly builtin: string;
}

/** The wanted modules that exist, with all that they depend on. */
export function selectModules(modules: ReadonlyMap<string, KernelModule>): ReadonlyMap<string, KernelModule> {
  const selected = new Map<string, KernelModule>();
  for (const name of WANTED_MODULES) {
    const module = modules.get(name);
    if (module === undefined) continue;
    for (const needed of [...dependenciesOf(name, modules), module]) selected.set(needed.name, needed);
  }
  return selected;
}

export function makeInitramfs(parts: InitramfsParts): Uint8Array {
  const archive = new CpioArchive();
  for (const path of ['bin', 'dev', 'etc', 'lib', 'mnt', 'proc', 'run', 'sys', 'usr', 'var'])
    archive.directory(path);
  archive.directory('root', 0o700);
  archive.directory('tmp', 0o1777);
  archive.symlink('sbin', 'bin');
  archive.symlink('usr/bin', '../bin');
  archive.symlink('usr/sbin', '../bin');
  // The kernel opens the console before anything is mounted on /dev.
  archive.characterDevice('dev/console', 5, 1);
  archive.characterDevice('dev/null', 1, 3, 0o666);

  archive.file('bin/busybox', parts.busybox, 0o755);
  archive.symlink('bin/sh', 'busybox');
  for (const applet of appletNames(parts.busybox)) {
    if (!archive.has(`bin/${applet}`)) archive.symlink(`bin/${applet}`, 'busybox');
  }

  archive.file('init', INIT, 0o755);
  archive.file('etc/profile', PROFILE);
  archive.file('etc/passwd', 'root:x:0:0:root:/root:/bin/sh\n');
  archive.file('etc/shadow', 'root::0:0:99999:7:::\n', 0o600);
  archive.file('etc/group', 'root:x:0:\n');
  archive.file('etc/hosts', '127.0.0.1 localhost virtab\n');
  archive.file('etc/resolv.conf', '');
  archive.file('etc/udhcpc.script', UDHCPC_SCRIPT, 0o755);
  // acpid runs this for the power button.
  archive.file('etc/acpi/PWRF/00000080', '#!/bin/sh\nexec /bin/poweroff\n', 0o755);

  const folder = `lib/modules/${parts.release}`;
  const modules = selectModules(parts.modules);
  for (const module of modules.values()) archive.file(`${folder}/${module.path}`, module.data);
  archive.file(`${folder}/modules.dep`, modulesDep(modules));
  archive.file(`${folder}/modules.alias`, modulesAlias(modules));
  archive.file(`${folder}/modules.builtin`, parts.builtin);
  archive.file(`${folder}/modules.symbols`, '');
  return archive.bytes();
}
