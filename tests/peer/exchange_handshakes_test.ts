import { assertEquals, assertRejects } from "@std/assert";
import type { Bytes } from "../../src/base/bytes.ts";
import { InfoHash } from "../../src/base/info_hash.ts";
import { handshakeIn, handshakeOut } from "../../src/peer/exchange_handshakes.ts";
import type { PeerStream } from "../../src/transport/transport.ts";
import { encodeHandshake, type Handshake, parseHandshake } from "../../src/wire/handshake.ts";
import { WireError } from "../../src/wire/messages.ts";

const [V1, V2, OTHER] = [1, 2, 3].map((byte) => new InfoHash(new Uint8Array(20).fill(byte))) as [
  InfoHash,
  InfoHash,
  InfoHash,
];

function handshake(infoHash: InfoHash, v2: boolean): Handshake {
  return { infoHash, peerId: new Uint8Array(20).fill(65), fast: true, extended: true, dht: false, v2 };
}

/** A connection whose remote end says a handshake. */
function line(theirs: Handshake): { stream: PeerStream; written: Bytes[] } {
  const written: Bytes[] = [];
  const stream: PeerStream = {
    remote: { host: "10.0.0.1", port: 1 },
    local: { host: "10.0.0.2", port: 2 },
    read(into) {
      into.set(encodeHandshake(theirs));
      return Promise.resolve(68);
    },
    write(bytes) {
      written.push(bytes.slice());
      return Promise.resolve(bytes.length);
    },
    close() {},
  };
  return { stream, written };
}

Deno.test("handshakeOut() takes an answer under the v2 info-hash only where v2 was offered, and never one under v1", async () => {
  // What we ask under, whether we offer v2, what the answer says, and whether it is taken.
  for (
    const [asked, offers, answered, taken] of [
      [V1, true, V1, true],
      [V1, true, V2, true],
      [V1, false, V2, false],
      [V2, true, V2, true],
      [V2, true, V1, false],
      [V1, true, OTHER, false],
    ] as const
  ) {
    const { stream } = line(handshake(answered, false));
    const result = handshakeOut(stream, handshake(asked, offers), V2);
    if (taken) assertEquals((await result).infoHash, answered);
    else await assertRejects(() => result, WireError, "another torrent");
  }
  const { stream } = line(handshake(V2, true));
  await assertRejects(() => handshakeOut(stream, handshake(V1, true)), WireError, "another torrent");
});

Deno.test("handshakeIn() tells under which info-hash it has answered", async () => {
  const { stream, written } = line(handshake(V1, true));
  const theirs = await handshakeIn(stream, ({ v2 }) => handshake(v2 ? V2 : V1, true));
  assertEquals([theirs.infoHash, parseHandshake(written[0]!).infoHash], [V2, V2]);
  await assertRejects(() => handshakeIn(line(handshake(OTHER, true)).stream, () => null), WireError, "not here");
});
