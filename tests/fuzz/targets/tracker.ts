/**
 * Fuzzes replies of trackers, and requests to our own tracker.
 *
 * @module
 */

import { formatIp, parseCompactPeers, parseIp, type PeerAddress } from "../../../src/base/address.ts";
import { equalBytes } from "../../../src/base/bytes.ts";
import { BencodeError, decodeDict } from "../../../src/bencode/mod.ts";
import { type AnnounceReply, findFailure, parseAnnounceReply } from "../../../src/tracker/announce_reply.ts";
import { percentEncode } from "../../../src/tracker/announce_request.ts";
import { TrackerError } from "../../../src/tracker/errors.ts";
import { LONGEST_INTERVAL, SHORTEST_INTERVAL, spacingAfter } from "../../../src/tracker/announce_schedule.ts";
import { type AnnounceForm, parseAnnounceQuery, parseScrapeQuery } from "../../../src/tracker_server/query.ts";
import { encodeAnnounceReply, encodeScrapeReply } from "../../../src/tracker_server/replies.ts";
import { SwarmStore } from "../../../src/tracker_server/swarm_store.ts";
import { encodeUdpAnnounceReply, parseUdpRequest } from "../../../src/tracker_server/udp_requests.ts";
import { parseConnectReply, parseReplyHeader, parseUdpAnnounceReply } from "../../../src/tracker/udp_messages.ts";
import { Dice } from "../dice.ts";
import type { Draft } from "../draft.ts";
import {
  anyBytes,
  anyInteger,
  anyShape,
  BENCODE_TOKENS,
  disturb,
  Pairs,
  type Shape,
  writeShape,
} from "../shapes/bencode.ts";
import { attempt, hold, type Target } from "../target.ts";

