import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type Bytes, concatBytes, fromHex, toHex, utf8 } from "../../src/base/bytes.ts";
import { InfoHash } from "../../src/base/info_hash.ts";
import { ENCRYPTED_HANDSHAKE_MS, MAX_FIRST_PAYLOAD } from "../../src/base/defences.ts";
import { startDigest } from "../../src/platform/start_digest.ts";
import type { Connection } from "../../src/platform/platform.ts";
import { KeyPair } from "../../src/transport/diffie_hellman.ts";
import { hashOf, MAX_PADDING, Method, MseError, type MseMachine, type MseResult } from "../../src/transport/mse.ts";
import { MseInitiator } from "../../src/transport/mse_initiator.ts";
import { MseResponder } from "../../src/transport/mse_responder.ts";
import { OpenedStream } from "../../src/transport/opened_stream.ts";
import { Rc4 } from "../../src/transport/rc4.ts";
import { type EncryptionMode, StreamEncryption } from "../../src/transport/stream_encryption.ts";
import type { PeerStream, Transport } from "../../src/transport/transport.ts";
import { encodeHandshake } from "../../src/wire/handshake.ts";
import { fc } from "../support/property.ts";
import { seededRandom } from "../support/random.ts";
import { settle, VirtualClock } from "../support/virtual_clock.ts";

const INFO_HASH = new InfoHash(new Uint8Array(20).fill(7));
const BOTH = Method.plain | Method.rc4;
const HELLO = encodeHandshake({
  infoHash: INFO_HASH,
  peerId: utf8("-XX0000-aaaaaaaaaaaa"),
  fast: true,
  extended: true,
});

// RC4.

Deno.test("Rc4 gives the key streams of RFC 6229", () => {
  const streams: [key: string, offset: number, bytes: string][] = [
    ["0102030405", 0, "b2396305f03dc027ccc3524a0a1118a8"],
    ["0102030405", 240, "28cb1132c96ce286421dcaadb8b69eae"],
    ["0102030405", 1024, "30abbcc7c20b01609f23ee2d5f6bb7df"],
    ["0102030405060708090a0b0c0d0e0f10", 0, "9ac7cc9a609d1ef7b2932899cde41b97"],
    ["0102030405060708090a0b0c0d0e0f10", 1024, "bdf0324e6083dcc6d3cedd3ca8c53c16"],
    ["833222772a", 0, "80ad97bdc973df8a2e879e92a497efda"],
  ];
  for (const [key, offset, expected] of streams) {
    const bytes: Bytes = new Uint8Array(16);
    new Rc4(fromHex(key)!, { skip: offset }).apply(bytes);
    assertEquals(toHex(bytes), expected, `${key} at ${offset}`);
  }
});

Deno.test("Rc4 goes on where it was, and touches nothing outside", () => {
  const [whole, parts] = [new Uint8Array(100), new Uint8Array(110)];
  new Rc4(utf8("key")).apply(whole);
  const cipher = new Rc4(utf8("key"));
  for (let at = 5; at < 105; at += 25) cipher.apply(parts, at, at + 25);
  assertEquals(parts.subarray(5, 105), whole);
  assertEquals([...parts.subarray(0, 5), ...parts.subarray(105)], new Array(10).fill(0));
});

// The handshake.

function tools(seed: number) {
  const random = seededRandom(seed);
  return {
    randomBytes: (length: number): Bytes => new Uint8Array(length).map(() => Math.floor(random() * 256)),
    digest: startDigest,
  };
}

interface Setting {
  readonly seed?: number;
  readonly provide?: number;
  readonly first?: Bytes;
  readonly choose?: (offered: number) => number;
}

function ends({ seed = 1, provide = BOTH, first = HELLO, choose = (offered) => offered & Method.rc4 }: Setting = {}) {
  const mark = toHex(hashOf(tools(0), "req2", INFO_HASH.bytes));
  return {
    initiator: new MseInitiator(tools(seed), { infoHash: INFO_HASH, provide, first }),
    responder: new MseResponder(tools(seed + 1), {
      find: (asked) => toHex(asked) === mark ? INFO_HASH : null,
      choose,
    }),
  };
}

