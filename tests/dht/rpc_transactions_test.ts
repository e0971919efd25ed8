import { assertEquals, assertLessOrEqual, assertNotEquals } from "@std/assert";
import type { PeerAddress } from "../../src/base/address.ts";
import { type Bytes, toHex } from "../../src/base/bytes.ts";
import { MAX_DHT_QUERIES } from "../../src/base/defences.ts";
import { decodeMessage } from "../../src/dht/krpc_messages.ts";
import { type QueryOutcome, Rpc } from "../../src/dht/rpc_transactions.ts";
import { at, idOf, TestPlatform } from "./support.ts";

class Lab {
  readonly platform = new TestPlatform();
  readonly sent: { readonly transaction: Bytes; readonly to: PeerAddress; readonly time: number }[] = [];
  readonly outcomes: string[] = [];
  readonly rpc = new Rpc({
    platform: this.platform,
    identify: () => ({ id: idOf("01"), readOnly: true }),
    send: (bytes, to) => {
      const message = decodeMessage(bytes);
      assertEquals(message.type === "query" && message.readOnly, true);
      this.sent.push({ transaction: message.transaction, to, time: this.platform.now() });
    },
  });

  ask(to: PeerAddress, name: string): void {
    const outcome: QueryOutcome = {
      answered: () => this.outcomes.push(`${name} answered`),
      refused: () => this.outcomes.push(`${name} refused`),
      slow: () => this.outcomes.push(`${name} slow`),
      failed: () => this.outcomes.push(`${name} failed`),
    };
    this.rpc.query({ to, method: "ping", arguments: {}, outcome });
  }

  answer(transaction: Bytes, from: PeerAddress): boolean {
    return this.rpc.received({ type: "response", transaction, values: { id: idOf("02") }, ip: null }, from);
  }
}

Deno.test("Rpc takes an answer from whom it asked, with the right transaction, once", () => {
  const lab = new Lab();
  lab.ask(at("1.2.3.4:5"), "a");
  const { transaction } = lab.sent[0]!;
  assertEquals(lab.answer(transaction, at("1.2.3.4:6")), false, "another port");
  assertEquals(lab.answer(transaction, at("1.2.3.5:5")), false, "another address");
  assertEquals(lab.answer(Uint8Array.of(1, 2, 3, 4), at("1.2.3.4:5")), false, "a guess");
  assertEquals(lab.answer(transaction, at("1.2.3.4:5")), true);
  assertEquals(lab.answer(transaction, at("1.2.3.4:5")), false, "again");
  lab.platform.advance(60_000);
  assertEquals(lab.outcomes, ["a answered"]);
});

Deno.test("Rpc says that an answer is slow, then that there is none; or takes it late", () => {
  const lab = new Lab();
  lab.ask(at("1.2.3.4:5"), "a");
  lab.ask(at("1.2.3.4:6"), "b");
  lab.platform.advance(1500);
  lab.answer(lab.sent[1]!.transaction, at("1.2.3.4:6"));
  lab.platform.advance(6499);
  assertEquals(lab.outcomes, ["a slow", "b slow", "b answered"]);
  lab.platform.advance(1);
  assertEquals(lab.outcomes.at(-1), "a failed");
  assertEquals([lab.rpc.waiting, lab.platform.pending], [0, 0]);
});

Deno.test("Rpc gives refusals on", () => {
  const lab = new Lab();
  lab.ask(at("1.2.3.4:5"), "a");
  const { transaction } = lab.sent[0]!;
  lab.rpc.received({ type: "error", transaction, code: 203, text: "no" }, at("1.2.3.4:5"));
  assertEquals(lab.outcomes, ["a refused"]);
});

Deno.test("Rpc uses transactions that can't be guessed from each other", () => {
  const lab = new Lab();
  for (let i = 0; i < 50; i++) lab.ask(at("1.2.3.4:5"), "a");
  const transactions = lab.sent.map(({ transaction }) => toHex(transaction));
  assertEquals(new Set(transactions).size, 50);
  const steps = transactions.slice(1).map((text, i) => parseInt(text, 16) - parseInt(transactions[i]!, 16));
  assertNotEquals(new Set(steps).size, 1);
});

Deno.test("Rpc sends no more than 100 queries a second after the first 100, in order, and takes no more than it may", () => {
  const lab = new Lab();
  for (let i = 0; i < MAX_DHT_QUERIES + 50; i++) lab.ask(at(`1.2.3.4:${i + 1}`), `${i}`);
  assertEquals(lab.sent.length, 100);
  assertEquals(lab.rpc.waiting, MAX_DHT_QUERIES);
  lab.platform.advance(0);
  assertEquals(lab.outcomes.filter((text) => text.endsWith("failed")).length, 50);
  lab.platform.advance(10_000);
  assertLessOrEqual(Math.abs(lab.sent.length - 1100), 1);
  assertEquals(lab.sent.map(({ to }) => to.port), Array.from(lab.sent, (_, i) => i + 1));
  lab.rpc.stop();
  assertEquals([lab.rpc.waiting, lab.platform.pending], [0, 0]);
  lab.ask(at("1.2.3.4:5"), "late");
  assertEquals(lab.rpc.waiting, 0);
});
