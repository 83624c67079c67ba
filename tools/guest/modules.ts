/** Kernel modules: what they say of themselves (.modinfo), their order, and the tables that modprobe reads. */

export interface KernelModule {
  /** Path below /lib/modules/<release>/, e.g. `kernel/drivers/net/virtio_net.ko`. */
  readonly path: string;
  readonly data: Uint8Array;
  /** With `_` for `-`, as in dependencies. */
  readonly name: string;
  readonly depends: readonly string[];
  readonly aliases: readonly string[];
}

export function moduleName(path: string): string {
  return path
    .replace(/^.*\//, '')
    .replace(/\.ko(\.\w+)?$/, '')
    .replaceAll('-', '_');
}

export function readModule(path: string, data: Uint8Array): KernelModule {
  const info = modinfo(data);
  return {
    path,
    data,
    name: moduleName(path),
    depends: values(info, 'depends')
      .flatMap((list) => list.split(','))
      .filter((name) => name !== '')
      .map((name) => name.replaceAll('-', '_')),
    aliases: values(info, 'alias'),
  };
}

/** The `key=value` strings of the module's .modinfo section. */
export function modinfo(elf: Uint8Array): string[] {
  const section = elfSection(elf, '.modinfo');
  if (section === undefined) throw new Error('kernel module without a .modinfo section');
  return new TextDecoder()
    .decode(section)
    .split('\0')
    .filter((line) => line !== '');
}

function values(info: readonly string[], key: string): string[] {
  return info.filter((line) => line.startsWith(`${key}=`)).map((line) => line.slice(key.length + 1));
}

/** Finds a section by name in a little-endian ELF file of either class (System V ABI, "Sections"). */
function elfSection(elf: Uint8Array, wanted: string): Uint8Array | undefined {
  const view = new DataView(elf.buffer, elf.byteOffset, elf.byteLength);
  if (elf.length < 52 || view.getUint32(0, false) !== 0x7f454c46)
    throw new Error('kernel module is not an ELF file');
  const is64 = elf[4] === 2;
  const offsetOf = (at: number): number =>
    is64 ? Number(view.getBigUint64(at, true)) : view.getUint32(at, true);
  const tableOffset = offsetOf(is64 ? 40 : 32);
  const entryBytes = view.getUint16(is64 ? 58 : 46, true);
  const count = view.getUint16(is64 ? 60 : 48, true);
  const namesIndex = view.getUint16(is64 ? 62 : 50, true);
  const contents = (index: number): Uint8Array => {
    const header = tableOffset + index * entryBytes;
    const offset = offsetOf(header + (is64 ? 24 : 16));
    const size = offsetOf(header + (is64 ? 32 : 20));
    return elf.subarray(offset, offset + size);
  };
  const names = contents(namesIndex);
  for (let index = 0; index < count; index++) {
    const nameOffset = view.getUint32(tableOffset + index * entryBytes, true);
    const end = names.indexOf(0, nameOffset);
    if (new TextDecoder().decode(names.subarray(nameOffset, end)) === wanted) return contents(index);
  }
  return undefined;
}

/** The modules that `name` needs first, deepest first; names that are no module of `set` are built in. */
export function dependenciesOf(name: string, set: ReadonlyMap<string, KernelModule>): KernelModule[] {
  const order: KernelModule[] = [];
  const visit = (module: KernelModule): void => {
    if (order.includes(module)) return;
    for (const dependency of module.depends) {
      const needed = set.get(dependency);
      if (needed !== undefined) visit(needed);
    }
    order.push(module);
  };
  const root = set.get(name);
  if (root !== undefined) visit(root);
  return order.slice(0, -1);
}

/** modules.dep (modules.dep(5)): dependencies are listed with the one to load first at the end. */
export function modulesDep(set: ReadonlyMap<string, KernelModule>): string {
  const lines = [...set.values()].map((module) => {
    const needed = dependenciesOf(module.name, set).toReversed();
    return [`${module.path}:`, ...needed.map((dependency) => dependency.path)].join(' ');
  });
  return `${lines.sort().join('\n')}\n`;
}

/** modules.alias, by which modprobe finds the module for a device or a file system. */
export function modulesAlias(set: ReadonlyMap<string, KernelModule>): string {
  const lines = [...set.values()].flatMap((module) =>
    module.aliases.map((alias) => `alias ${alias} ${module.name}`),
  );
  return `${lines.sort().join('\n')}\n`;
}
