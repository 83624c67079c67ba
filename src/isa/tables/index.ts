import { INTEGER_ROWS } from './integer.ts';
import type { Row } from './row.ts';
import { SSE_ROWS } from './sse.ts';

/** All instructions, in the order in which a decoder tries rows with the same opcode. */
export const ROWS: readonly Row[] = [...INTEGER_ROWS, ...SSE_ROWS];
