/**
 * Fuzzes replies of web seeds.
 *
 * @module
 */

import { fromUtf8Lossy, utf8 } from "../../../src/base/bytes.ts";
import { MAX_RETRY_AFTER_MS } from "../../../src/base/defences.ts";
import type { WebPart } from "../../../src/swarm/web_seeds/web_files.ts";
import { judgeReply, retryAfter } from "../../../src/swarm/web_seeds/web_reply.ts";
import type { Dice } from "../dice.ts";
import { hold, type Target } from "../target.ts";

const FIELDS = ["content-range", "content-length", "content-encoding", "retry-after"];
const WALL_CLOCK = Date.UTC(2026, 0, 1);
const PARTS: readonly WebPart[] = [
  { url: "http://w.example/", at: 0, length: 100, first: 50, size: 1000, file: 0 },
  { url: "http://w.example/", at: 0, length: 1000, first: 0, size: 1000, file: 0 },
  { url: "http://w.example/", at: 0, length: 1, first: 2 ** 53 - 2, size: 2 ** 53 - 1, file: 0 },
];
const STATUSES = [200, 206, 206, 301, 404, 416, 429, 500, 503];
const TOKENS = [
  ...["bytes ", "-", "/", "*", "50", "149", "1000", "99", "0", "-1", "1e3", "0x10", "9007199254740993", "identity"],
  ...["gzip", "Wed, 21 Oct 2026 07:28:00 GMT", "120", "206\n", "503\n", "\n"],
];

function anyField(dice: Dice, field: string): string {
  const wild = () => TOKENS[dice.below(TOKENS.length)]!.trim();
  if (dice.below(4) === 0) return wild() + wild();
  if (field === "content-range") {
    return dice.below(2) === 0 ? "bytes 50-149/1000" : `bytes ${wild()}-${wild()}/${wild()}`;
  }
  if (field === "content-length") return ["100", "1000", "1"][dice.below(3)]!;
  if (field === "content-encoding") return "";
  return ["120", "Wed, 21 Oct 2026 07:28:00 GMT"][dice.below(2)]!;
}

/** Target for `judgeReply()` and `retryAfter()`. An input has a line for the status and one for each header field. */
export const webReplyTarget: Target = {
  name: "web-reply",
  weight: 1,
  tokens: TOKENS,
  generate(dice, draft) {
    const lines = [`${STATUSES[dice.below(STATUSES.length)]}`, ...FIELDS.map((field) => anyField(dice, field))];
    draft.raw(utf8(lines.join("\n")));
  },
  run(input) {
    const [status, ...values] = fromUtf8Lossy(input).split("\n");
    const headers = new Headers();
    for (const [i, field] of FIELDS.entries()) {
      // An HTTP client lets no other characters through.
      const value = (values[i] ?? "").replace(/[^\x20-\x7e]/g, "?");
      if (value !== "") headers.set(field, value);
    }
    for (const part of PARTS) {
      const reply = judgeReply(part, { status: Number(status), headers, wallClock: WALL_CLOCK });
      if (reply.kind === "data") {
        hold(reply.skip === 0 || reply.skip === part.first, "data begins somewhere else");
        hold(reply.length >= 1 && reply.length <= part.length, "there is more than was asked for");
        hold(reply.length === part.length || status === "206", "there is less than was asked for");
      } else if (reply.kind === "busy") holdWait(reply.after);
    }
    holdWait(retryAfter(values.at(-1) ?? null, WALL_CLOCK));
    return null;
  },
};

function holdWait(wait: number | null): void {
  hold(wait === null || (wait >= 1000 && wait <= MAX_RETRY_AFTER_MS), () => `it waits for ${wait} ms`);
}
