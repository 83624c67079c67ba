/** A small chart of the last minute: a line over a filled area, with the present value beside it. */
import { element, setText } from '../dom.ts';

const NAMESPACE = 'http://www.w3.org/2000/svg';
const WIDTH = 240;
const HEIGHT = 34;

export interface SparklineOptions {
  readonly label: string;
  /** A sentence, for those who point at it. */
  readonly title: string;
  readonly format: (value: number) => string;
  /** The least that the full height stands for. */
  readonly leastTop: number;
  /** Points in the chart. */
  readonly length: number;
}

export class Sparkline {
  readonly node: HTMLElement;
  readonly #options: SparklineOptions;
  readonly #value = element('span', { class: 'chart-value' });
  readonly #line = document.createElementNS(NAMESPACE, 'polyline');
  readonly #area = document.createElementNS(NAMESPACE, 'polygon');
  #values: number[] = [];

  constructor(options: SparklineOptions) {
    this.#options = options;
    const plot = document.createElementNS(NAMESPACE, 'svg');
    plot.setAttribute('viewBox', `0 0 ${WIDTH} ${HEIGHT}`);
    plot.setAttribute('preserveAspectRatio', 'none');
    plot.setAttribute('aria-hidden', 'true');
    plot.classList.add('chart-plot');
    this.#area.classList.add('chart-area');
    this.#line.classList.add('chart-line');
    plot.append(this.#area, this.#line);
    const label = element('span', { class: 'chart-label' }, options.label);
    this.node = element('div', { class: 'chart', title: options.title }, label, this.#value, plot);
    this.push(0);
  }

  push(value: number): void {
    const { length, leastTop, format } = this.#options;
    this.#values = [...this.#values, value].slice(-length);
    const top = Math.max(leastTop, ...this.#values);
    const step = WIDTH / (length - 1);
    const first = WIDTH - (this.#values.length - 1) * step;
    const points = this.#values
      .map((one, index) => {
        const x = first + index * step;
        return `${x.toFixed(1)},${(HEIGHT - 1 - (one / top) * (HEIGHT - 3)).toFixed(1)}`;
      })
      .join(' ');
    this.#line.setAttribute('points', points);
    this.#area.setAttribute('points', `${first.toFixed(1)},${HEIGHT} ${points} ${WIDTH},${HEIGHT}`);
    setText(this.#value, format(value));
  }
}
