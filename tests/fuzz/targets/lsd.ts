/**
 * Fuzzes messages from the local network.
 *
 * @module
 */

import { InfoHash } from "../../../src/base/info_hash.ts";
import { encodeLsdMessage, LsdError, MAX_LSD_HASHES, parseLsdMessage } from "../../../src/lsd/lsd_message.ts";
import { attempt, hold, type Target } from "../target.ts";

const HASH = "0123456789abcdef0123456789abcdef01234567";
const LINES = ["Port: 6881", "Host: 239.192.152.143:6771", `Infohash: ${HASH}`, "cookie: 1234", "Port: 0", "X:", ": y"];

/** Target for `parseLsdMessage()`. */
export const lsdTarget: Target = {
  name: "local-discovery",
  weight: 1,
  tokens: ["BT-SEARCH * HTTP/1.1\r\n", "\r\n", "\n", "\r\n\r\n", ...LINES, "Infohash:", "port:", HASH.toUpperCase()],
  generate(dice, draft) {
    draft.ascii("BT-SEARCH * HTTP/1.1\r\n");
    for (let left = dice.below(8); left > 0; left--) draft.ascii(`${dice.pick(LINES)}\r\n`);
    draft.ascii("\r\n\r\n");
  },
  run(input) {
    const read = attempt(LsdError, () => parseLsdMessage(input));
    if (read instanceof LsdError) return read;
    hold(read.port > 0 && read.port < 65_536, "a port that nobody can have");
    hold(
      read.infoHashes.length > 0 && read.infoHashes.length * 40 <= input.length,
      "more torrents than there is room for",
    );
    const infoHashes = read.infoHashes.slice(0, MAX_LSD_HASHES);
    const again = parseLsdMessage(encodeLsdMessage({ port: read.port, infoHashes, cookie: "" }, 4));
    const names = (hashes: readonly InfoHash[]) => hashes.map(({ hex }) => hex).join();
    hold(names(again.infoHashes) === names(infoHashes), "encoding and parsing again gives other torrents");
    return null;
  },
};
