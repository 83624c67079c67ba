import { expect, it } from 'vitest';
import { parseModules } from './guest-files.ts';

it.each<[string, readonly { path: string; commandLine: string }[]]>([
  ['one', [{ path: 'one', commandLine: 'one' }]],
  [
    'one a=1 b, dir/two,three c',
    [
      { path: 'one', commandLine: 'one a=1 b' },
      { path: 'dir/two', commandLine: 'dir/two' },
      { path: 'three', commandLine: 'three c' },
    ],
  ],
  ['one a=1,,2', [{ path: 'one', commandLine: 'one a=1,2' }]],
  [
    'one,,,two',
    [
      { path: 'one,', commandLine: 'one,' },
      { path: 'two', commandLine: 'two' },
    ],
  ],
])('-initrd %j names the modules that QEMU would load', (text, modules) => {
  expect(parseModules(text)).toEqual(modules);
});
