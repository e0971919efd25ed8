/**
 * Options and progress view shared by the commands that make a torrent, `create` and `share`.
 *
 * @module
 */

import type { Command } from "commander";
import { ShoalError } from "../base/errors.ts";
import { VERSION_LINE } from "../base/version.ts";
import { FileError } from "../platform/file_errors.ts";
import type { TorrentVersion } from "../metainfo/mod.ts";
import type { CreatedTorrent, CreateOptions, LinkOut } from "../session/create_torrent.ts";
import type { CheckView } from "../ui/check_view.ts";
import type { Context } from "./context.ts";
import { badValue, checkUrl, parseSize } from "./option_values.ts";
import { formatPlural } from "../ui/format.ts";
import { plainLogLine } from "../ui/log_lines.ts";
import { printable } from "../ui/printable.ts";

/** Longest piece length to accept. Other clients reject torrents with longer pieces. */
const MAX_PIECE = 256 * 1024 * 1024;
/** Shortest piece length to accept: one block. */
const MIN_PIECE = 16 * 1024;
/** Output path that means standard output. */
export const STDOUT = "-";

/** Values of the options about the torrent's content, as commander collects them. */
export interface CreationOptions {
  readonly output?: string;
  readonly tracker?: readonly (readonly string[])[];
  readonly pieceLength?: number;
  readonly private?: true;
  readonly comment?: string;
  readonly name?: string;
  readonly exclude?: readonly string[];
  readonly v1?: true;
  readonly v2?: true;
  readonly hybrid?: true;
}

/**
 * Adds the options about the torrent's content.
 *
 * @param command The command.
 * @returns The same command.
 */
export function addContentOptions(command: Command): Command {
  return command
    .option("--piece-length <size>", "power of two, 16K or more (default: by total size, 16K to 16M)", parsePieceLength)
    .option("--private", "let peers come from the trackers only")
    .option("--comment <text>", "comment in the torrent")
    .option("--name <name>", "name in the torrent (default: that of the file or folder)", parseName)
    .option(
      "--exclude <glob>",
      "leave out files and folders of that name (*.tmp) or path (sub/*.tmp), repeatable",
      collect,
    )
    .option("--v1", "make a v1 torrent (default)")
    .option("--v2", "make a v2 torrent (BEP 52), which only newer clients can use")
    .option("--hybrid", "make a torrent that is v1 and v2 in one");
}

/** Options for {@linkcode makeTorrent}. */
export interface MakeTorrentOptions {
  /** Options from the command line. */
  readonly options: CreationOptions;
  /** Settings beyond those of the command line. */
  readonly more?: Pick<CreateOptions, "webSeeds" | "source" | "createdAt" | "onFound">;
  /** Whether to show no progress. */
  readonly silent: boolean;
  /** Whether to warn only about links that lead out, since what they lead to may be private. */
  readonly quiet: boolean;
  /** The environment. */
  readonly context: Context;
}

/**
 * Makes a torrent and shows the progress of hashing. Warns on standard error about links that lead out of the folder,
 * and about each file that was left out.
 *
 * @param path A file or a folder.
 * @param parts See {@linkcode MakeTorrentOptions}.
 * @returns The torrent.
 * @throws {ShoalError} Of kind `storage` if something can't be read, of kind `usage` if the options don't fit the
 * files.
 * @throws An error for which `Shutdown.explains()` returns `true`, if the program is shutting down.
 */
export async function makeTorrent(path: string, parts: MakeTorrentOptions): Promise<CreatedTorrent> {
  const { options, more = {}, context } = parts;
  const { shutdown, engine, platform, terminal } = context;
  const version = versionOf(options);
  const viewOf = parts.silent ? null : await loadView(context);
  let view: CheckView | null = null;
  const { restoreTerminal } = shutdown;
  shutdown.restoreTerminal = () => view?.close() ?? Promise.resolve();
  const settings: CreateOptions = {
    ...more,
    version,
    platform,
    signal: shutdown.signal,
    trackers: options.tracker,
    pieceLength: options.pieceLength,
    private: options.private,
    comment: options.comment,
    name: options.name,
    exclude: options.exclude,
    createdBy: VERSION_LINE,
    async onFound(found) {
      await more.onFound?.(found);
      for (const line of linkWarnings(found.linksOut)) await terminal.stderr.write(line);
      view = viewOf?.(found.name) ?? null;
      view?.start();
    },
    onProgress: (fraction, bytes) => view?.progress(fraction, bytes),
  };
  try {
    const made = await shutdown.raceShutdown(engine.create(path, settings));
    await (view as CheckView | null)?.close();
    for (const name of parts.quiet ? [] : made.skipped) await terminal.stderr.write(warning(name));
    return made;
  } catch (error) {
    // The hints of a file error are about the folder of a download, so they are left out here.
    if (!(error instanceof FileError)) throw error;
    const { what, where, why } = error;
    throw new ShoalError("storage", { what, where, why, cause: error });
  } finally {
    await (view as CheckView | null)?.close();
    shutdown.restoreTerminal = restoreTerminal;
  }
}

