/**
 * Reads torrents from files, URLs and standard input.
 *
 * @module
 */

import { type Bytes, freeBytes, fromUtf8Lossy } from "../base/bytes.ts";
import { contentKind } from "../base/content_kind.ts";
import { ShoalError } from "../base/errors.ts";
import { MAX_METAINFO_READS } from "../base/defences.ts";
import { type BudgetedRead, ReadBudget } from "../base/read_budget.ts";
import { redact } from "../base/secrets.ts";
import { isInfoHash, type Magnet, MAX_TORRENT_SIZE, type Metainfo, wrongInfoHash } from "../metainfo/mod.ts";
import { FileError } from "../platform/file_errors.ts";
import { HttpError } from "../platform/platform.ts";
import { plainLogLine } from "../ui/log_lines.ts";
import type { Context } from "./context.ts";
import { printable } from "../ui/printable.ts";

/** Milliseconds within which a server must have sent the torrent. */
const FETCH_MS = 60_000;
/** Milliseconds after which the user is told which sources are waited for. */
const SLOW_MS = 3_000;
/** Memory budget that all sources read at the same time share. */
const READS = new ReadBudget(MAX_METAINFO_READS);
/** Bytes at the beginning of standard input that tell whether it is a link. */
const HEAD_BYTES = 256;

/**
 * Reads a source without asking peers.
 *
 * @param source A source as for {@linkcode readTorrent}, a magnet link, or an info-hash. A file with the name of an
 * info-hash takes precedence. A URL may redirect to a magnet link, and standard input may hold a link or an info-hash.
 * @param context The environment.
 * @returns The torrent or the magnet link.
 * @throws {ShoalError} As {@linkcode readTorrent}.
 */
export async function readSource(source: string, context: Context): Promise<Metainfo | Magnet> {
  if (/^magnet:/i.test(source)) return await context.engine.parseMagnet(source);
  if (isInfoHash(source) && await context.platform.files.stat(source) === null) {
    return await context.engine.parseMagnet(source);
  }
  return await read(source, context);
}

/** Options for {@linkcode readSources}. */
export interface ReadSourcesOptions {
  /** Called with the error of each bad source: in the order of the sources, but not later than those that are slow. */
  readonly onBad: (error: ShoalError) => Promise<void>;
  /** Whether the user isn't told which sources are waited for. */
  readonly quiet: boolean;
}

/**
 * Reads several sources. A source that can't be used doesn't keep the others from being used.
 *
 * @param sources Sources as for {@linkcode readSource}.
 * @param context The environment.
 * @param options See {@linkcode ReadSourcesOptions}.
 * @returns The good ones.
 */
export async function readSources(
  sources: readonly string[],
  context: Context,
  { onBad, quiet }: ReadSourcesOptions,
): Promise<(Metainfo | Magnet)[]> {
  const found: (Metainfo | Magnet)[] = [];
  const readable = sources.filter((source, i) => source !== "-" || sources.indexOf("-") === i); // it can be read once
  const readings = readable.map((source) => ({ source, settled: false, done: readSource(source, context) }));
  for (const reading of readings) {
    const settle = () => void (reading.settled = true);
    reading.done.then(settle, settle);
  }
  const take = async (of: typeof readings) => {
    for (const { done } of of) await orReport(async () => void found.push(await done), onBad);
  };
  const slow = Promise.withResolvers<void>();
  const timer = context.platform.after(SLOW_MS, slow.resolve);
  const { signal } = context.shutdown;
  const cancel = () => timer.cancel();
  signal.addEventListener("abort", cancel);
  await Promise.race([Promise.allSettled(readings.map(({ done }) => done)), slow.promise]);
  signal.removeEventListener("abort", cancel);
  cancel();
  const late = readings.filter(({ settled }) => !settled);
  await take(readings.filter(({ settled }) => settled));
  for (const { source } of quiet ? [] : late) {
    const text = printable(`waiting for ${source === "-" ? "standard input" : redact(source)}`);
    await context.terminal.stderr.write(plainLogLine({ level: "note", text }));
  }
  await take(late);
  return found;
}

/**
 * Runs work on one of several torrents, whose failure is no reason to leave the others alone.
 *
 * @param work The work.
 * @param onBad Called with the error that the work throws. Other errors than {@linkcode ShoalError} are thrown.
 */
export async function orReport(
  work: () => Promise<void> | void,
  onBad: (error: ShoalError) => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof ShoalError)) throw error;
    await onBad(error);
  }
}

/**
 * Reads and parses a torrent file.
 *
 * @param source A path, an `http:` or `https:` URL, or `-` for standard input.
 * @param context The environment.
 * @returns The torrent.
 * @throws {ShoalError} Of kind `usage` if the source doesn't exist, `storage` if it cannot be read, `network` if it
 * cannot be fetched, `torrent` if it is not a torrent.
 */
export async function readTorrent(source: string, context: Context): Promise<Metainfo> {
  if (/^magnet:/i.test(source)) throw needsFile(source);
  const found = await read(source, context);
  if ("pieces" in found) return found;
  if (source === "-") throw needsFile("standard input");
  throw needsFile(source, "it redirects to a magnet link, and what that stands for is known only to peers");
}

async function read(source: string, context: Context): Promise<Metainfo | Magnet> {
  return await READS.run(async (reading) => {
    const bytes = await readBytes(source, context, reading);
    if (typeof bytes === "string") return await context.engine.parseMagnet(bytes);
    try {
      return await context.engine.parse(bytes, {
        source: source === "-" ? "standard input" : source,
        portable: context.terminal.isWindows,
      });
    } catch (error) {
      freeBytes(bytes);
      throw error;
    }
  });
}

