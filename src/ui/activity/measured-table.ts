/** The result of a measurement as a table. */
import { element } from '../dom.ts';
import { formatCount } from '../text.ts';
import type { Figures, Measured } from './measure.ts';

const ROWS: readonly { readonly label: string; readonly read: (figures: Figures) => string }[] = [
  { label: 'MB/s by the guest’s clock', read: ({ megabytesPerSecond }) => megabytesPerSecond.toFixed(1) },
  { label: 'Kicks by doorbell', read: ({ kicks }) => formatCount(kicks) },
  { label: 'Synchronous exits', read: ({ exits }) => formatCount(exits) },
  { label: 'vCPU busy', read: ({ vcpu }) => `${vcpu.toFixed(0)} %` },
  { label: 'I/O worker busy', read: ({ worker }) => `${worker.toFixed(0)} %` },
];

export function measuredTable({ off, on, description }: Measured): HTMLElement {
  const heads = ['ioeventfd', 'off', 'on'].map((text) => element('th', { scope: 'col' }, text));
  const rows = ROWS.map(({ label, read }) =>
    element(
      'tr',
      {},
      element('th', { scope: 'row' }, label),
      element('td', {}, read(off)),
      element('td', {}, read(on)),
    ),
  );
  return element(
    'table',
    { class: 'measured-table' },
    element('caption', {}, `${description}.`),
    element('thead', {}, element('tr', {}, ...heads)),
    element('tbody', {}, ...rows),
  );
}
