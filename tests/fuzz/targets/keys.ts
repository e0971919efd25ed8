/**
 * Fuzzes the keys typed in the live view.
 *
 * @module
 */

import { KeyReader } from "../../../src/ui/keys.ts";
import { FIRST_STATE, handleKey } from "../../../src/ui/live_state.ts";
import { PEER_ORDERS } from "../../../src/ui/table.ts";
import { hold, type Target } from "../target.ts";

const AROUND = { torrents: 3, items: 9, page: 4 };

/** Target for `KeyReader` and `handleKey()`. The first byte of an input is the number of bytes per read. */
export const keysTarget: Target = {
  name: "keys",
  weight: 2,
  tokens: [
    "\x1b",
    "\x1b[",
    "\x1bO",
    "A",
    "B",
    "5~",
    "f",
    "l",
    "?",
    "s",
    "p",
    "q",
    "\t",
    "\r",
    "\x7f",
    "5M 500K",
    "none",
  ],
  generate(dice, draft) {
    const parts = ["\x1b[A", "\x1b[6~", "\x1b", "f", "l", "5M\r", "?", "s", "P", "\t", "\x7f", "\x1b[200~", "\u6f22"];
    draft.text(String.fromCharCode(1 + dice.below(9)));
    for (let count = dice.below(30); count >= 0; count--) draft.text(parts[dice.below(parts.length)]!);
  },
  run(input) {
    const reader = new KeyReader();
    const step = Math.max(1, input[0] ?? 1);
    let state = FIRST_STATE;
    for (let at = 1; at < input.length; at += step) {
      const keys = reader.read(input.subarray(at, at + step), { typing: state.prompt !== null });
      hold(keys.length <= step + 1, "there are more keys than bytes");
      for (const key of keys) {
        hold(key.kind === "named" || /^[ -~]$/.test(key.character), "a key is no character that can be seen");
        const next = handleKey(state, { key, around: AROUND });
        state = next.state;
        if (next.action?.kind === "limits") {
          for (const rate of [next.action.down, next.action.up]) hold(!rate || rate > 0, `${rate} is no limit`);
        }
      }
      hold(state.selected >= 0 && state.selected < AROUND.torrents, "no torrent is selected");
      hold(state.scroll >= 0 && state.scroll <= AROUND.items - AROUND.page, "files are scrolled away");
      hold(PEER_ORDERS.includes(state.order) && (state.prompt ?? "").length <= 32, "the state can't be drawn");
    }
    return null;
  },
};
