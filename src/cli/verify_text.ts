/**
 * Describes the result of `shoal verify` in lines of text.
 *
 * @module
 */

import { ShoalError } from "../base/errors.ts";
import type { FileVerdict, Verification, VerifiedFile } from "../session/verify_torrent.ts";
import { formatCount, formatElapsed, formatPlural, formatRate, formatSize } from "../ui/format.ts";
import { printable } from "../ui/printable.ts";

/** Most files to name. A longer list would scroll off the screen. */
const MAX_FILES = 20;
const VERDICT_WIDTH = 8;

/** A verified torrent. */
export interface Verified {
  /** Name of the torrent. */
  readonly name: string;
  /** Size of its files, in bytes. */
  readonly size: number;
  /** Folder with the data. */
  readonly folder: string;
  /** Result of the verification. */
  readonly result: Verification;
}

/** Returns `true` if all pieces are right and no file has a wrong length. */
export function isRight(result: Verification): boolean {
  return result.files.every((file) => file.verdict === "right") && result.valid === result.pieces;
}

/**
 * Describes the result.
 *
 * @param verified The verified torrent.
 * @param seconds Duration of the verification.
 * @returns Lines without line ends: one line if everything is right, otherwise a line for each bad file, up to a limit.
 */
export function verdictLines({ name, size, result }: Verified, seconds: number): string[] {
  const count = formatPlural(result.files.length, "file");
  if (isRight(result)) {
    const rate = seconds > 0 ? ` (${formatRate(result.bytes / seconds)})` : "";
    const all = result.pieces === 1 ? "its only piece is right" : `all ${formatCount(result.pieces)} pieces are right`;
    return [printable(`${name}: ${formatSize(size)} in ${count}, ${all}, checked in ${formatElapsed(seconds)}${rate}`)];
  }
  const bad = result.files.filter((file) => file.verdict !== "right");
  const lines = bad.slice(0, MAX_FILES).map((file) => {
    return `  ${file.verdict.padEnd(VERDICT_WIDTH)}  ${file.path}${reason(file)}`;
  });
  const more = bad.length - MAX_FILES;
  return [
    `${name}: ${piecesRight(result)}, ${formatCount(bad.length)} of ${count} ${bad.length === 1 ? "is" : "are"} not`,
    ...lines,
    ...(more > 0 ? [`  ... and ${formatPlural(more, "more file")}; --json names them all`] : []),
  ].map(printable);
}

const REASONS: Readonly<Record<FileVerdict, string>> = {
  right: "",
  missing: "",
  short: "it ends too early; ",
  long: "it goes on after its end; ",
  wrong: "",
  unproven: "its ends share pieces with files that are not whole; ",
};

function reason({ verdict, pieces, valid }: VerifiedFile): string {
  if (verdict === "missing") return "";
  const bad = pieces - valid;
  const text = REASONS[verdict] +
    (bad === 0 ? "its pieces are right" : `${formatCount(bad)} of ${piecesOf(pieces)} bad`);
  return `: ${text}`;
}

function piecesOf(count: number): string {
  return formatPlural(count, "piece");
}

function piecesRight({ valid, pieces }: Verification): string {
  return `${formatCount(valid)} of ${piecesOf(pieces)} ${valid === 1 ? "is" : "are"} right`;
}

/**
 * Returns the error for data that doesn't match the torrent.
 *
 * @param verified The verified torrent.
 * @returns An error of kind `torrent`.
 */
export function mismatch({ name, folder, result }: Verified): ShoalError {
  const { files, pieces, valid } = result;
  const bad = files.filter((file) => file.verdict !== "right");
  const nothing = bad.every((file) => file.verdict === "missing") && valid === 0;
  const ofFiles = `${formatCount(bad.length)} of ${formatPlural(files.length, "file")}`;
  const why = nothing
    ? "none of its files is there"
    : valid === pieces
    ? `all pieces are right, but ${ofFiles} ${bad.length === 1 ? "is" : "are"} too long or missing`
    : `${formatCount(pieces - valid)} of ${piecesOf(pieces)} missing or wrong, in ${ofFiles}`;
  return new ShoalError("torrent", {
    what: "the data does not match the torrent",
    where: `${name} in ${folder}`,
    why,
    hint: nothing ? "choose the folder that holds it" : "`shoal download` gets what is missing",
  });
}
