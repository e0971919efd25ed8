/**
 * Fuzzes the handshake of message stream encryption (MSE).
 *
 * @module
 */

import { type Bytes, equalBytes, toHex, utf8 } from "../../../src/base/bytes.ts";
import { InfoHash } from "../../../src/base/info_hash.ts";
import { startDigest } from "../../../src/platform/start_digest.ts";
import { ciphers, hashOf, Method, MseError, type MseMachine } from "../../../src/transport/mse.ts";
import { KEY_LENGTH, KeyPair } from "../../../src/transport/diffie_hellman.ts";
import { MseInitiator } from "../../../src/transport/mse_initiator.ts";
import { MseResponder } from "../../../src/transport/mse_responder.ts";
import { seededRandom } from "../../support/random.ts";
import { Dice } from "../dice.ts";
import { attempt, hold, type Target } from "../target.ts";

const INFO_HASH = new InfoHash(new Uint8Array(20).fill(7));
const TOOLS = { digest: startDigest };
const MARK = toHex(hashOf(TOOLS, "req2", INFO_HASH.bytes));
/** Fixed keys of both ends, so that the fuzzer can make inputs that decrypt. */
const KEYS = [1, 2].map((seed) => new KeyPair(randomBytes(seed)));
const SECRET = KEYS[0]!.secretWith(KEYS[1]!.publicKey)!;

function randomBytes(seed: number): (length: number) => Bytes {
  const random = seededRandom(seed);
  return (length) => new Uint8Array(length).map(() => Math.floor(random() * 256));
}

/**
 * Target for the MSE handshake. The first byte of an input selects the receiving end. The rest is sent by the other
 * end, whose key is `KEYS[1]` if it is the responder and `KEYS[0]` otherwise.
 */
export const mseTarget: Target = {
  name: "mse-handshake",
  weight: 0.25,
  tokens: ["\x13BitTorrent protocol", "\0\0\0\0\0\0\0\0", "\0\0\0\x02"],
  generate(dice, draft) {
    const toInitiator = dice.oneIn(2);
    draft.raw(Uint8Array.of(toInitiator ? 1 : 0));
    draft.raw(KEYS[toInitiator ? 1 : 0]!.publicKey);
    draft.raw(dice.bytes(dice.below(520)));
    const { A, B } = ciphers(TOOLS, SECRET, INFO_HASH);
    const pad = dice.oneIn(10) ? 600 : dice.below(40);
    const first = dice.oneIn(20) ? 20_000 : dice.below(100);
    const fields = new Uint8Array(8 + 4 + 2 + pad + (toInitiator ? 0 : 2 + first));
    const view = new DataView(fields.buffer);
    view.setUint32(8, dice.below(5));
    view.setUint16(12, pad);
    if (!toInitiator) view.setUint16(14 + pad, first);
    if (toInitiator) B.apply(fields);
    else {
      A.apply(fields);
      draft.raw(hashOf(TOOLS, "req1", SECRET));
      const hidden = hashOf(TOOLS, "req3", SECRET);
      hashOf(TOOLS, "req2", INFO_HASH.bytes).forEach((byte, i) => hidden[i]! ^= byte);
      draft.raw(hidden);
    }
    draft.raw(fields);
    draft.raw(utf8("and payload behind it").slice(0, dice.below(20)));
  },
  run(input) {
    const said = input.subarray(1);
    const cuts = new Dice().start(input.length, input[4] ?? 0, input[input.length - 1] ?? 0);
    const toInitiator = (input[0] ?? 0) % 2 === 1;
    const [whole, split] = [machineOf(toInitiator), machineOf(toInitiator)];
    const read = attempt(MseError, () => void whole.received(said));
    const again = attempt(MseError, () => {
      for (let at = 0; at < said.length && split.result === null;) {
        const size = 1 + cuts.below(cuts.oneIn(3) ? 4 : 400);
        split.received(said.subarray(at, at + size));
        at += size;
      }
    });
    hold((read instanceof MseError) === (again instanceof MseError), "another end when it is cut");
    hold((whole.result === null) === (split.result === null), "another result when it is cut");
    hold(whole.hasPeerKey || said.length < KEY_LENGTH || read instanceof MseError, "a key that is passed over");
    if (whole.result && split.result) {
      const { first } = split.result;
      hold(equalBytes(whole.result.first.subarray(0, first.length), first), "other payload when it is cut");
      hold(toInitiator || whole.result.infoHash === INFO_HASH, "another torrent");
    }
    return read instanceof MseError ? read : whole.result ? null : new MseError("it ends too early");
  },
};

function machineOf(isInitiator: boolean): MseMachine {
  if (isInitiator) {
    const tools = { ...TOOLS, randomBytes: randomBytes(1) };
    return new MseInitiator(tools, { infoHash: INFO_HASH, provide: Method.plain | Method.rc4, first: utf8("hello") });
  }
  return new MseResponder({ ...TOOLS, randomBytes: randomBytes(2) }, {
    find: (mark) => toHex(mark) === MARK ? INFO_HASH : null,
    choose: (offered) => offered & Method.plain || offered & Method.rc4,
  });
}
