/** Packed decimal: 18 digits, low ones first, and the sign in bit 79 (APM volume 1, 6.3.3). */
import {
  addFlags,
  clearFlags,
  IE,
  INDEFINITE_SE,
  INDEFINITE_SIG,
  integerInexact,
  integerOverflow,
  integerPart,
  integerUp,
  isUnsupported,
  packInteger,
  PE,
  ROUNDED_UP,
  setResult,
} from './softfloat80';

// @ts-ignore: decorator
@inline const LIMIT: u64 = 1000000000000000000;

/** FBLD: the number into the result globals. A digit above 9 counts with its value. */
export function loadDecimal(low: u64, high: u32): void {
  clearFlags();
  let value: u64 = ((high >> 4) & 15) * 10 + (high & 15);
  for (let shift: i32 = 60; shift >= 0; shift -= 4) value = value * 10 + ((low >> shift) & 15);
  packInteger((high >> 15) & 1, value);
}

/** FBSTP: the ten bytes into the result globals (high ones in `rSe`), or the indefinite with IE. */
export function storeDecimal(se: u32, sig: u64, cw: u32): void {
  clearFlags();
  const special = (se & 0x7fff) == 0x7fff || isUnsupported(se, sig);
  let magnitude: u64 = special ? 0 : integerPart(se, sig, (cw >> 10) & 3);
  if (special || integerOverflow || magnitude >= LIMIT) {
    setResult(INDEFINITE_SE, INDEFINITE_SIG);
    addFlags(IE);
    return;
  }
  if (integerInexact) addFlags(PE);
  if (integerUp) addFlags(ROUNDED_UP);
  let low: u64 = 0;
  for (let shift: u64 = 0; shift < 64; shift += 4) {
    const next = magnitude / 10;
    low |= (magnitude - next * 10) << shift;
    magnitude = next;
  }
  const tens = <u32>magnitude / 10;
  setResult((se & 0x8000) | (tens << 4) | (<u32>magnitude - tens * 10), low);
}
