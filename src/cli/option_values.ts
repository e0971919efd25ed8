/**
 * Parses the values of options. Errors name the option and the bad value.
 *
 * @module
 */

import { type HostPort, parseHostPort, parseIp } from "../base/address.ts";
import { ShoalError } from "../base/errors.ts";
import { parseSizeText } from "../base/size_text.ts";
import { type FileChoice, parseFileChoice } from "../metainfo/select.ts";

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86400 };

/** Parts of a {@linkcode badValue} error. */
export interface BadValueParts {
  /** The bad value. */
  readonly value: string;
  /** What is wrong with the value. */
  readonly why: string;
}

/**
 * Returns an error about the value of an option.
 *
 * @param flag The option, such as `--cache`.
 * @param parts See {@linkcode BadValueParts}.
 * @returns An error of kind `usage`.
 */
export function badValue(flag: string, parts: BadValueParts): ShoalError {
  return new ShoalError("usage", { what: "bad value", where: `${flag} ${parts.value}`, why: parts.why });
}

/**
 * Parses a size: a number with an optional unit. K and KiB are 1024 bytes, KB is 1000 bytes; likewise M, G and T.
 *
 * @param value A size such as `64M`, `1.5G`, `512KiB`, `10MB` or `4096`.
 * @param flag The option.
 * @returns Bytes, a whole number.
 * @throws {ShoalError} Of kind `usage` if the value is not a size.
 */
export function parseSize(value: string, flag: string): number {
  const bytes = Math.floor(parseSizeText(value));
  if (Number.isSafeInteger(bytes)) return bytes;
  throw badValue(flag, { value, why: "a size is a number with K, M, G or T behind it, like 64M" });
}

/**
 * Parses a rate: a size per second.
 *
 * @param value A rate such as `500K`, `5MB` or `5M/s`; `0` for no limit, as in other clients.
 * @param flag The option.
 * @returns Bytes per second; 0 for no limit.
 * @throws {ShoalError} Of kind `usage` if the value is not a rate.
 */
export function parseRate(value: string, flag: string): number {
  const why = "a rate is a number of bytes a second with K, M or G behind it, like 500K or 5M; 0 is for no limit";
  const match = /^([\d.]+(?:[KMGT](?:i?B)?)?)(?:\/s)?$/i.exec(value);
  if (match === null || Number.isNaN(parseFloat(value))) throw badValue(flag, { value, why });
  const rate = parseSize(match[1]!, flag);
  if (rate === 0 && parseFloat(value) !== 0) throw badValue(flag, { value, why });
  return rate;
}

/**
 * Parses a duration: numbers with unit s, m, h or d, or a number of seconds without unit.
 *
 * @param value A duration such as `90s`, `30m`, `1h30m`, `2d` or `45`.
 * @param flag The option.
 * @returns Seconds, above 0.
 * @throws {ShoalError} Of kind `usage` if the value is not a duration above 0.
 */
export function parseDuration(value: string, flag: string): number {
  const why = "a time is a number above 0 with s, m, h or d behind it, like 90s or 1h30m";
  if (!/^(?:\d+(?:\.\d+)?|(?:\d+(?:\.\d+)?[smhd])+)$/i.test(value)) throw badValue(flag, { value, why });
  let seconds = 0;
  for (const [, number, unit] of value.matchAll(/(\d+(?:\.\d+)?)([smhd]?)/gi)) {
    seconds += Number(number) * (SECONDS[(unit ?? "").toLowerCase()] ?? 1);
  }
  if (seconds <= 0 || seconds > 1e9) throw badValue(flag, { value, why });
  return seconds;
}

/**
 * Parses a port to listen on.
 *
 * @param value Digits.
 * @param flag The option.
 * @returns 0 to 65535; 0 means any port.
 * @throws {ShoalError} Of kind `usage` if the value is not a port.
 */
export function parsePort(value: string, flag: string): number {
  return parseWhole(value, { flag, min: 0, max: 65535 });
}

