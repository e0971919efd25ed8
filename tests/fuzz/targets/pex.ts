/**
 * Fuzzes peer exchange.
 *
 * @module
 */

import { parseIp } from "../../../src/base/address.ts";
import { MAX_PEX_TAKEN } from "../../../src/base/defences.ts";
import { WireError } from "../../../src/wire/messages.ts";
import { encodePex, parsePex } from "../../../src/wire/pex.ts";
import { attempt, hold, type Target } from "../target.ts";

const KEYS = ["added", "added.f", "added6", "added6.f", "dropped", "dropped6"];

/** Target for `parsePex()`. */
export const pexTarget: Target = {
  name: "peer-exchange",
  weight: 1,
  tokens: ["d", "e", "0:", "6:", "18:", ...KEYS.map((key) => `${key.length}:${key}`)],
  generate(dice, draft) {
    draft.ascii("d");
    for (const key of KEYS) {
      if (dice.oneIn(3)) continue;
      const size = key.endsWith(".f") ? 1 : key.endsWith("6") ? 18 : 6;
      const bytes = dice.bytes(dice.below(20) * size + (dice.oneIn(8) ? 1 : 0));
      draft.ascii(`${key.length}:${key}${bytes.length}:`);
      draft.raw(bytes);
    }
    draft.ascii("e");
  },
  run(input) {
    const read = attempt(WireError, () => parsePex(input));
    if (read instanceof WireError) return read;
    for (const { host, port } of [...read.added, ...read.dropped]) {
      hold(parseIp(host) !== null && port > 0 && port < 65_536, "an address that nobody can have");
    }
    hold(
      read.added.length <= 2 * MAX_PEX_TAKEN && read.dropped.length <= 2 * MAX_PEX_TAKEN,
      "more than is to be taken",
    );
    // IPv4-mapped addresses change their family, so the order may change once.
    const again = parsePex(encodePex(read));
    hold(
      again.added.length <= read.added.length && again.dropped.length <= read.dropped.length,
      "peers out of nothing",
    );
    return null;
  },
};
