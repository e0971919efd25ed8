/**
 * Fuzzes the resume state read from disk, and the making of file names and printable text.
 *
 * @module
 */

import { Bitfield } from "../../../src/base/bitfield.ts";
import { type Bytes, equalBytes, MAX_NAME_BYTES, utf8 } from "../../../src/base/bytes.ts";
import { InfoHash } from "../../../src/base/info_hash.ts";
import { foldName, safeName } from "../../../src/metainfo/safe_path.ts";
import { uniquePaths } from "../../../src/metainfo/unique_paths.ts";
import { ResumeStateError } from "../../../src/storage/errors.ts";
import {
  encodeResumeState,
  type FilePlace,
  maxResumeBytes,
  parseResumeState,
  type ResumeShape,
  type ResumeState,
} from "../../../src/storage/resume_state.ts";
import { printable } from "../../../src/ui/printable.ts";
import type { Dice } from "../dice.ts";
import { anyInteger, BENCODE_TOKENS } from "../shapes/bencode.ts";
import { anyName, NAME_PARTS } from "../shapes/metainfo.ts";
import { attempt, hold, type Target } from "../target.ts";

const SHAPES: readonly ResumeShape[] = [
  { pieceCount: 1, fileCount: 1 },
  { pieceCount: 9, fileCount: 3 },
  { pieceCount: 64, fileCount: 2 },
];
const RESUME_TOKENS = [
  ...BENCODE_TOKENS,
  ...["5:cleani1e", "5:files17:", "6:folder1:/", "6:format12:shoal resume", "9:info-hash20:", "6:pieces", "8:unsynced"],
  ...[
    "5:savedi0e",
    "8:partfile17:",
    "7:versioni1e",
    "7:versioni2e",
    "\x7f\xf0\0\0\0\0\0\0",
    "\x7f\xf8\0\0\0\0\0\0",
    "\x80\0\0\0\0\0\0\0",
  ],
];
const PLACES: readonly FilePlace[] = ["absent", "part", "final"];
const FOLDERS = ["/home/u/Downloads", "C:\\x", "", "/\u00e9\u{1f600}", "\ufeff/a", "/" + "x".repeat(300)];

/**
 * Makes a target for a parser of resume state. An accepted state has to encode to the same contents, except for the
 * order and for unknown keys.
 */
export function resumeTargetOf(parse: typeof parseResumeState): Target {
  return {
    name: "resume-state",
    weight: 3,
    tokens: RESUME_TOKENS,
    generate(dice, draft) {
      const number = dice.below(SHAPES.length);
      const state = anyState(dice, SHAPES[number]!);
      let bytes = encodeResumeState(state);
      // The length of an input decides which shape it is for.
      for (let more = "x"; bytes.length % SHAPES.length !== number; more += "x") {
        bytes = encodeResumeState({ ...state, folder: state.folder + more });
      }
      draft.raw(bytes);
    },
    run(input) {
      const shape = SHAPES[input.length % SHAPES.length]!;
      const state = attempt(ResumeStateError, () => parse(input, shape));
      if (state instanceof ResumeStateError) return state;
      checkState(input, state, shape);
      return null;
    },
  };
}

/** Target for `parseResumeState()`. */
export const resumeTarget = resumeTargetOf(parseResumeState);

function checkState(input: Bytes, state: ResumeState, shape: ResumeShape): void {
  const { pieces, unsynced, files, saved } = state;
  hold(pieces.length === shape.pieceCount && unsynced.length === shape.pieceCount, "pieces of another torrent");
  for (const piece of unsynced) hold(!pieces.has(piece), () => `piece ${piece} is safe and not safe`);
  hold(files.length === shape.fileCount, "files of another torrent");
  hold(Number.isSafeInteger(saved) && saved >= 0, () => `saved at ${saved}`);
  for (const { size, modified } of [...files, ...(state.partFile ? [state.partFile] : [])]) {
    hold(
      Number.isSafeInteger(size) && size >= 0 && Number.isSafeInteger(modified) && modified >= 0,
      "a file that can't be",
    );
  }
  const encoded = encodeResumeState(state);
  const again = parseResumeState(encoded, shape);
  hold(equalBytes(encodeResumeState(again), encoded), "a state came out as another");
  hold(again.folder === state.folder && again.infoHash.equals(state.infoHash), "the folder or the torrent changed");
  hold(encoded.length <= maxResumeBytes(shape) && encoded.length <= input.length, "a state grew");
}