/** Options for {@linkcode parseWhole}. */
export interface WholeNumberOptions {
  /** The option. */
  readonly flag: string;
  /** Smallest allowed number. */
  readonly min: number;
  /** Largest allowed number. */
  readonly max: number;
}

/**
 * Parses a whole number.
 *
 * @param value Digits.
 * @param options See {@linkcode WholeNumberOptions}.
 * @returns The number.
 * @throws {ShoalError} Of kind `usage` if the value is not a whole number in the range.
 */
export function parseWhole(value: string, options: WholeNumberOptions): number {
  const { flag, min, max } = options;
  const number = /^\d{1,15}$/.test(value) ? Number(value) : NaN;
  if (!(number >= min && number <= max)) {
    throw badValue(flag, { value, why: `a whole number from ${min} to ${max} was expected` });
  }
  return number;
}

/**
 * Parses a share ratio.
 *
 * @param value A ratio such as `1` or `1.5`.
 * @param flag The option.
 * @returns The ratio, 0 or more.
 * @throws {ShoalError} Of kind `usage` if the value is not a ratio.
 */
export function parseRatio(value: string, flag: string): number {
  if (!/^\d{1,9}(?:\.\d+)?$/.test(value)) {
    throw badValue(flag, { value, why: "a ratio is a number like 1 or 1.5" });
  }
  return Number(value);
}

/**
 * Parses a literal IP address.
 *
 * @param value IPv4, or IPv6 with or without brackets.
 * @param flag The option.
 * @returns The address without brackets.
 * @throws {ShoalError} Of kind `usage` if the value is not an address.
 */
export function parseIpAddress(value: string, flag: string): string {
  const host = unbracketed(value);
  if (parseIp(host) === null) {
    throw badValue(flag, { value, why: "an IP address was expected, like 192.0.2.1 or 2001:db8::1" });
  }
  return host;
}

/**
 * Parses a host and a port.
 *
 * @param value `host:port`, `1.2.3.4:port` or `[IPv6]:port`.
 * @param flag The option.
 * @returns Host and port; the host may be a name.
 * @throws {ShoalError} Of kind `usage` if the value has another form.
 */
export function readHostPort(value: string, flag: string): HostPort {
  const read = parseHostPort(value);
  if (read !== null) return read;
  const why = "host:port was expected, like 192.0.2.1:6881, [2001:db8::1]:6881 or example.org:6881";
  throw badValue(flag, { value, why });
}

/** Options for {@linkcode checkUrl}. */
export interface CheckUrlOptions {
  /** Option that the URL was given to, such as `--tracker`. */
  readonly flag: string;
  /** Whole value of the option, for the error. */
  readonly value: string;
  /** Allowed schemes, with their colons. */
  readonly schemes: readonly string[];
}

/**
 * Checks that a text is a URL with an allowed scheme.
 *
 * @param url The text.
 * @param options See {@linkcode CheckUrlOptions}.
 * @throws {ShoalError} Of kind `usage` if the text is no such URL.
 */
export function checkUrl(url: string, { flag, value, schemes }: CheckUrlOptions): void {
  if (URL.canParse(url) && schemes.includes(new URL(url).protocol)) return;
  const names = schemes.map((scheme) => scheme.slice(0, -1)).join(", ");
  throw badValue(flag, { value, why: `${JSON.stringify(url)} is no URL of these kinds: ${names}` });
}

function unbracketed(text: string): string {
  return /^\[.*\]$/.test(text) ? text.slice(1, -1) : text;
}

/**
 * Parses one value of `--files`.
 *
 * @param value The value.
 * @param choices The choices of the values before it.
 * @returns The choices of all values so far.
 * @throws {SelectionError} If the value is invalid.
 */
export function collectFileChoices(value: string, choices: readonly FileChoice[] = []): readonly FileChoice[] {
  return [...choices, parseFileChoice(value, "--files")];
}
