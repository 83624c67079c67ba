/** `npm run setup`: builds the core and the default guest, without serving them. Fails if there can be no guest. */
import { buildGuest } from './guest/build-guest.ts';
import { ensureWasm } from './runner/wasm.ts';

await ensureWasm(true);
const guest = await buildGuest((line) => console.log(line));
if (!guest.ok) {
  console.error(guest.error);
  process.exitCode = 1;
}
