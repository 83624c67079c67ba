import { parseTable, type Row } from './row.ts';

/** MMX, SSE, SSE2, SSE3, SSSE3, SSE4.1 and SSE4.2. */
export const SSE_ROWS: readonly Row[] = parseTable(``);