/**
 * Prints the warnings about a torrent to standard error. Not needed for torrents of a session, which reports them
 * itself.
 *
 * @param meta The torrent.
 */
export async function tellWarnings(meta: Metainfo, { terminal }: Context): Promise<void> {
  const lines = meta.warnings.map((message) =>
    plainLogLine({ level: "warning", text: printable(redact(`${message} (${meta.name})`)) })
  );
  if (lines.length > 0) await terminal.stderr.write(lines.join(""));
}

/**
 * Reads the bytes of a source.
 *
 * @returns The bytes, or a magnet link or an info-hash if a URL redirects to one, or standard input holds one.
 */
async function readBytes(source: string, context: Context, reading: BudgetedRead): Promise<Bytes | string> {
  if (source === "-") return await readStdin(context);
  if (/^https?:\/\//i.test(source)) return await fetchTorrent(source, context, reading);
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(source)) {
    const why = "only http and https URLs can be fetched";
    throw new ShoalError("usage", { what: "cannot fetch the torrent", where: source, why });
  }
  return await readFile(source, context, reading);
}

async function readStdin({ terminal }: Context): Promise<Bytes | string> {
  if (terminal.stdinIsTerminal) {
    const why = "it is a terminal, not a torrent";
    throw new ShoalError("usage", { what: "cannot read the torrent", where: "standard input", why });
  }
  const bytes = await terminal.readStdin(MAX_TORRENT_SIZE);
  const lines = linesOf(bytes);
  if (lines === null) return bytes;
  if (lines.length === 1) return lines[0]!;
  throw new ShoalError("usage", {
    what: "cannot read the torrent",
    where: "standard input",
    why: `one magnet link or info-hash was expected, found ${lines.length} lines`,
    hint: "several go on the command line",
  });
}

/** Returns the lines of a text that begins with a magnet link or an info-hash; `null` for anything else. */
function linesOf(bytes: Bytes): readonly string[] | null {
  // A torrent file begins with `d`, as an info-hash may, so that the whole first line counts.
  const head = fromUtf8Lossy(bytes.subarray(0, HEAD_BYTES)).trim();
  if (!/^magnet:/i.test(head) && !isInfoHash(head.split(/\s/, 1)[0]!)) return null;
  return fromUtf8Lossy(bytes).split(/[\r\n]+/).map((line) => line.trim()).filter((line) => line !== "");
}

async function readFile(path: string, { platform }: Context, reading: BudgetedRead): Promise<Bytes> {
  try {
    const { size = 0 } = await platform.files.stat(path) ?? {};
    reading.hold(Math.min(size, MAX_TORRENT_SIZE));
    reading.signal.throwIfAborted();
    const bytes = await platform.files.readFile(path, MAX_TORRENT_SIZE);
    reading.hold(Math.max(0, bytes.length - size)); // stat() gives no size for a pipe or the target of a link
    reading.signal.throwIfAborted();
    return bytes;
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    const what = "cannot read the torrent";
    if (error.fault === "missing" || error.fault === "not-a-folder") {
      if (isInfoHash(path)) throw needsFile(path);
      const digits = wrongInfoHash(path);
      if (digits !== null) {
        throw new ShoalError("usage", { what, where: path, why: `there is no such file, and ${digits}`, cause: error });
      }
      // A bare word is more likely a misspelt command than a file.
      const parts = /^[\w-]+$/.test(path)
        ? { why: "there is no such file or command", hint: "`shoal --help` lists the commands" }
        : { why: "there is no such file" };
      throw new ShoalError("usage", { what, where: path, ...parts, cause: error });
    }
    if (error.fault === "is-a-folder") {
      throw new ShoalError("usage", { what, where: path, why: "it is a folder", cause: error });
    }
    if (error.fault === "too-large") {
      const why = `it is larger than ${MAX_TORRENT_SIZE} bytes`;
      throw new ShoalError("torrent", { what: "not a torrent", where: path, why, cause: error });
    }
    // The hints of a file error are about the folder of a download, so they are left out here.
    throw new ShoalError("storage", { what, where: path, why: error.why, cause: error });
  }
}

async function fetchTorrent(url: string, { platform }: Context, reading: BudgetedRead): Promise<Bytes | string> {
  const what = "cannot fetch the torrent";
  try {
    const response = await platform.http.request({
      url,
      trust: { by: "user" },
      takesMagnet: true,
      timeout: FETCH_MS,
      maxBytes: MAX_TORRENT_SIZE,
      hold: reading.hold,
      signal: reading.signal,
    });
    if (response.magnet !== undefined) return response.magnet;
    if (response.status < 200 || response.status > 299) {
      throw new ShoalError("network", { what, where: url, why: `the server answers with status ${response.status}` });
    }
    if (contentKind(response.body) === "a web page") {
      const why = "the server sent a web page instead of a torrent";
      const hint = "the link to the .torrent file may be on that page";
      throw new ShoalError("torrent", { what: "not a torrent", where: url, why, hint });
    }
    return response.body;
  } catch (error) {
    if (!(error instanceof HttpError)) throw error;
    throw new ShoalError("network", { what, where: url, why: error.message, cause: error });
  }
}

function needsFile(source: string, why = "what it stands for is known only to peers"): ShoalError {
  return new ShoalError("usage", {
    what: "a .torrent file is needed",
    where: source,
    why,
    hint: "`shoal download` or `shoal info` asks them",
  });
}
