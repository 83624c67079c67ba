import { expect, test } from 'vitest';
import { diskNameProblem, freeDiskName } from './disk-folder.ts';

test.each(['debian.img', 'my disk', 'Größe.raw', 'a.b.c'])('“%s” can be the name of a disk', (name) => {
  expect(diskNameProblem(name)).toBeUndefined();
});

test.each([
  ['', 'A disk needs a name.'],
  ['a,readonly=off', "A disk's name cannot contain “,”."],
  ['../escape', "A disk's name cannot begin with a dot"],
  ['half.import', "A disk's name cannot begin with a dot"],
  ['x'.repeat(101), '100 characters at most'],
  ['tab\tbed', "A disk's name cannot contain “\t”."],
])('“%s” cannot be the name of a disk', (name, problem) => {
  expect(diskNameProblem(name)).toContain(problem);
});

test.each([
  ['debian.img', [], 'debian.img'],
  ['debian.img', ['debian.img'], 'debian-2.img'],
  ['debian.img', ['debian.img', 'debian-2.img'], 'debian-3.img'],
  ['disk', ['disk'], 'disk-2'],
  ['../a,b.img', [], '-a-b.img'],
  ['...', [], 'disk.img'],
] as const)('%s beside %j becomes %s', (wanted, taken, name) => {
  expect(freeDiskName(wanted, taken)).toBe(name);
});