/** Connects both ends, in reads of the given sizes, and returns the results of both. */
function meet(
  { initiator, responder }: { initiator: MseInitiator; responder: MseResponder },
  sizes: () => number = () => Infinity,
): { A: MseResult; B: MseResult } {
  let said: Bytes = initiator.opening;
  for (let speaker: MseMachine = responder; said.length > 0; speaker = speaker === responder ? initiator : responder) {
    const answers: Bytes[] = [];
    for (let at = 0; at < said.length;) {
      const read = said.subarray(at, at + sizes());
      const answer = speaker.received(read);
      if (answer) answers.push(answer);
      at += read.length;
    }
    said = concatBytes(answers);
  }
  return { A: initiator.result!, B: responder.result! };
}

/** Returns the first key-stream bytes of each direction; `null` for plaintext. */
function streams({ incoming, outgoing }: MseResult) {
  return [incoming, outgoing].map((cipher) => {
    const bytes: Bytes = new Uint8Array(32);
    cipher?.apply(bytes);
    return cipher && toHex(bytes);
  });
}

Deno.test("MSE: both ends come to the same, whatever the padding and the cuts", () => {
  fc.assert(
    fc.property(
      fc.record({
        seed: fc.nat(),
        provide: fc.constantFrom(Method.rc4, BOTH),
        wanted: fc.constantFrom(Method.plain, Method.rc4),
        first: fc.uint8Array({ maxLength: 300 }),
        sizes: fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 20 }),
      }),
      ({ seed, provide, wanted, first, sizes }) => {
        let turn = 0;
        const choose = (offered: number) => offered & wanted || offered & Method.rc4;
        const bytes = Uint8Array.from(first);
        const { A, B } = meet(ends({ seed, provide, choose, first: bytes }), () => sizes[turn++ % sizes.length]!);
        assert(A.infoHash.equals(B.infoHash));
        assertEquals(B.first, bytes);
        assertEquals(A.first.length, 0);
        assertEquals(A.incoming !== null, provide === Method.rc4 || wanted === Method.rc4);
        assertEquals(streams(A), streams(B).reverse());
      },
    ),
    { numRuns: 40 },
  );
});

Deno.test("MSE: one byte at a time is as good as all at once", () => {
  const { A, B } = meet(ends({ seed: 3 }), () => 1);
  assertEquals(B.first, HELLO);
  assertEquals(streams(A), streams(B).reverse());
});

Deno.test("MSE: payload that comes right behind the handshake is not lost", () => {
  for (const method of [Method.plain, Method.rc4]) {
    const { initiator, responder } = ends({ choose: () => method });
    const key = responder.received(initiator.opening)!;
    const proof = initiator.received(key)!;
    const choice = responder.received(proof)!;
    const behind = utf8("behind");
    responder.result!.outgoing?.apply(behind);
    assertEquals(initiator.received(concatBytes([choice, behind])), null);
    assertEquals(initiator.result!.first, utf8("behind"));
  }
});

Deno.test("MSE: nothing that comes makes an end throw anything but its own error, or hold more than it may", () => {
  fc.assert(
    fc.property(
      fc.nat(),
      fc.boolean(),
      fc.array(fc.uint8Array({ maxLength: 1500 }), { maxLength: 8 }),
      (seed, out, reads) => {
        const { initiator, responder } = ends({ seed });
        const machine: MseMachine = out ? initiator : responder;
        let heard = 0;
        try {
          for (const read of reads) {
            machine.received(read);
            heard += read.length;
          }
        } catch (error) {
          assert(error instanceof MseError, String(error));
        }
        assertEquals(machine.result, null);
        assert(heard <= 96 + MAX_PADDING + 20, `${heard} bytes were taken`);
      },
    ),
    { numRuns: 60 },
  );
});

