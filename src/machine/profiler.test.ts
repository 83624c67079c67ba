import { beforeEach, expect, test } from 'vitest';
import { viewsOf, type Views } from '../base/views.ts';
import type { InstalledRegion } from '../control/regions.ts';
import { RAM_BASE, vcpuAddress } from '../layout/map.ts';
import { MODE_CODE64, MODE_FLAT, REG_PAGE_RIP, VCPU } from '../layout/vcpu.ts';
import { Profiler } from './profiler.ts';

const MODE = MODE_CODE64 | MODE_FLAT;
const PAGE = 0x3000;

let views: Views;
let profiler: Profiler;

beforeEach(() => {
  views = viewsOf(
    new WebAssembly.Memory({ initial: RAM_BASE / 65536 + 1, maximum: 65536, shared: true }).buffer,
  );
  let time = 1000;
  profiler = new Profiler(views, () => (time += 10));
});

function set(offset: number, value: number): void {
  views.u32[(vcpuAddress(0) + offset) >>> 2] = value;
}

/** Looks `times` times at a vCPU that runs this. */
function lookAt(slot: number, times: number): void {
  // Some entry of it.
  set(VCPU.at.region, slot === 0 ? 0 : (slot << 8) | 7);
  for (let i = 0; i < times; i++) profiler.look();
}

function region(slot: number, installedAt = 0): InstalledRegion {
  return {
    slot,
    page: PAGE,
    mode: MODE,
    leaders: [0],
    wanted: [],
    entries: [0],
    tail: Uint8Array.of(0x12, 0x34),
    instructions: 5,
    installedAt,
  };
}

test('looks are shared among regions, interpreter and halts, the hottest region first', () => {
  lookAt(1, 2);
  lookAt(2, 5);
  lookAt(0, 3);
  set(VCPU.at.halted, 1);
  lookAt(2, 4);
  const { regions, ...profile } = profiler.profile([region(1), region(2), region(3)]);
  expect(profile).toEqual({ samples: 14, ms: 130, halted: 4, interpreted: 3, gone: 0 });
  expect(regions.map(({ samples }) => samples)).toEqual([5, 2]);
});

test('a region has its mode in words, the place where it was last seen, and its code with what crosses the page', () => {
  views.u8.set([0x89, 0xc8, 0xc3], RAM_BASE + PAGE);
  set(VCPU.at.regs + REG_PAGE_RIP * 8, 0x8100_3000);
  set(VCPU.at.regs + REG_PAGE_RIP * 8 + 4, 0xffff_ffff);
  lookAt(1, 1);
  const [hot] = profiler.profile([region(1)]).regions;
  expect(hot).toMatchObject({ page: PAGE, kind: '64-bit', linear: 'ffffffff81003000', instructions: 5 });
  expect(hot!.code).toMatch(/^89c8c3(00){4093}1234$/);
});

test('looks at regions that have gone are counted as such', () => {
  lookAt(1, 2);
  lookAt(2, 1);
  expect(profiler.profile([region(2)])).toMatchObject({ samples: 3, gone: 2, regions: [{ samples: 1 }] });
});

test('a region that got the slot of another does not inherit its time', () => {
  set(VCPU.at.countInstructions, 1000);
  lookAt(1, 4);
  set(VCPU.at.countInstructions, 3000);
  expect(profiler.profile([region(1, 2000)])).toMatchObject({ samples: 4, gone: 4, regions: [] });
  lookAt(1, 1);
  expect(profiler.profile([region(1, 2000)])).toMatchObject({ gone: 4, regions: [{ samples: 1 }] });
});