async function loadView({ platform, terminal }: Context): Promise<(name: string) => CheckView> {
  const [{ LiveCheckView, PlainCheckView }, { isDumb }] = await Promise.all([
    import("../ui/check_view.ts"),
    import("./views.ts"),
  ]);
  const View = terminal.stdout.isTerminal && !isDumb(terminal) ? LiveCheckView : PlainCheckView;
  return (name) => new View({ platform, terminal, name, verb: "hashing" });
}

/**
 * Checks that the torrent file can be written to a path. Existing files are never replaced, and a missing folder is
 * reported before hours of hashing.
 *
 * @param path Where the torrent file is to go.
 * @throws {ShoalError} Of kind `storage` if the path is taken or its folder doesn't exist.
 */
export async function checkFree(path: string, { platform }: Context): Promise<void> {
  if (path === STDOUT) return;
  const refuse = (why: string, hint: string): never => {
    throw new ShoalError("storage", { what: "cannot write the torrent", where: path, why, hint });
  };
  const there = await platform.files.stat(path);
  if (there?.kind === "folder") refuse("it is a folder", "-o takes the name of a file");
  if (there !== null) refuse("there is a file of that name already", "remove it, or choose another name with -o");
  const slash = path.lastIndexOf("/");
  if (slash <= 0) return;
  const folder = path.slice(0, slash);
  await platform.files.realPath(folder).catch((cause) => {
    throw cause instanceof FileError
      ? new ShoalError("storage", {
        what: "cannot write the torrent",
        where: path,
        why: cause.fault === "missing" ? "there is no such folder" : cause.why,
        cause,
      })
      : cause;
  });
  if ((await platform.files.stat(folder))?.kind === "file") refuse("a part of the path is a file, not a folder", "");
}

/**
 * Checks that a torrent file can be written to standard output.
 *
 * @param json Whether `--json` is given.
 * @throws {ShoalError} Of kind `usage` if standard output is a terminal, or taken.
 */
export function checkStdout(json: boolean, { terminal }: Context): void {
  const where = "--output -";
  if (json) {
    throw new ShoalError("usage", { what: "too much output", where, why: "--json wants standard output for itself" });
  }
  if (terminal.stdout.isTerminal) {
    const why = "standard output is a terminal, and a torrent is not text";
    throw new ShoalError("usage", { what: "cannot write the torrent", where, why });
  }
}

/** Most links that are named; the others are counted. */
const MAX_LINKS = 10;

/** Warns before hashing, since what a link leads to may be private. */
function linkWarnings(links: readonly LinkOut[]): string[] {
  const warn = (text: string) => plainLogLine({ level: "warning", text: printable(text) });
  const lines = links.slice(0, MAX_LINKS).map(({ path, target }) =>
    warn(`a symbolic link leads out of the folder (${JSON.stringify(path)}): the torrent contains ${target}`)
  );
  const more = links.length - lines.length;
  return more === 0
    ? lines
    : [...lines, warn(`${formatPlural(more, "more link")} ${more === 1 ? "leads" : "lead"} out of the folder`)];
}

function warning(name: string): string {
  return plainLogLine({
    level: "warning",
    text: printable(`left out (${JSON.stringify(name)}): it is neither a file nor a folder`),
  });
}

function collect(value: string, values: readonly string[] = []): readonly string[] {
  if (value === "") throw badValue("--exclude", { value: '""', why: "a glob was expected, like *.tmp" });
  return [...values, value];
}

/**
 * Parses a tier of trackers.
 *
 * @param value URLs separated by commas.
 * @param tiers Tiers from earlier options.
 * @returns All tiers.
 * @throws {ShoalError} Of kind `usage` if an entry is no tracker URL.
 */
export function collectTier(value: string, tiers: readonly (readonly string[])[] = []): readonly (readonly string[])[] {
  const urls = value.split(",").map((url) => url.trim());
  const schemes = ["http:", "https:", "udp:", "ws:", "wss:"];
  for (const url of urls) checkUrl(url, { flag: "--tracker", value, schemes });
  return [...tiers, urls];
}

function versionOf({ v1, v2, hybrid }: CreationOptions): TorrentVersion {
  const chosen = [...(v1 ? ["--v1"] : []), ...(v2 ? ["--v2"] : []), ...(hybrid ? ["--hybrid"] : [])];
  if (chosen.length > 1) {
    const why = "a torrent has one version, and --hybrid is v1 and v2 in one";
    throw new ShoalError("usage", { what: "too many versions", where: chosen.join(" "), why });
  }
  return v2 ? "v2" : hybrid ? "hybrid" : "v1";
}

function parsePieceLength(value: string): number {
  const size = parseSize(value, "--piece-length");
  if (size >= MIN_PIECE && size <= MAX_PIECE && Number.isInteger(Math.log2(size))) return size;
  throw badValue("--piece-length", { value, why: "a power of two from 16K to 256M was expected" });
}

function parseName(value: string): string {
  if (!/^\.{0,2}$/.test(value) && !/[/\\\0]/.test(value)) return value;
  throw badValue("--name", { value, why: "a name of a file or folder was expected, without slashes" });
}