Deno.test("MSE: a handshake that is changed anywhere after the keys comes to nothing", () => {
  const proofOf = () => {
    const both = ends();
    return { ...both, proof: both.initiator.received(both.responder.received(both.initiator.opening)!)! };
  };
  // The two digests and the zeros. Changes of the padding don't matter.
  for (const at of [0, 19, 20, 39, 40, 47]) {
    const { responder, proof } = proofOf();
    proof[at]! ^= 0x80;
    const more = new Uint8Array(MAX_PADDING + 20);
    assertThrows(() => void (responder.received(proof), responder.received(more)), MseError);
  }
});

Deno.test("MSE: what one end can't accept ends the handshake", () => {
  const none = ends({ provide: Method.plain, choose: () => 0 });
  assertThrows(() => meet(none), MseError, "no way to encrypt");
  const long = ends({ first: new Uint8Array(MAX_FIRST_PAYLOAD + 1) });
  assertThrows(() => meet(long), MseError, "first payload");
  const { initiator } = ends();
  assertThrows(() => initiator.received(HELLO), MseError, "without encryption");
  const prime = fromHex(
    "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74" +
      "020bbea63b139b22514a08798e3404ddef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a63a36210000000000090563",
  )!;
  const one: Bytes = new Uint8Array(96);
  one[95] = 1;
  const last = prime.slice();
  last[95]!--;
  for (const key of [new Uint8Array(96), one, prime, last, new Uint8Array(96).fill(255)]) {
    assertThrows(() => ends().responder.received(key), MseError, "its public key is invalid");
    assertEquals(new KeyPair(tools(1).randomBytes).secretWith(key), null);
  }
});

// Streams.

/** Returns both ends of a connection in memory; a write takes at most `most` bytes. */
function pipe(most = Infinity): [MemoryConnection, MemoryConnection] {
  const [a, b] = [new MemoryConnection(most), new MemoryConnection(most)];
  a.other = b;
  b.other = a;
  return [a, b];
}

class MemoryConnection implements Connection {
  readonly remote = { host: "10.0.0.1", port: 1 };
  readonly local = { host: "10.0.0.2", port: 2 };
  other!: MemoryConnection;
  closed = false;
  /** Bytes that arrived, as they were on the wire. */
  readonly came: number[] = [];
  readonly #most: number;
  #read = 0;
  #wake: (() => void) | null = null;

  constructor(most: number) {
    this.#most = most;
  }

  async read(into: Bytes): Promise<number | null> {
    while (this.#read === this.came.length) {
      if (this.closed || this.other.closed) return null;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    const some = this.came.slice(this.#read, this.#read + into.length);
    into.set(some);
    this.#read += some.length;
    return some.length;
  }

  write(bytes: Bytes): Promise<number> {
    if (this.closed || this.other.closed) return Promise.reject(new Error("closed"));
    const taken = bytes.subarray(0, this.#most);
    for (const byte of taken) this.other.came.push(byte);
    this.other.#wake?.();
    return Promise.resolve(taken.length);
  }

  close(): void {
    this.closed = true;
    this.#wake?.();
    this.other.#wake?.();
  }
}

async function readAll(stream: PeerStream, length: number): Promise<Bytes> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length;) {
    const count = await stream.read(bytes.subarray(at));
    if (count === null) return bytes.subarray(0, at);
    at += count;
  }
  return bytes;
}

async function writeAll(stream: PeerStream, bytes: Bytes): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await stream.write(bytes.subarray(at));
}

Deno.test("OpenedStream encrypts every byte once, however little a write takes", async () => {
  const [near, far] = pipe(7);
  const { A, B } = meet(ends());
  const out = new OpenedStream(near, { first: A.first, handshake: A });
  const incoming = new OpenedStream(far, { first: B.first, handshake: B });
  const text = utf8("a line that is longer than what a write takes, several times over");
  await writeAll(out, text.slice());
  await writeAll(out, text.slice());
  assertEquals(await readAll(incoming, HELLO.length + 2 * text.length), concatBytes([HELLO, text, text]));
  assertEquals([out.encryption, incoming.encryption], ["rc4", "rc4"]);
});

