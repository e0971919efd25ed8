/**
 * The config file: where it is, and what stands in it.
 *
 * @module
 */

import { ShoalError } from "../base/errors.ts";
import { MAX_CONFIG, MAX_CONFIG_DEPTH } from "../base/defences.ts";
import { FileError } from "../platform/file_errors.ts";
import type { Platform } from "../platform/platform.ts";
import type { Terminal } from "../platform/terminal.ts";

/** Bytes of UTF-8 that some editors put before the text. */
const BYTE_ORDER_MARK = "\ufeff";

/** What it takes to find and read the config file. */
export interface ConfigSurroundings {
  /** Has the file. */
  readonly platform: Pick<Platform, "files">;
  /** Knows the environment. */
  readonly terminal: Pick<Terminal, "env" | "isWindows">;
}

/** A config file that was read. */
export interface ConfigFile {
  /** Where it is. */
  readonly path: string;
  /** What stands in it, as TOML has it: keys, and tables by name. */
  readonly values: Readonly<Record<string, unknown>>;
}

/**
 * The path of the config file.
 *
 * @param terminal Knows the environment.
 * @returns `shoal/config.toml` below `XDG_CONFIG_HOME`, below `~/.config`, or on Windows below `APPDATA`; `null` when the
 * environment names none of them, and there is no config file.
 */
export function configPath(terminal: Pick<Terminal, "env" | "isWindows">): string | null {
  const xdg = terminal.env("XDG_CONFIG_HOME");
  // by the XDG specification, a relative path there is to be ignored
  if (xdg?.startsWith("/")) return `${xdg}/shoal/config.toml`;
  if (terminal.isWindows) {
    const roaming = terminal.env("APPDATA");
    return roaming ? `${roaming}\\shoal\\config.toml` : null;
  }
  const home = terminal.env("HOME");
  return home ? `${home}/.config/shoal/config.toml` : null;
}

/**
 * Reads the config file. What reads TOML is loaded only when there is some.
 *
 * @param surroundings Where to look for it.
 * @returns What stands in it; `null` when there is none.
 * @throws {ShoalError} Of kind `usage` if it can't be read, is too large, or isn't TOML.
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
