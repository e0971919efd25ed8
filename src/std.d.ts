/**
 * Type declarations for the parts of Deno's standard library that Shoal uses, since its npm package has none. Importing
 * from JSR would make this file superfluous.
 */

declare module "@std/assert" {
  // deno-lint-ignore no-explicit-any
  type ErrorClass<E extends Error = Error> = abstract new (...args: any[]) => E;
  export class AssertionError extends Error {}
  export function assert(expr: unknown, msg?: string): asserts expr;
  export function assertFalse(expr: unknown, msg?: string): asserts expr is false | 0 | "" | null | undefined;
  export function assertEquals<T>(actual: T, expected: T, msg?: string): void;
  export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void;
  export function assertStrictEquals<T>(actual: unknown, expected: T, msg?: string): asserts actual is T;
  export function assertNotStrictEquals<T>(actual: T, expected: T, msg?: string): void;
  export function assertAlmostEquals(actual: number, expected: number, tolerance?: number, msg?: string): void;
  export function assertExists<T>(actual: T, msg?: string): asserts actual is NonNullable<T>;
  export function assertGreater<T>(actual: T, expected: T, msg?: string): void;
  export function assertGreaterOrEqual<T>(actual: T, expected: T, msg?: string): void;
  export function assertLess<T>(actual: T, expected: T, msg?: string): void;
  export function assertLessOrEqual<T>(actual: T, expected: T, msg?: string): void;
  export function assertInstanceOf<T extends ErrorClass>(
    actual: unknown,
    expectedType: T,
    msg?: string,
  ): asserts actual is InstanceType<T>;
  export function assertMatch(actual: string, expected: RegExp, msg?: string): void;
  export function assertNotMatch(actual: string, expected: RegExp, msg?: string): void;
  export function assertStringIncludes(actual: string, expected: string, msg?: string): void;
  export function assertArrayIncludes<T>(actual: ArrayLike<T>, expected: ArrayLike<T>, msg?: string): void;
  export function assertObjectMatch(
    actual: Record<PropertyKey, unknown>,
    expected: Record<PropertyKey, unknown>,
    msg?: string,
  ): void;
  export function assertThrows<E extends Error = Error>(
    fn: () => unknown,
    ErrorClass?: ErrorClass<E>,
    msgIncludes?: string,
    msg?: string,
  ): E;
  export function assertRejects<E extends Error = Error>(
    fn: () => PromiseLike<unknown>,
    ErrorClass?: ErrorClass<E>,
    msgIncludes?: string,
    msg?: string,
  ): Promise<E>;
  export function fail(msg?: string): never;
  export function unreachable(msg?: string): never;
}

declare module "npm:deno-std@1.4.0/encoding/base32.js" {
  export function decodeBase32(b32: string): Uint8Array<ArrayBuffer>;
}

declare module "npm:deno-std@1.4.0/encoding/base64.js" {
  export function decodeBase64(b64: string): Uint8Array<ArrayBuffer>;
  export function encodeBase64(data: Uint8Array): string;
}

declare module "npm:deno-std@1.4.0/encoding/hex.js" {
  export function decodeHex(src: string): Uint8Array<ArrayBuffer>;
  export function encodeHex(src: Uint8Array): string;
}

declare module "npm:deno-std@1.4.0/media_types/type_by_extension.js" {
  export function typeByExtension(extension: string): string | undefined;
}

declare module "npm:deno-std@1.4.0/path/posix/glob_to_regexp.js" {
  export function globToRegExp(glob: string, options?: { readonly caseInsensitive?: boolean }): RegExp;
}

declare module "@std/text" {
  export function closestString(given: string, possible: readonly string[]): string;
  export function levenshteinDistance(a: string, b: string): number;
}
