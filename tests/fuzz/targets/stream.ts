/**
 * Fuzzes requests of browsers, including forged ones.
 *
 * @module
 */

import { fromUtf8Lossy, utf8 } from "../../../src/base/bytes.ts";
import { InfoHash } from "../../../src/base/info_hash.ts";
import { answerTo } from "../../../src/stream/response.ts";
import { Catalog } from "../../../src/stream/catalog.ts";
import type { Dice } from "../dice.ts";
import { hold, type Target } from "../target.ts";

const HASH = "ab".repeat(20);
const FIELDS = ["host", "range", "if-range", "if-match", "if-none-match"];
const TAG = `"${HASH}-1"`;
const TOKENS = [
  ...["GET", "HEAD", "/", `/${HASH}/`, `/${HASH}.m3u`, "a/b.mp4", "%2e%2e", "..", "%2F", "%", "%ff", "%00"],
  ...["localhost", "127.0.0.1:80", "[::1]", "evil.example", "bytes=", "0-", "-1", "999", "1000", "9007199254740993"],
  ...[",", "*", TAG, `W/${TAG}`],
];
const SIZES = [0, 1, 1000, 2 ** 53 - 1];

function makeCatalog(): Catalog {
  const catalog = new Catalog();
  const infoHash = new InfoHash(new Uint8Array(20).fill(0xab));
  const files = SIZES.map((length, i) => ({
    path: ["a", i === 2 ? "b.mp4" : `${i}`],
    length,
    offset: 0,
    pad: false,
    symlink: null,
    executable: false,
  }));
  catalog.add({ infoHash, name: "a", files }, [...SIZES.keys()]);
  return catalog;
}

const CATALOG = makeCatalog();

function anyRange(dice: Dice): string {
  const number = () => String([0, 1, 999, 1000, 2 ** 53, dice.below(2000)][dice.below(6)]!);
  return [`bytes=${number()}-${number()}`, `bytes=${number()}-`, `bytes=-${number()}`][dice.below(3)]!;
}

/** Target for `answerTo()`. An input has a line for the method, one for the path, and one for each header field. */
export const streamRequestTarget: Target = {
  name: "stream-request",
  weight: 1,
  tokens: TOKENS,
  generate(dice, draft) {
    const file = dice.below(SIZES.length);
    const path = ["/", `/${HASH}/`, `/${HASH}.m3u`, `/${HASH}/a/${file === 2 ? "b.mp4" : file}`][dice.below(4)]!;
    const tag = () => ["", "", TAG, "*"][dice.below(4)]!;
    const fields = ["localhost:8000", anyRange(dice), tag(), tag(), tag()];
    draft.raw(utf8([dice.below(4) === 0 ? "HEAD" : "GET", path, ...fields].join("\n")));
  },
  run(input) {
    const [method = "", path = "", ...values] = fromUtf8Lossy(input).split("\n");
    const fields = { get: (name: string) => values[FIELDS.indexOf(name)] || null };
    const question = { method, path, fields };
    const { status, headers, body } = answerTo(question, { catalog: CATALOG, bound: "127.0.0.1", base: "http://x" });
    hold([200, 206, 304, 404, 405, 412, 414, 416, 421].includes(status), () => `status ${status}`);
    hold(method !== "HEAD" || body === null, "there is a body where there may be none");
    if (body === null || typeof body === "string") return null;
    const length = body.end - body.begin;
    hold(status === 200 || status === 206, "an error has a file");
    hold(body.begin >= 0 && length >= 0 && body.end <= body.file.length, "it is outside the file");
    hold(headers["content-length"] === String(length), "the length isn't that of the body");
    if (status !== 206) hold(length === body.file.length, "a part has no range");
    else {
      const range = `bytes ${body.begin}-${body.end - 1}/${body.file.length}`;
      hold(length > 0 && headers["content-range"] === range, "the range isn't that of the body");
    }
    return null;
  },
};
