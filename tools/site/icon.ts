/** The site's icon: one description, drawn as SVG for browsers and as PNG for home screens. Units of a 32 x 32 grid. */
import { crc32, deflateSync } from 'node:zlib';

type Point = readonly [x: number, y: number];

interface RoundedRectangle {
  readonly kind: 'rectangle';
  readonly from: Point;
  readonly to: Point;
  readonly radius: number;
  readonly colour: string;
}

interface Line {
  readonly kind: 'line';
  readonly points: readonly Point[];
  readonly width: number;
  readonly colour: string;
}

export type Shape = RoundedRectangle | Line;

const GRID = 32;

/** A prompt and a cursor. */
const PROMPT: readonly Line[] = [
  { kind: 'line', points: [[8, 11.5], [13, 16], [8, 20.5]], width: 2.6, colour: '#ffffff' },
  { kind: 'line', points: [[16, 21], [24, 21]], width: 2.6, colour: '#8fe0cb' },
]; // prettier-ignore

const GROUND = '#1d6f5f';

/** A screen. */
export const ICON: readonly Shape[] = [
  { kind: 'rectangle', from: [2, 4], to: [30, 28], radius: 5, colour: GROUND },
  ...PROMPT,
];

/** For systems that cut the icon into a shape of their own: all that matters is in the middle 80 % (maskable). */
export const MASKABLE_ICON: readonly Shape[] = [
  { kind: 'rectangle', from: [0, 0], to: [GRID, GRID], radius: 0, colour: GROUND },
  ...PROMPT,
];

export function iconSvg(shapes: readonly Shape[]): string {
  const drawn = shapes.map((shape) => {
    if (shape.kind === 'rectangle') {
      const [x, y] = shape.from;
      const size = `width="${shape.to[0] - x}" height="${shape.to[1] - y}"`;
      return `  <rect x="${x}" y="${y}" ${size} rx="${shape.radius}" fill="${shape.colour}"/>`;
    }
    const path = shape.points.map(([x, y]) => `${x} ${y}`).join('L');
    const stroke = `stroke="${shape.colour}" stroke-width="${shape.width}"`;
    return `  <path d="M${path}" fill="none" ${stroke} stroke-linecap="round" stroke-linejoin="round"/>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${GRID} ${GRID}">\n${drawn.join('\n')}\n</svg>\n`;
}

export function iconPng(shapes: readonly Shape[], size: number): Buffer {
  const scale = size / GRID;
  // Each row starts with its filter type: none (PNG, 9.2).
  const rows = Buffer.alloc(size * (1 + size * 4));
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      const point: Point = [(column + 0.5) / scale, (row + 0.5) / scale];
      rows.set(colourAt(shapes, point, scale), row * (1 + size * 4) + 1 + column * 4);
    }
  }
  return png(size, rows);
}

/** Red, green, blue, alpha; later shapes are in front. */
function colourAt(shapes: readonly Shape[], point: Point, scale: number): readonly number[] {
  let [red, green, blue, alpha] = [0, 0, 0, 0];
  for (const shape of shapes) {
    // The edge of a shape is one pixel wide.
    const cover = Math.min(1, Math.max(0, 0.5 - distance(shape, point) * scale));
    const rest = alpha * (1 - cover);
    if (cover === 0) continue;
    const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => Number.parseInt(shape.colour.slice(at, at + 2), 16));
    alpha = cover + rest;
    red = (r * cover + red * rest) / alpha;
    green = (g * cover + green * rest) / alpha;
    blue = (b * cover + blue * rest) / alpha;
  }
  return [red, green, blue, alpha * 255].map(Math.round);
}

/** From `point` to the edge of `shape`; negative inside. */
function distance(shape: Shape, [x, y]: Point): number {
  if (shape.kind === 'rectangle') {
    const { from, to, radius } = shape;
    const dx = Math.abs(x - (from[0] + to[0]) / 2) - (to[0] - from[0]) / 2 + radius;
    const dy = Math.abs(y - (from[1] + to[1]) / 2) - (to[1] - from[1]) / 2 + radius;
    return Math.hypot(Math.max(dx, 0), Math.max(dy, 0)) + Math.min(Math.max(dx, dy), 0) - radius;
  }
  let nearest = Infinity;
  for (let at = 1; at < shape.points.length; at++) {
    const [[startX, startY], [endX, endY]] = [shape.points[at - 1]!, shape.points[at]!];
    const [ex, ey, px, py] = [endX - startX, endY - startY, x - startX, y - startY];
    const along = Math.min(1, Math.max(0, (px * ex + py * ey) / (ex * ex + ey * ey)));
    nearest = Math.min(nearest, Math.hypot(px - ex * along, py - ey * along));
  }
  return nearest - shape.width / 2;
}

/** PNG, 5 and 11: signature, header, one piece of data, end. 8 bits per channel, with alpha. */
function png(size: number, rows: Buffer): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(size, 0);
  header.writeUInt32BE(size, 4);
  header.set([8, 6, 0, 0, 0], 8);
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(rows, { level: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const check = Buffer.alloc(4);
  check.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, check]);
}
