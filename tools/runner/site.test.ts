import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { serveSite } from './site.ts';
import type { SiteServer } from './site.ts';

let folder: string;
let site: SiteServer;
const onWrite = vi.fn();

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'virtab-site-'));
  writeFileSync(join(folder, 'disk.img'), 'as it was before');
  const writable = new Map([['/disk/a', join(folder, 'disk.img')]]);
  onWrite.mockClear();
  site = await serveSite({ folder, writable, onWrite });
});

afterEach(() => {
  site.close();
  rmSync(folder, { recursive: true });
});

async function put(path: string, body?: string): Promise<number> {
  const response = await fetch(new URL(path, site.url), {
    method: 'PUT',
    ...(body === undefined ? {} : { body }),
  });
  return response.status;
}

it('is told of every piece of a large image, so that the runner waits for the rest', async () => {
  expect(await put('/disk/a?offset=6', 'behind')).toBe(200);
  expect(onWrite).toHaveBeenCalledTimes(1);
  expect(await put('/disk/a?offset=0', 'before')).toBe(200);
  expect(onWrite).toHaveBeenCalledTimes(2);
  expect(await put('/disk/a?size=10')).toBe(200);
  expect(readFileSync(join(folder, 'disk.img'), 'utf8')).toBe('beforebehi');
});

it('leaves an image as it was until all of the new one is there', async () => {
  await put('/disk/a?offset=0', 'half');
  expect(readFileSync(join(folder, 'disk.img'), 'utf8')).toBe('as it was before');
  await put('/disk/a?size=4');
  expect(readdirSync(folder)).toEqual(['disk.img']);
});

it('writes to no file that it was not given', async () => {
  expect(await put('/disk/b?offset=0', 'x')).toBe(403);
  expect(onWrite).not.toHaveBeenCalled();
});
