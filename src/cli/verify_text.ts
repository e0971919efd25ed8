/**
 * Describes the result of `shoal verify` in lines of text.
 *
 * @module
 */

import { ShoalError } from "../base/errors.ts";
import { type FileVerdict, nothingIn, type Verification, type VerifiedFile } from "../session/verify_torrent.ts";
import { formatElapsed, formatOutOf, formatPlural, formatRate, formatSize, isOrAre } from "../ui/format.ts";
import { printable } from "../ui/printable.ts";

/** Most files to name. A longer list would scroll off the screen. */
const MAX_FILES = 20;
const VERDICT_WIDTH = 10;

/** A verified torrent. */
export interface Verified {
  /** Name of the torrent. */
  readonly name: string;
  /** Size of the files that were verified, in bytes. */
  readonly size: number;
  /** Folder with the data. */
  readonly folder: string;
  /** Whether only some files were verified, chosen by the user. */
  readonly chosen: boolean;
  /** Result of the verification. */
  readonly result: Verification;
}

/** Returns `true` if all pieces are right and no file has a wrong length or name. */
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
export function verdictLines({ name, size, chosen, result }: Verified, seconds: number): string[] {
  const total = result.files.length;
  if (isRight(result)) {
    const rate = seconds > 0 ? ` (${formatRate(result.bytes / seconds)})` : "";
    const count = `${formatPlural(total, chosen ? "chosen file" : "file")}, ${piecesRight(result)}`;
    return [printable(`${name}: ${formatSize(size)} in ${count}, checked in ${formatElapsed(seconds)}${rate}`)];
  }
  const bad = badFiles(result);
  const lines = bad.slice(0, MAX_FILES).map((file) => {
    return `  ${file.verdict.padEnd(VERDICT_WIDTH)}  ${file.path}${reason(file)}`;
  });
  const more = bad.length - MAX_FILES;
  const ofFiles = total === 1 ? "" : `, ${formatOutOf(bad.length, total, "file")} ${isOrAre(bad.length)} not`;
  return [
    `${name}: ${piecesRight(result)}${ofFiles}`,
    ...lines,
    ...(more > 0 ? [`  ... and ${formatPlural(more, "more file")}; --json names them all`] : []),
  ].map(printable);
}

function badFiles({ files }: Verification): VerifiedFile[] {
  return files.filter((file) => file.verdict !== "right");
}

const REASONS: Readonly<Record<FileVerdict, string>> = {
  right: "",
  missing: "",
  short: "it ends too early; ",
  long: "it goes on after its end; ",
  wrong: "",
  unproven: "its ends share pieces with files that are not whole; ",
  unfinished: "it has its .part name; ",
};

/** What is wrong with files of each verdict, for a sentence about several. */
const FAULTS: Readonly<Record<FileVerdict, string>> = {
  right: "right",
  missing: "missing",
  short: "too short",
  long: "too long",
  wrong: "wrong",
  unproven: "unproven",
  unfinished: "unfinished",
};

function reason({ verdict, pieces, valid }: VerifiedFile): string {
  if (verdict === "missing") return "";
  const bad = pieces - valid;
  const fault = verdict === "unfinished" ? `${isOrAre(bad)} missing` : `${isOrAre(bad)} bad`;
  const text = REASONS[verdict] +
    (bad === 0 ? "its pieces are right" : `${formatOutOf(bad, pieces, "piece")} ${fault}`);
  return `: ${text}`;
}

function piecesRight({ valid, pieces }: Verification): string {
  if (valid === pieces) {
    return pieces === 1 ? "its only piece is right" : `all ${formatPlural(pieces, "piece")} are right`;
  }
  if (valid === 0) {
    return pieces === 1 ? "its only piece is not right" : `none of its ${formatPlural(pieces, "piece")} is right`;
  }
  return `${formatOutOf(valid, pieces, "piece")} ${isOrAre(valid)} right`;
}

/**
 * Returns the error for data that doesn't match the torrent.
 *
 * @param verified The verified torrent.
 * @returns An error of kind `torrent`.
 */
export function mismatch({ name, folder, result }: Verified): ShoalError {
  const where = `${name} in ${folder}`;
  return new ShoalError("torrent", { what: "the data does not match the torrent", where, ...whyNot(result) });
}

function whyNot(result: Verification): { readonly why: string; readonly hint: string } {
  const { files, pieces, valid, searched } = result;
  if (searched !== null) {
    return { why: nothingIn(searched), hint: "choose the folder that holds it, or the data itself" };
  }
  const bad = badFiles(result);
  const ofFiles = formatOutOf(bad.length, files.length, "file");
  const isPart = files.every(({ verdict }) => verdict === "right" || verdict === "missing");
  const hint = isPart
    ? "`shoal download` gets what is missing, and --files checks some of the files alone"
    : "`shoal download` gets what is missing";
  if (valid === pieces) {
    const faults = [...new Set(bad.map(({ verdict }) => FAULTS[verdict]))].join(" or ");
    return { why: `all pieces are right, but ${ofFiles} ${isOrAre(bad.length)} ${faults}`, hint };
  }
  if (valid === 0) {
    const there = files.length - files.filter(({ verdict }) => verdict === "missing").length;
    const why = `${formatOutOf(there, files.length, "file")} ${isOrAre(there)} there, but ${piecesRight(result)}`;
    return { why, hint: "it may be another version of the data, or the wrong folder" };
  }
  const missing = pieces - valid;
  return {
    why: `${formatOutOf(missing, pieces, "piece")} ${isOrAre(missing)} missing or wrong, in ${ofFiles}`,
    hint,
  };
}
