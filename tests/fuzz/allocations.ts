/**
 * Counts requested memory.
 *
 * @module
 */

const ARRAYS = ["ArrayBuffer", "Uint8Array", "Uint32Array", "Int32Array", "Float64Array", "Array"] as const;
/** Bytes per element of types without `BYTES_PER_ELEMENT`. The length of an `ArrayBuffer` is in bytes. */
const ELEMENT = { ArrayBuffer: 1, Array: 8 };

/**
 * Returns the bytes of all arrays and strings that are made with a given length, whether they are still in use or not.
 * Only such requests can turn a number from an input into memory; a value that grows by one element at a time costs as
 * much time as memory.
 *
 * @param run Code to measure.
 */
export function allocatedBy(run: () => void): number {
  const scope = globalThis as unknown as Record<string, new (...args: unknown[]) => object>;
  const { slice } = Uint8Array.prototype;
  const { repeat } = String.prototype;
  const real = new Map(ARRAYS.map((name) => [name, scope[name]!]));
  let bytes = 0;
  for (const [name, type] of real) {
    const size = "BYTES_PER_ELEMENT" in type ? Number(type.BYTES_PER_ELEMENT) : ELEMENT[name as keyof typeof ELEMENT];
    scope[name] = new Proxy(type, {
      construct(target, args, newTarget) {
        const [first] = args;
        const made = Reflect.construct(target, args, newTarget === scope[name] ? target : newTarget);
        if (typeof first === "number") bytes += first * size;
        else if (!(first instanceof ArrayBuffer) && "length" in made) bytes += Number(made.length) * size;
        return made;
      },
    });
  }
  Uint8Array.prototype.slice = function (start, end) {
    const copy = slice.call(this, start, end);
    bytes += copy.length;
    return copy;
  };
  String.prototype.repeat = function (count) {
    bytes += this.length * count;
    return repeat.call(this, count);
  };
  try {
    run();
  } finally {
    for (const [name, type] of real) scope[name] = type;
    Object.assign(Uint8Array.prototype, { slice });
    Object.assign(String.prototype, { repeat });
  }
  return bytes;
}