/** One session's encryption dials another's; returns the connections made. */
function world(dialler: EncryptionMode, dialled: EncryptionMode | ((far: MemoryConnection) => Promise<unknown>)) {
  const clock = new VirtualClock();
  const platform = (seed: number) => ({ ...tools(seed), after: clock.after.bind(clock) });
  const ours = new StreamEncryption(platform(1), dialler);
  const theirs = new StreamEncryption(platform(2), typeof dialled === "string" ? dialled : "off");
  theirs.add(INFO_HASH);
  const accepted: { stream: Promise<PeerStream>; far: MemoryConnection }[] = [];
  const signal = new AbortController();
  const tcp: Transport = {
    name: "tcp",
    async dial(_address, { first }) {
      const [near, far] = pipe();
      await writeAll(near, first.slice());
      // As in a session, a connection that fails is closed.
      const stream = typeof dialled === "string" ? theirs.receive(far) : dialled(far).then(() => far);
      stream.catch(() => far.close());
      accepted.push({ stream, far });
      return near;
    },
  };
  const dial = () =>
    ours.over(tcp).dial({ host: "10.0.0.2", port: 2 }, { infoHash: INFO_HASH, first: HELLO, signal: signal.signal });
  return { dial, accepted, clock, signal, theirs };
}

/** A peer that knows nothing of encryption. */
async function plainPeer(far: MemoryConnection): Promise<void> {
  const [first] = await readAll(far, 1);
  if (first !== 0x13) throw new Error("what is that?");
  await readAll(far, HELLO.length - 1);
  await writeAll(far, HELLO.slice());
}

Deno.test("StreamEncryption: the payload is encrypted only if one end requires it", async () => {
  const cases: [EncryptionMode, EncryptionMode, string][] = [
    ["prefer", "prefer", "handshake"],
    ["prefer", "require", "rc4"],
    ["require", "prefer", "rc4"],
    ["require", "require", "rc4"],
    ["off", "prefer", "none"],
  ];
  for (const [dialler, dialled, expected] of cases) {
    const { dial, accepted } = world(dialler, dialled);
    const near = await dial();
    // An end that requires RC4 rejects the first connection, which offers plain payload only.
    assertEquals(accepted.length, dialler === "prefer" && dialled === "require" ? 2 : 1);
    const { stream, far: wireEnd } = accepted.at(-1)!;
    const far = await stream;
    assertEquals([near.encryption ?? "none", far.encryption], [expected, expected], `${dialler} to ${dialled}`);
    assertEquals(await readAll(far, HELLO.length), HELLO);
    await writeAll(near, utf8("ping"));
    await writeAll(far, utf8("pong"));
    assertEquals([await readAll(near, 4), await readAll(far, 4)], [utf8("pong"), utf8("ping")]);
    const wire = String.fromCharCode(...wireEnd.came);
    assertEquals(wire.includes("BitTorrent protocol"), expected !== "rc4");
    assertEquals(wire.includes("ping"), expected !== "rc4");
    if (expected !== "none") assert(far.infoHash?.equals(INFO_HASH));
  }
});

Deno.test("StreamEncryption: who requires encryption speaks to nobody without", async () => {
  const { dial, accepted } = world("off", "require");
  await dial();
  await assertRejects(() => accepted[0]!.stream, MseError, "it does not encrypt, which is required here");
  const strict = world("require", plainPeer);
  await assertRejects(strict.dial, MseError, "closed the connection during the encrypted handshake");
  assertEquals(strict.accepted.length, 1);
});

Deno.test("StreamEncryption: somebody who doesn't understand is dialled again without, and remembered", async () => {
  const { dial, accepted } = world("prefer", plainPeer);
  const first = await dial();
  assertEquals([first.encryption, accepted.length], ["none", 2]);
  assertEquals(await readAll(first, HELLO.length), HELLO);
  await dial();
  assertEquals(accepted.length, 3);
});

