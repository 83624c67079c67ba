/** Replays the committed vectors in a worker of the browser, with the wasm modules that the page ships. */
import { expose } from 'comlink';
import { platformsOf, VectorSuite } from '../../tools/vectors/suite.ts';

export interface VectorReport {
  readonly groups: number;
  readonly cases: number;
  /** Files replayed, by platform. */
  readonly replayed: Readonly<Record<'long' | 'legacy', number>>;
  /** What nobody has accounted for: file, platform, text. */
  readonly differences: readonly string[];
  /** Forms of the table that should have cases and have none. */
  readonly missing: readonly string[];
  readonly milliseconds: number;
}

export interface VectorWorker {
  /** Addresses relative to the page; `files` are names under `vectors/`. */
  run(files: readonly string[]): Promise<VectorReport>;
}

async function load(url: string): Promise<Response> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: the server answered ${response.status}`);
  return response;
}

async function loadBytes(url: string): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await (await load(url)).arrayBuffer());
}

async function loadCompressed(url: string): Promise<Uint8Array<ArrayBuffer>> {
  const { body } = await load(url);
  if (body === null) throw new Error(`${url} is empty`);
  return new Uint8Array(await new Response(body.pipeThrough(new DecompressionStream('gzip'))).arrayBuffer());
}

async function run(files: readonly string[]): Promise<VectorReport> {
  const suite = new VectorSuite(await loadBytes('/core.wasm'), await loadBytes('/interpreter.wasm'));
  for (const file of files) suite.add(file, await loadCompressed(`/vectors/${file}`));
  const started = performance.now();
  const replayed = { long: 0, legacy: 0 };
  const differences: string[] = [];
  for (const file of files) {
    for (const kind of platformsOf(file)) {
      replayed[kind]++;
      const text = suite.unknownDifferences(file, kind);
      if (text !== '') differences.push(`${file}, ${kind} mode:\n${text}`);
    }
  }
  return {
    groups: suite.groupCount,
    cases: suite.caseCount,
    replayed,
    differences,
    missing: suite.coverage().missing,
    milliseconds: performance.now() - started,
  };
}

const worker: VectorWorker = { run };
expose(worker);
