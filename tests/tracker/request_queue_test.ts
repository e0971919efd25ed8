import { assertEquals, assertRejects } from "@std/assert";
import { MAX_REQUESTS_PER_TRACKER } from "../../src/base/defences.ts";
import { RequestQueue } from "../../src/tracker/request_queue.ts";
import { settle } from "../support/virtual_clock.ts";

/** Requests that the test ends. */
class Requests {
  readonly turns = RequestQueue.of({});
  readonly begun: number[] = [];
  readonly #ends: PromiseWithResolvers<number>[] = [];
  readonly abort = new AbortController();

  send(number: number, place = "tracker:80"): Promise<number> {
    const end = this.#ends[number] = Promise.withResolvers<number>();
    return this.turns.take(place, () => {
      this.begun.push(number);
      return end.promise;
    }, this.abort.signal);
  }

  end(number: number): Promise<void> {
    this.#ends[number]!.resolve(number);
    return settle();
  }

  fail(number: number): Promise<void> {
    this.#ends[number]!.reject(new Error("no answer"));
    return settle();
  }
}

const MOST = MAX_REQUESTS_PER_TRACKER;

Deno.test("RequestQueue lets so many requests go to a server, and others in the order in which they came", async () => {
  const requests = new Requests();
  const answers = Array.from({ length: MOST + 3 }, (_, number) => requests.send(number));
  const elsewhere = requests.send(99, "other:80");
  await settle();
  assertEquals(requests.begun.length, MOST + 1);
  assertEquals(requests.begun.at(-1), 99);
  await requests.end(5);
  assertEquals(requests.begun.slice(MOST + 1), [MOST]);
  const failed = assertRejects(() => answers[6]!, Error, "no answer");
  await requests.fail(6);
  await failed;
  assertEquals(requests.begun.slice(MOST + 1), [MOST, MOST + 1]);
  for (const number of [...answers.keys(), 99]) if (number !== 6) await requests.end(number);
  assertEquals(await Promise.all([...answers.toSpliced(6, 1), elsewhere]), [
    ...[...answers.keys()].filter((number) => number !== 6),
    99,
  ]);
});

Deno.test("RequestQueue holds nobody up who gives up", async () => {
  const requests = new Requests();
  const answers = Array.from({ length: 2 * MOST }, (_, number) => requests.send(number));
  await settle();
  assertEquals(requests.begun.length, MOST);
  requests.abort.abort();
  await settle();
  assertEquals(requests.begun.length, 2 * MOST);
  for (const number of answers.keys()) await requests.end(number);
  assertEquals((await Promise.all(answers)).length, 2 * MOST);
});
