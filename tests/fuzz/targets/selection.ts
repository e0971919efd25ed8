/**
 * Fuzzes selections of files: `so` of magnet links, which are not trusted, and the user's options.
 *
 * @module
 */

import { type Bytes, fromUtf8Lossy } from "../../../src/base/bytes.ts";
import { parseFileChoice, parseSelectOnly, selectFiles, SelectionError } from "../../../src/metainfo/select.ts";
import { attempt, hold, type Target } from "../target.ts";

const FILES = Array.from({ length: 40 }, (_, i) => ({
  path: ["T", i % 3 === 0 ? "sub" : "other", `${i}.${i % 2 === 0 ? "mkv" : "txt"}`],
  length: 1,
  offset: i,
  pad: i % 7 === 6,
  symlink: null,
  executable: false,
}));

/** Target for `parseSelectOnly()`, `parseFileChoice()` and `selectFiles()`. The first byte selects the parser. */
export const selectionTarget: Target = {
  name: "selection",
  weight: 2,
  tokens: [
    "0",
    "39",
    "40",
    "0-39",
    "1-",
    "-1",
    ",",
    "--",
    "999999999",
    "9999999999",
    "*",
    "**/",
    "{a,b}",
    "[0-9]",
    "?",
    "!",
    "sub/",
    "(",
  ],
  generate(dice, draft) {
    draft.byte(dice.below(2));
    const count = 1 + dice.below(8);
    const ranges = Array.from({ length: count }, () => {
      const first = 1 + dice.below(34);
      return dice.oneIn(2) ? `${first}` : `${first}-${first + dice.below(34 - first + 1)}`;
    });
    draft.text(
      dice.oneIn(5)
        ? dice.pick(["*.mkv", "sub/*", "**/*.txt", "[0-9].*", "{1,3}.txt", "30-", "1,*.txt,!sub/"])
        : ranges.join(","),
    );
  },
  run(input: Bytes) {
    const text = fromUtf8Lossy(input.subarray(1));
    const isLink = (input[0] ?? 0) % 2 === 0;
    const chosen = attempt(SelectionError, () => {
      const choice = isLink ? parseSelectOnly(text) : parseFileChoice(text, "--files");
      return selectFiles({ name: "T", files: FILES }, [choice]);
    });
    if (chosen instanceof SelectionError) {
      hold(chosen.where.length < 100, "the error repeats all of it");
      return chosen;
    }
    for (const index of chosen) hold(FILES[index]?.pad === false, () => `file ${index} can't be chosen`);
    return null;
  },
};