function anyState(dice: Dice, { pieceCount, fileCount }: ResumeShape): ResumeState {
  const pieces = new Bitfield(pieceCount);
  const unsynced = new Bitfield(pieceCount);
  for (let i = 0; i < pieceCount; i++) {
    const where = dice.below(3);
    if (where === 1) pieces.set(i);
    if (where === 2) unsynced.set(i);
  }
  const count = () => Math.abs(Number(anyInteger(dice))) % 2 ** 53;
  return {
    infoHash: new InfoHash(dice.bytes(20)),
    folder: dice.pick(FOLDERS),
    saved: count(),
    clean: dice.oneIn(2),
    pieces,
    unsynced,
    files: Array.from({ length: fileCount }, () => ({ place: dice.pick(PLACES), size: count(), modified: count() })),
    ...(dice.oneIn(3) && { partFile: { place: dice.pick(PLACES), size: count(), modified: count() } }),
  };
}

/**
 * Target for `safeName()` and `uniquePaths()`. An input is a list of paths, one per line, with U+0001 between their
 * names.
 */
export const pathsTarget: Target = {
  name: "safe-path",
  weight: 2,
  tokens: [...NAME_PARTS, "\x01", "\n", "\x01a\n", "a\x01a\n", "a.1\n"],
  generate(dice, draft) {
    for (let files = 1 + dice.below(6); files > 0; files--) {
      for (let names = 1 + dice.below(3); names > 0; names--) {
        const name = anyName(dice);
        draft.raw(typeof name === "string" ? utf8(name) : name);
        if (names > 1) draft.byte(1);
      }
      draft.byte(0x0a);
    }
  },
  run(input) {
    const lines = new TextDecoder("utf-8", { ignoreBOM: true }).decode(input).split("\n");
    const portable = input.length % 4 !== 0;
    const paths = lines.map((line) => safeNames(line.split("\x01"), portable));
    for (const name of paths.flat()) {
      hold(
        name !== "" && name !== "." && name !== ".." && !/[/\\\0]/.test(name),
        () => `${JSON.stringify(name)} leads out`,
      );
      hold(
        name.isWellFormed() && utf8(name).length <= MAX_NAME_BYTES,
        () => `${JSON.stringify(name)} can't be written`,
      );
      if (utf8(name).length <= 240) {
        hold(safeName(name, { portable }) === name, () => `${JSON.stringify(name)} is not safe yet`);
      }
    }
    checkUnique(paths);
    return null;
  },
};

/** The names of a path made safe, as in a torrent: a path of which nothing is left is `_`. */
function safeNames(names: readonly string[], portable: boolean): string[] {
  const safe = names.map((name) => safeName(name, { portable })).filter((name) => name !== "");
  return safe.length === 0 ? ["_"] : safe;
}

function checkUnique(paths: readonly (readonly string[])[]): void {
  const unique = uniquePaths(paths);
  const files = new Set(unique.map((path) => path.map(foldName).join("/")));
  hold(files.size === paths.length, "two files have the same path");
  for (const [i, path] of unique.entries()) {
    hold(path.slice(0, -1).join("/") === paths[i]!.slice(0, -1).join("/"), "a folder was renamed");
    hold(utf8(path.at(-1)!).length <= MAX_NAME_BYTES, "a name became too long");
    for (let n = 1; n < path.length; n++) {
      const folder = path.slice(0, n).map(foldName).join("/");
      hold(!files.has(folder), () => `${JSON.stringify(folder)} is a file and a folder`);
    }
  }
}

/** Target for `printable()`, which makes text from peers and trackers safe for a terminal. */
export const printableTarget: Target = {
  name: "printable",
  weight: 2,
  tokens: [
    ...NAME_PARTS,
    "\u001b]0;x\u0007",
    "\u009b",
    "\u0301\u0301\u0301\u0301",
    "\u200d",
    "\ufe0f",
    "\u{e0041}",
    "\u3164",
  ],
  generate(dice, draft) {
    for (let left = 1 + dice.below(5); left > 0; left--) draft.text(dice.pick(NAME_PARTS));
  },
  run(input) {
    const text = printable(new TextDecoder().decode(input));
    hold(!/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(text), () => `not fit to print: ${JSON.stringify(text)}`);
    hold(text.isWellFormed() && text.length <= input.length, "text grew, or broke");
    hold(printable(text) === text, () => `${JSON.stringify(text)} is not printable yet`);
    return null;
  },
};
