/** 2 to the power of 32: what the high half of a 64-bit value counts in. */
export const TWO_32 = 0x1_0000_0000;

/** Bits `low` to `high` of a 32-bit value, both included. */
export function bits(value: number, high: number, low: number): number {
  return (value >>> low) & (0xffffffff >>> (31 - (high - low)));
}

/** Index of the highest set bit of a 32-bit value, -1 if it is zero. */
export function highestBit(value: number): number {
  return 31 - Math.clz32(value);
}

/** Index of the lowest set bit of a 32-bit value, -1 if it is zero. */
export function lowestBit(value: number): number {
  return value === 0 ? -1 : 31 - Math.clz32(value & -value);
}
