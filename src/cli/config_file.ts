/**
 * Finds, reads and parses the config file.
 *
 * @module
 */

import { ShoalError } from "../base/errors.ts";
import { MAX_CONFIG, MAX_CONFIG_DEPTH } from "../base/defences.ts";
import { FileError } from "../platform/file_errors.ts";
import type { Platform } from "../platform/platform.ts";
import type { Terminal } from "../platform/terminal.ts";

/** UTF-8 byte order mark, which some editors write at the start of a file. */
const BYTE_ORDER_MARK = "\ufeff";

/** What finding and reading the config file requires. */
export interface ConfigSurroundings {
  /** File access. */
  readonly platform: Pick<Platform, "files">;
  /** Environment variables. */
  readonly terminal: Pick<Terminal, "env" | "isWindows">;
}

/** A parsed config file. */
export interface ConfigFile {
  /** Path of the file. */
  readonly path: string;
  /** The TOML document: keys, and tables by name. */
  readonly values: Readonly<Record<string, unknown>>;
}

/**
 * Returns the path of the config file.
 *
 * @param terminal Environment variables.
 * @returns `shoal/config.toml` below `XDG_CONFIG_HOME`, below `~/.config`, or on Windows below `APPDATA`; `null` if
 * none of these variables is set, so that there is no config file.
 */
export function configPath(terminal: Pick<Terminal, "env" | "isWindows">): string | null {
  const xdg = terminal.env("XDG_CONFIG_HOME");
  // The XDG specification says to ignore a relative path.
  if (xdg?.startsWith("/")) return `${xdg}/shoal/config.toml`;
  if (terminal.isWindows) {
    const roaming = terminal.env("APPDATA");
    return roaming ? `${roaming}\\shoal\\config.toml` : null;
  }
  const home = terminal.env("HOME");
  return home ? `${home}/.config/shoal/config.toml` : null;
}

/**
 * Reads the config file. The TOML parser is loaded only if there is a file.
 *
 * @param surroundings Where to find the file.
 * @returns The parsed file; `null` if there is none.
 * @throws {ShoalError} Of kind `usage` if the file can't be read, is too large, or isn't TOML.
 */
export async function readConfig({ platform, terminal }: ConfigSurroundings): Promise<ConfigFile | null> {
  const path = configPath(terminal);
  if (path === null) return null;
  let text: string;
  try {
    const bytes = await platform.files.readFile(path, MAX_CONFIG);
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) throw badFile(path, { why: "it is not text in UTF-8", cause: error });
    if (!(error instanceof FileError)) throw error;
    if (error.fault === "missing" || error.fault === "not-a-folder") return null;
    const why = error.fault === "too-large" ? `it is larger than ${MAX_CONFIG} bytes` : error.why;
    throw badFile(path, { why, cause: error });
  }
  const { parse, TomlError } = await import("smol-toml");
  try {
    return { path, values: parse(text.replace(BYTE_ORDER_MARK, ""), { maxDepth: MAX_CONFIG_DEPTH }) };
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const [why = ""] = error.message.replace(/^Invalid TOML document: /, "").split("\n");
    throw badFile(`${path}, line ${error.line}, column ${error.column}`, { why, cause: error });
  }
}

function badFile(where: string, parts: { readonly why: string; readonly cause: unknown }): ShoalError {
  return new ShoalError("usage", { what: "cannot use the config file", where, ...parts });
}
