/** Debian root file systems by package name, built once and kept in build/rootfs/. */
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Result } from '../../src/base/result.ts';
import { failure, success } from '../../src/base/result.ts';
import type { Log } from '../guest/apt.ts';
import { PROJECT_FOLDER } from '../guest/folders.ts';
import { run } from '../guest/process.ts';
import { fetchClosure } from './closure.ts';
import type { Architecture } from './closure.ts';
import { emptyRoot } from './tree.ts';
import type { RootTree } from './tree.ts';

export interface RootRecipe {
  /** Names its files. */
  readonly name: string;
  readonly architecture: Architecture;
  /** Debian packages; what they depend on comes by itself. */
  readonly packages: readonly string[];
  /** Paths that are not needed. */
  readonly leaveOut?: RegExp;
  /** Scripts of ours, by path. */
  readonly scripts?: Readonly<Record<string, string>>;
}

const FOLDER = join(PROJECT_FOLDER, 'build/rootfs');

/** An initramfs (cpio, not compressed) without an /init: append a second archive that has one. */
export function rootCpio(recipe: RootRecipe, log: Log): Promise<Result<string>> {
  return kept(recipe, 'cpio', log, async (tree, file) => writeFile(file, tree.toCpio()));
}

/** A folder that holds the root, for chroot(8) on this machine. */
export function rootFolder(recipe: RootRecipe, log: Log): Promise<Result<string>> {
  return kept(recipe, 'root', log, async (tree, folder) => {
    await mkdir(folder);
    await tree.toFolder(folder);
  });
}

/** A raw image of `mebibytes` with an ext4 file system that holds the root. */
export function rootExt4(recipe: RootRecipe, mebibytes: number, log: Log): Promise<Result<string>> {
  return kept(recipe, `${mebibytes}.ext4`, log, (tree, file) => makeExt4(tree, file, mebibytes));
}

/** An ext4 file system in a new file, made by e2fsprogs without mounting it. */
export async function makeExt4(tree: RootTree, file: string, mebibytes: number): Promise<void> {
  const folder = `${file}.tree`;
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  try {
    await tree.toFolder(folder);
    const options = ['-q', '-F', '-t', 'ext4', '-E', 'root_owner=0:0', '-L', 'root', '-d', folder];
    const made = await run('mke2fs', [...options, file, `${mebibytes}M`]);
    if (made.code !== 0) throw new Error(`mke2fs failed: ${made.stderr.trim()}`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The result of an earlier call for the same recipe by the same tools, or a new one. */
async function kept(
  recipe: RootRecipe,
  kind: string,
  log: Log,
  make: (tree: RootTree, path: string) => Promise<void>,
): Promise<Result<string>> {
  const key = await keyOf(recipe);
  const path = join(FOLDER, `${recipe.name}-${recipe.architecture}-${key}.${kind}`);
  if (await exists(path)) return success(path);
  const packages = await fetchClosure(recipe.packages, recipe.architecture, log);
  if (!packages.ok) return packages;
  log(`unpacking ${packages.value.length} packages: ${recipe.name}, ${recipe.architecture}`);
  const part = `${path}.${process.pid}`;
  try {
    const tree = emptyRoot();
    for (const source of packages.value) {
      await tree.unpack(source, (entry) => recipe.leaveOut?.test(entry) === true);
    }
    for (const [name, text] of Object.entries(recipe.scripts ?? {})) tree.file(name, text, 0o755);
    await mkdir(FOLDER, { recursive: true });
    await rm(part, { recursive: true, force: true });
    await make(tree, part);
    await rename(part, path);
  } catch (error) {
    await rm(part, { recursive: true, force: true });
    return failure(`${recipe.name}: ${error instanceof Error ? error.message : String(error)}`);
  }
  return success(path);
}

/** Changes with the recipe and with this folder's code. Newer packages of the mirror are not noticed: delete build/rootfs. */
async function keyOf({ packages, leaveOut, scripts }: RootRecipe): Promise<string> {
  const folder = dirname(fileURLToPath(import.meta.url));
  const hash = createHash('sha256');
  for (const name of ['closure.ts', 'tree.ts', 'root-fs.ts']) hash.update(await readFile(join(folder, name)));
  hash.update(JSON.stringify([packages, leaveOut?.source, scripts]));
  return hash.digest('hex').slice(0, 12);
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
