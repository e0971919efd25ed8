/**
 * Fuzzes blocklists.
 *
 * @module
 */

import { type Bytes, fromUtf8Lossy } from "../../../src/base/bytes.ts";
import { ShoalError } from "../../../src/base/errors.ts";
import { parseBlocklist } from "../../../src/session/blocklist.ts";
import { attempt, hold, type Target } from "../target.ts";

/** Target for `parseBlocklist()`. */
export const blocklistTarget: Target = {
  name: "blocklist",
  weight: 1,
  tokens: [
    "\n",
    ":",
    "-",
    " , ",
    "/24",
    "/0",
    "/128",
    "#",
    ";",
    "//",
    "::",
    "::ffff:",
    "0.0.0.0",
    "255.255.255.255",
    "000",
    "%",
  ],
  generate(dice, draft) {
    const quad = () => Array.from({ length: 4 }, () => dice.below(256)).join(".");
    const v6 = () => `${dice.below(65536).toString(16)}::${dice.below(65536).toString(16)}`;
    for (let lines = dice.below(12); lines >= 0; lines--) {
      const ip = dice.oneIn(3) ? v6 : quad;
      const forms = [
        `name ${lines}:${ip()}-${ip()}`,
        `${ip()} - ${ip()} , ${dice.below(256)} , name`,
        `${ip()}/${dice.below(40)}`,
        ip(),
      ];
      draft.text(`${dice.pick(forms)}\n`);
    }
  },
  run(input: Bytes) {
    const text = fromUtf8Lossy(input);
    const list = attempt(ShoalError, () => parseBlocklist(text, "fuzz"));
    if (list instanceof ShoalError) {
      hold(list.kind === "usage", "an error of another kind");
      return list;
    }
    const lines = text.split("\n").length;
    hold(list.ranges.size >= 1 && list.ranges.size + list.bad <= lines, "more ranges than lines");
    hold((list.bad === 0) === (list.firstBad === 0) && list.firstBad <= lines, "a bad line that isn't there");
    return null;
  },
};
