/** Where the CPU's time went, as a table. */
import type { Profile } from '../../control/regions.ts';
import { element } from '../dom.ts';

/** Regions that are shown. */
const MOST = 10;

export function hotTable({ samples, halted, interpreted, gone, regions }: Profile): HTMLElement {
  const share = (count: number): string => `${((100 * count) / Math.max(1, samples)).toFixed(1)} %`;
  const shown = regions.slice(0, MOST);
  const others = regions.slice(MOST).reduce((sum, region) => sum + region.samples, gone);
  const rows = [
    ['Halted', share(halted)],
    ['Interpreter and devices', share(interpreted)],
    ...shown.map(({ linear, kind, instructions, samples: count }) => [
      `${linear}: ${kind}, ${instructions} ${instructions === 1 ? 'instruction' : 'instructions'}`,
      share(count),
    ]),
    ...(others > 0 ? [['Other translated code', share(others)]] : []),
  ];
  return element(
    'table',
    { class: 'measured-table' },
    element('caption', {}, `${samples} looks. Translated code by the address of its page.`),
    element(
      'thead',
      {},
      element('tr', {}, element('th', { scope: 'col' }, 'Where'), element('th', { scope: 'col' }, 'Time')),
    ),
    element(
      'tbody',
      {},
      ...rows.map(([label = '', time = '']) =>
        element('tr', {}, element('th', { scope: 'row' }, label), element('td', {}, time)),
      ),
    ),
  );
}