Deno.test("StreamEncryption: somebody who is remembered as plain and then isn't is dialled encrypted the next time", async () => {
  let knows = false;
  const { dial, accepted, theirs } = world("prefer", async (far) => {
    if (!knows) return await plainPeer(far);
    if ((await readAll(far, 1))[0] === 0x13) throw new Error("encrypt, please");
    return await theirs.receive(far);
  });
  await dial();
  knows = true;
  const refused = await dial();
  assertEquals([await refused.read(new Uint8Array(1)), accepted.length], [null, 3]);
  // The next dial begins encrypted again. This peer has read the first byte, so the handshake fails.
  const fourth = dial();
  await settle();
  assert(accepted[3]!.far.came[0] !== 0x13);
  accepted[3]!.far.close();
  await fourth;
});

Deno.test("StreamEncryption: somebody who is silent has half of the time, then it is tried without", async () => {
  let connections = 0;
  const { dial, clock, accepted } = world("prefer", async (far) => {
    if (++connections === 1) return await new Promise(() => {});
    return await plainPeer(far);
  });
  const dialled = dial();
  await settle();
  clock.advance(ENCRYPTED_HANDSHAKE_MS);
  assertEquals((await dialled).encryption, "none");
  assertEquals(accepted.length, 2);
  assert(accepted[0]!.far.other.closed);
});

Deno.test("StreamEncryption: who is required to encrypt and says nothing is told from one that is refused", async () => {
  const { dial, clock, accepted } = world("require", () => new Promise(() => {}));
  const dialled = assertRejects(dial, MseError, "it takes more than 5 s for the encrypted handshake");
  await settle();
  clock.advance(ENCRYPTED_HANDSHAKE_MS);
  await dialled;
  assertEquals(accepted.length, 1);
});

Deno.test("StreamEncryption: a peer that requires RC4 is dialled with RC4 at once the next time, until that fails", async () => {
  const { dial, accepted, theirs } = world("prefer", "require");
  await dial();
  assertEquals(accepted.length, 2);
  assertEquals((await dial()).encryption, "rc4");
  assertEquals(accepted.length, 3);
  theirs.remove(INFO_HASH);
  await assertRejects(dial, MseError, "closed the connection during the encrypted handshake");
  assertEquals(accepted.length, 4);
  theirs.add(INFO_HASH);
  await dial();
  assertEquals(accepted.length, 6, "it was forgotten");
});

Deno.test("StreamEncryption: a peer that supports encryption is never dialled without it", async () => {
  const unknown = world("prefer", "prefer");
  unknown.theirs.remove(INFO_HASH);
  await assertRejects(unknown.dial, MseError, "closed the connection during the encrypted handshake");
  for (const { stream } of unknown.accepted) {
    await assertRejects(() => stream, MseError, "it asks for a torrent that is not here");
  }
  assertEquals(unknown.accepted.length, 2, "plain payload is offered first, then both");
});

Deno.test("StreamEncryption: a peer that answers with nonsense is not dialled again", async () => {
  const { dial, accepted } = world("prefer", async (far) => {
    await readAll(far, 96);
    await writeAll(far, new Uint8Array(2000).fill(7));
  });
  await assertRejects(dial, MseError, "its encrypted handshake is invalid");
  assertEquals(accepted.length, 1);
});

Deno.test("StreamEncryption: a dial that was aborted is not repeated", async () => {
  const silent = world("prefer", () => new Promise(() => {}));
  const dialled = silent.dial();
  await settle();
  silent.signal.abort();
  await assertRejects(() => dialled, MseError);
  assertEquals(silent.accepted.length, 1);
  assert(silent.accepted[0]!.far.other.closed);
});

Deno.test("StreamEncryption: who hangs up before anything is known is told from one that does not encrypt", async () => {
  const encryption = new StreamEncryption({ ...tools(1), after: new VirtualClock().after }, "require");
  const [near, far] = pipe();
  await writeAll(near, HELLO.slice(0, 10));
  near.close();
  const stream = await encryption.receive(far);
  assertEquals(await readAll(stream, 68), HELLO.subarray(0, 10));
});