const ADDRESSES = [
  ...[
    "1.2.3.4",
    "255.255.255.255",
    "0.0.0.0",
    "01.2.3.4",
    "1.2.3",
    "1.2.3.4.5",
    "256.1.1.1",
    "::",
    "::1",
    "1::",
    "1::2",
  ],
  ...["::ffff:1.2.3.4", "::1.2.3.4", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1:2:3:4:5:6:1.2.3.4"],
  ...[
    "fe80::1%eth0",
    "[::1]",
    "1:::2",
    "::1::",
    "12345::",
    "g::",
    ":",
    "1:2:3:4:5:6:7:8:9",
    "1.2.3.4:5",
    "2001:DB8::0:1",
  ],
  ...[
    "0:0:1:0:0:1:0:0",
    "1:0:0:2:0:0:0:3",
    "::1.2.3",
    "1.2.3.4::",
    "localhost",
    " 1.2.3.4",
    "1.2.3.4 ",
    "\u0661.2.3.4",
    "",
  ],
];
const WARNINGS = ["slow down", "\u001b[2J\u202eevil", "a\nb\u2028c", "x".repeat(400), "\ud83d", " ", ""];
const MAX_PEERS = 2000;
const MAX_MESSAGE = 303;

/** Target for `parseAnnounceReply()` and `findFailure()`. */
export const replyTarget: Target = {
  name: "announce-reply",
  weight: 3,
  tokens: [
    ...BENCODE_TOKENS,
    ...["5:peersl", "5:peers6:", "6:peers618:", "2:ip", "4:porti6881e", "8:intervali1800e", "12:min intervali60e"],
    ...[
      "14:failure reason",
      "15:warning message",
      "8:retry in5:never",
      "10:tracker id",
      "11:external ip4:",
      "8:completei1e",
    ],
  ],
  generate: (dice, draft) => writeShape(draft, anyReply(dice)),
  run(input) {
    const failure = findFailure(input);
    const reply = attempt(TrackerError, () => parseAnnounceReply(input));
    if (reply instanceof TrackerError) {
      hold(isPrintable(reply.why), () => `not fit to print: ${JSON.stringify(reply.why)}`);
      hold(reply.retryIn === null || reply.retryIn > 0, () => `retry in ${reply.retryIn}`);
      hold(failure === null || failure.why === reply.why, "two reasons for one refusal");
      return reply;
    }
    hold(failure === null, "a success that has a reason to fail");
    checkReply(reply);
    return null;
  },
};

function checkReply(reply: AnnounceReply): void {
  const { regular, earliest } = spacingAfter(reply);
  hold(
    earliest >= SHORTEST_INTERVAL && earliest <= regular && regular <= LONGEST_INTERVAL,
    "an interval that can't be",
  );
  for (const count of [reply.seeders, reply.leechers]) hold(count === null || count >= 0, "a negative count");
  hold(reply.peers.length <= MAX_PEERS, "more peers than are wanted");
  const keys = new Set(reply.peers.map(({ host, port }) => `${host} ${port}`));
  hold(keys.size === reply.peers.length, "a peer is there twice");
  for (const peer of reply.peers) checkPeer(peer);
  hold(reply.trackerId === null || reply.trackerId.length <= 512, "a tracker id that is too long");
  hold(reply.externalIp === null || parseIp(reply.externalIp) !== null, "our address is none");
  hold(isPrintable(reply.warning), () => `not fit to print: ${JSON.stringify(reply.warning)}`);
}

function checkPeer({ host, port }: PeerAddress): void {
  hold(port > 0 && port < 65_536, () => `the port ${port}`);
  const ip = parseIp(host);
  hold(ip !== null && formatIp(ip) === host, () => `${JSON.stringify(host)} is no address in its usual form`);
}

function isPrintable(text: string): boolean {
  // "the answer is not that of a tracker but ..." adds a few words to the text.
  return text.length <= MAX_MESSAGE + 60 && !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(text);
}

function anyReply(dice: Dice): Shape {
  const reply = new Pairs({
    complete: anyInteger(dice),
    "external ip": dice.oneIn(4) ? dice.bytes(dice.pick([4, 16, 5])) : undefined,
    "failure reason": dice.oneIn(12) ? dice.pick(WARNINGS) : undefined,
    incomplete: dice.oneIn(2) ? anyInteger(dice) : undefined,
    interval: dice.oneIn(2) ? 1800 : anyInteger(dice),
    "min interval": dice.oneIn(3) ? anyInteger(dice) : undefined,
    peers: dice.oneIn(2) ? dice.bytes(6 * dice.below(8)) : Array.from({ length: dice.below(5) }, () => anyPeer(dice)),
    peers6: dice.oneIn(3) ? dice.bytes(18 * dice.below(4)) : undefined,
    "retry in": dice.oneIn(6) ? (dice.oneIn(2) ? anyInteger(dice) : dice.pick(["never", "5", "1e3", "0"])) : undefined,
    "tracker id": dice.oneIn(4) ? anyBytes(dice) : undefined,
    "warning message": dice.oneIn(5) ? dice.pick(WARNINGS) : undefined,
  });
  disturb(reply, dice, 40);
  return reply;
}

function anyPeer(dice: Dice): Shape {
  if (dice.oneIn(12)) return anyShape(dice, 2);
  const peer = new Pairs({
    ip: dice.oneIn(3) ? dice.pick(ADDRESSES) : formatIp(dice.bytes(4)),
    "peer id": dice.oneIn(2) ? dice.bytes(20) : undefined,
    port: dice.oneIn(4) ? anyInteger(dice) : 1 + dice.below(65_535),
  });
  disturb(peer, dice, 60);
  return peer;
}

/** Target for replies of UDP trackers: `parseReplyHeader()`, `parseConnectReply()` and `parseUdpAnnounceReply()`. */
export const udpReplyTarget: Target = {
  name: "udp-tracker-reply",
  weight: 3,
  tokens: ["\0\0\0\0", "\0\0\0\x01", "\0\0\0\x02", "\0\0\0\x03", "\x7f\xff\xff\xff", "\x80\0\0\0", "\0\0\0\0\0\0"],
  generate(dice, draft) {
    draft.raw(Uint8Array.of(0, 0, 0, dice.oneIn(10) ? dice.below(5) : dice.pick([0, 1, 1, 1, 3])));
    draft.raw(dice.bytes(4));
    if (dice.oneIn(4)) draft.text(dice.pick(WARNINGS).toWellFormed());
    else for (let field = 0; field < 3; field++) draft.raw(Uint8Array.of(dice.oneIn(8) ? 255 : 0, 0, ...dice.bytes(2)));
    draft.raw(dice.bytes(dice.pick([6, 18]) * dice.below(6) + (dice.oneIn(8) ? dice.below(6) : 0)));
  },
  run(input) {
    hold((parseReplyHeader(input) === null) === input.length < 8, "a header that is there or not");
    const id = attempt(TrackerError, () => parseConnectReply(input));
    hold(id instanceof TrackerError ? isPrintable(id.why) : id.length === 8, "a connection id that is none");
    let outcome: Error | null = null;
    for (const family of [4, 6] as const) {
      const reply = attempt(TrackerError, () => parseUdpAnnounceReply(input, family));
      if (reply instanceof TrackerError) {
        hold(isPrintable(reply.why), () => `not fit to print: ${JSON.stringify(reply.why)}`);
        outcome = reply;
      } else {
        hold(input[3] === 1 && input.length >= 20, "an answer that is none");
        checkReply(reply);
      }
    }
    return outcome;
  },
};

/** Target for UDP requests to our tracker: `parseUdpRequest()`, and that our client can read the answers. */
export const udpRequestTarget: Target = {
  name: "udp-tracker-request",
  weight: 2,
  tokens: [
    "\0\0\x04\x17\x27\x10\x19\x80",
    "\0\0\0\0",
    "\0\0\0\x01",
    "\0\0\0\x02",
    "\0\0\0\x03",
    "\xff\xff\xff\xff",
    "\0\0",
  ],
  generate(dice, draft) {
    if (dice.oneIn(4)) {
      return draft.raw(Uint8Array.of(0, 0, 4, 0x17, 0x27, 0x10, 0x19, 0x80, 0, 0, 0, 0, ...dice.bytes(4)));
    }
    draft.raw(dice.bytes(8));
    const isAnnounce = !dice.oneIn(3);
    draft.raw(Uint8Array.of(0, 0, 0, dice.oneIn(12) ? dice.below(5) : isAnnounce ? 1 : 2, ...dice.bytes(4)));
    if (!isAnnounce) return draft.raw(dice.bytes(20 * dice.below(80) + (dice.oneIn(6) ? dice.below(20) : 0)));
    draft.raw(dice.bytes(40));
    for (let field = 0; field < 3; field++) {
      draft.raw(Uint8Array.of(dice.oneIn(4) ? 255 : 0, 0, 0, 0, ...dice.bytes(4)));
    }
    draft.raw(
      Uint8Array.of(0, 0, 0, dice.below(6), ...dice.bytes(8), ...(dice.oneIn(2) ? [0, 0, 0, 50] : dice.bytes(4))),
    );
    draft.raw(dice.oneIn(12) ? new Uint8Array(2) : dice.bytes(2));
    if (dice.oneIn(2)) draft.raw(dice.bytes(dice.below(40)));
  },
  run(input) {
    const from = input.length % 2 === 0 ? { host: "203.0.113.5", port: 1 } : { host: "2001:db8::1", port: 2 };
    const request = parseUdpRequest(input, from);
    if (request === null || request.kind === "refused") return REFUSED;
    if (request.kind === "connect") return null;
    hold(equalBytes(request.connectionId, input.subarray(0, 8)), "another connection id");
    if (request.kind === "scrape") {
      hold(request.infoHashes.length > 0 && request.infoHashes.length <= 74, "a scrape of none, or of too many");
      return null;
    }
    const { query } = request;
    hold(query.address.host === from.host && query.address.port > 0, "an address that it doesn't come from");
    const store = new SwarmStore({ interval: 1000, random: () => 0.5, maxTorrents: 3, maxPeers: 4 });
    for (const [i, host] of ["198.51.100.7", "2001:db8::7"].entries()) {
      store.announce({ ...query, peerId: new Uint8Array(20).fill(i), address: { host, port: 9 }, event: "" }, i);
    }
    const answer = store.announce(query, 5);
    hold(!("refusal" in answer), "a small tracker that is full");
    const reply = encodeUdpAnnounceReply(answer, { transactionId: request.transactionId, interval: 60 });
    const read = parseUdpAnnounceReply(reply, query.family!);
    hold(read.peers.length === answer.peers.length && read.peers.length <= 1, "the client reads other peers");
    return null;
  },
};

/** Target for `parseCompactPeers()`. */
export const compactTarget: Target = {
  name: "compact-peers",
  weight: 3,
  tokens: ["\0\0\0\0\0\0", "\x7f\0\0\x01\x1a\xe1", "\0\0", "\0\0\0\0\0\0\0\0\0\0\xff\xff"],
  generate: (dice, draft) =>
    draft.raw(dice.bytes(dice.pick([6, 18]) * dice.below(6) + (dice.oneIn(8) ? dice.below(6) : 0))),
  run(input) {
    for (const family of [4, 6] as const) {
      const size = family === 4 ? 6 : 18;
      const peers = parseCompactPeers(input, family);
      let valid = 0;
      for (let at = size; at <= input.length; at += size) if (input[at - 1] !== 0 || input[at - 2] !== 0) valid++;
      hold(peers.length === valid, () => `${peers.length} peers of ${valid}`);
      for (const peer of peers) checkPeer(peer);
    }
    return null;
  },
};

/** Target for `parseIp()` and `formatIp()`. */
export const addressTarget: Target = {
  name: "ip-address",
  weight: 4,
  tokens: [".", ":", "::", "0", "255", "256", "ffff", "FFFF", "1.2.3.4", "%", "[", "]", "00", "-1", " ", "\u0661"],
  generate(dice, draft) {
    if (dice.oneIn(2)) draft.text(dice.pick(ADDRESSES));
    else draft.ascii(formatIp(dice.bytes(dice.pick([4, 16]))));
  },
  run(input) {
    const text = new TextDecoder().decode(input);
    const ip = parseIp(text);
    // The URL parser knows IPv6, too, but takes short forms of IPv4 for hosts.
    if (text.includes(":") && !/[\s%@/?#\\[\]]/.test(text)) {
      const known = URL.canParse(`http://[${text}]/`);
      hold(known === (ip !== null), () => `${JSON.stringify(text)} ${known ? "is" : "is not"} an address`);
    }
    if (ip === null) return NO_ADDRESS;
    const usual = formatIp(ip);
    const again = parseIp(usual)!;
    const isMapped = ip.length === 16 && again.length === 4;
    hold(isMapped ? equalBytes(again, ip.subarray(12)) : equalBytes(again, ip), () => `${usual} is another address`);
    hold(formatIp(again) === usual, () => `${usual} is not the usual form`);
    return null;
  },
};

const NO_ADDRESS = new Error("no address");
const REFUSED = new Error("refused");

/**
 * Target for HTTP requests to our tracker: `parseAnnounceQuery()`, `parseScrapeQuery()`, and that our client can read
 * the answers.
 */
export const queryTarget: Target = {
  name: "tracker-query",
  weight: 2,
  tokens: [
    ...[
      "&",
      "=",
      "%",
      "%0",
      "%00",
      "%FF",
      "%zz",
      "+",
      "info_hash=",
      "peer_id=",
      "port=",
      "left=",
      "event=stopped",
      "ip=",
    ],
    ...[
      "event=completed",
      "event=paused",
      "numwant=",
      "compact=0",
      "no_peer_id=1",
      "&&",
      "==",
      "%25",
      "\u00e9",
      "#",
      "?",
    ],
  ],
  generate(dice, draft) {
    writeQuery(dice, draft);
  },
  run(input) {
    const query = new TextDecoder().decode(input);
    const store = new SwarmStore({ interval: 1000, random: () => 0.5, maxTorrents: 3, maxPeers: 4 });
    const scrape = parseScrapeQuery(query);
    if ("query" in scrape) {
      const reply = encodeScrapeReply(scrape.query.map((hash) => [hash, store.scrape(hash)] as const));
      const files = decodeDict(reply).getDict("files");
      const count = files === undefined ? 0 : [...files].length;
      hold(count >= 1 && count <= scrape.query.length, "a scrape that names nothing");
    }
    const from = input.length % 2 === 0 ? { host: "203.0.113.5", port: 1 } : { host: "::1", port: 2 };
    const parsed = parseAnnounceQuery(query, from);
    if ("refusal" in parsed) return REFUSED;
    checkAnnounce(parsed.query, { store, from });
    return null;
  },
};

function checkAnnounce(form: AnnounceForm, { store, from }: { store: SwarmStore; from: PeerAddress }): void {
  hold(form.address.port > 0 && form.address.port < 65_536, "a port that can't be");
  hold(parseIp(form.address.host) !== null, () => `${form.address.host} is no address`);
  hold(form.left >= 0 && !Number.isNaN(form.left), "less than nothing is left");
  for (let other = 0; other < 3; other++) {
    const peerId = new Uint8Array(20).fill(other);
    store.announce({ ...form, peerId, address: { host: "198.51.100.7", port: 1 + other }, event: "" }, other);
  }
  const answer = store.announce(form, 5);
  if ("refusal" in answer) return;
  hold(store.peerCount <= 4 && store.torrentCount <= 3, "the tracker keeps more than it may");
  const { compact, withoutPeerIds } = form;
  const body = encodeAnnounceReply(answer, { interval: 1800, from, compact, withoutPeerIds });
  const read = attempt(BencodeError, () => parseAnnounceReply(body));
  hold(!(read instanceof BencodeError) && read.peers.length === answer.peers.length, "the client reads other peers");
}

function writeQuery(dice: Dice, draft: Draft): void {
  const parameters = [
    `info_hash=${percentEncode(dice.bytes(dice.oneIn(30) ? dice.below(40) : 20))}`,
    `peer_id=${percentEncode(dice.bytes(dice.oneIn(30) ? dice.below(40) : 20))}`,
    `port=${dice.oneIn(8) ? anyInteger(dice) : 1 + dice.below(65_535)}`,
  ];
  const optional = [
    `left=${dice.oneIn(4) ? 0 : anyInteger(dice)}`,
    `event=${dice.pick(["started", "stopped", "completed", "paused", "", "x"])}`,
    `numwant=${anyInteger(dice)}`,
    `compact=${dice.below(3)}`,
    `no_peer_id=${dice.below(2)}`,
    `ip=${encodeURIComponent(dice.pick(ADDRESSES).toWellFormed())}`,
    `info_hash=${percentEncode(dice.bytes(20))}`,
    `${percentEncode(anyBytes(dice).subarray(0, 8))}=${percentEncode(anyBytes(dice).subarray(0, 12))}`,
  ];
  for (const parameter of optional) {
    if (dice.oneIn(2)) parameters.splice(dice.below(parameters.length + 1), 0, parameter);
  }
  draft.text(parameters.join("&"));
}
