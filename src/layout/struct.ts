/**
 * Describes a C-like structure inside the shared memory. Every offset that TypeScript, the generated
 * interpreter, translated code and the AssemblyScript core use comes from such a description.
 */

const SIZES = { u8: 1, u16: 2, u32: 4, i32: 4, u64: 8, f64: 8, v128: 16 } as const;

export type FieldType = keyof typeof SIZES;

/** A field: its element type and, for arrays, the number of elements. */
export type Field = FieldType | readonly [type: FieldType, count: number];

export function elementBytes(type: FieldType): number {
  return SIZES[type];
}

export type Offsets<T extends Record<string, Field>> = { readonly [K in keyof T]: number };

export interface Struct<T extends Record<string, Field>> {
  /** Offset of each field from the start of the structure, in bytes. */
  readonly at: Offsets<T>;
  /** Total size in bytes, rounded up to 16. */
  readonly size: number;
  readonly fields: T;
}

/** Lays the fields out in order, each aligned to its element size. */
export function struct<const T extends Record<string, Field>>(fields: T): Struct<T> {
  const at: Record<string, number> = {};
  let offset = 0;
  for (const [name, field] of Object.entries<Field>(fields)) {
    const [type, count] = typeof field === 'string' ? [field, 1] : field;
    const size = SIZES[type];
    offset = (offset + size - 1) & -size;
    at[name] = offset;
    offset += size * count;
  }
  return { at: at as Offsets<T>, size: (offset + 15) & ~15, fields };
}
