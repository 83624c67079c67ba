/** Guest code to one WebAssembly module, without a look at the machine: on the vCPU's thread or on the compile worker. */
import type { Decoder } from '../isa/decoder.ts';
import { PAGE_SIZE } from '../layout/map.ts';
import { compileRegions } from './compile.ts';
import { formRegion, type Region } from './region.ts';

/** A page of guest code and which blocks of it are meant. */
export interface PageRequest {
  /** A copy of the page, and behind it what is known of the next one. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Its physical address. */
  readonly address: number;
  readonly mode: number;
  /** Offsets of the blocks, rising. */
  readonly leaders: readonly number[];
  /** Those among them that have to be entries. */
  readonly wanted: readonly number[];
}

export interface PageResult {
  /** Its function is exported as `r` with this number; -1 if nothing could be translated. */
  readonly func: number;
  /** Offsets of the region's entries, by number. */
  readonly entries: readonly number[];
  /** Offsets of the blocks that the region covers, rising. */
  readonly covered: readonly number[];
  readonly instructions: number;
}

export interface Translation {
  readonly pages: readonly PageResult[];
  /** The module, or undefined if there is nothing in it. */
  readonly bytes: Uint8Array<ArrayBuffer> | undefined;
}

export type FormRegion = (decoder: Decoder, request: PageRequest) => Region;

export const regionOf: FormRegion = (decoder, { bytes, address, mode, leaders, wanted }) => {
  const tail = bytes.length - PAGE_SIZE;
  return formRegion(decoder, bytes, 0, mode, leaders, new Set(wanted), address, tail);
};

export interface TranslationOptions {
  /** As `compileRegions` has it. */
  readonly journaled: boolean;
  readonly form: FormRegion;
}

export const PLAIN: TranslationOptions = { journaled: false, form: regionOf };

export function translatePages(
  decoder: Decoder,
  requests: readonly PageRequest[],
  { journaled, form }: TranslationOptions = PLAIN,
): Translation {
  const regions: Region[] = [];
  const pages = requests.map((request): PageResult => {
    const region = form(decoder, request);
    const covered = region.blocks.map(({ offset }) => offset);
    const func = covered.length === 0 ? -1 : regions.push(region) - 1;
    const instructions = region.blocks.reduce((sum, block) => sum + block.instructions.length, 0);
    return { func, entries: region.plan.entries, covered, instructions };
  });
  return { pages, bytes: regions.length === 0 ? undefined : compileRegions(regions, journaled) };
}
