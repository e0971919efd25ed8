import { assert, assertEquals, assertGreater, assertLess, assertStringIncludes } from "@std/assert";
import { toHex, utf8 } from "../../src/base/bytes.ts";
import { keepFailure, readCorpus } from "./corpus.ts";
import { describeFailure, faultOf, fuzz, InputMaker } from "./fuzzer.ts";
import { longTest } from "../support/property.ts";
import { fuzzGuarded } from "./guarded.ts";
import { HARMLESS, PLANTED, TARGETS } from "./planted.ts";
import { shrink } from "./shrink.ts";

for (const { fault, target } of PLANTED) {
  Deno.test(`fuzz() finds a decoder of ${target.name} that ${fault}`, () => {
    const { failures } = fuzz(target, { seed: 1, count: 4000 });
    assertGreater(failures.length, 0);
    const [failure] = failures;
    // The seed and the number reproduce the input.
    assertEquals(new InputMaker(target, 1).make(failure!.index), failure!.input);
    const again = fuzz(target, { seed: 1, first: failure!.index, count: 1 }).failures[0];
    assertEquals(again, failure);
    assertStringIncludes(describeFailure(failure!), `--target ${target.name} --seed 1 --first ${failure!.index}`);
  });
}

Deno.test("faulty decoders are right about what is harmless", () => {
  for (const { target } of PLANTED) if (target.name === "bencode") assertEquals(target.run(HARMLESS), null);
});

longTest("fuzzGuarded() gives up on an input that takes for ever, and names it", async () => {
  const endless = TARGETS[0]!;
  const module = new URL("./planted.ts", import.meta.url).href;
  const tally = await fuzzGuarded({ module, target: endless, seed: 1, first: 0, count: 100_000, patience: 400 });
  const [failure] = tally.failures;
  assertEquals([failure?.input[0], failure?.what], [0x65, "Endless: no outcome in 400 ms"]);
  assertEquals(new InputMaker(endless, 1).make(failure!.index), failure!.input);
});

Deno.test("fuzzGuarded() gives what fuzz() gives where nothing is endless", async () => {
  const target = PLANTED[0]!.target;
  const module = new URL("./planted.ts", import.meta.url).href;
  const options = { seed: 3, first: 5, count: 400 };
  const tally = await fuzzGuarded({ module, target, ...options, patience: 60_000 });
  assertEquals(tally, fuzz(target, options));
});

Deno.test("shrink() cuts an input down to what makes it fail, and makes the rest plain", () => {
  const input = utf8(`${"some text ".repeat(30)}X and ${"more of it ".repeat(30)}Y!`);
  const fails = (bytes: Uint8Array) => /X.*Y/s.test(new TextDecoder().decode(bytes)) && bytes.length >= 4;
  assertEquals(new TextDecoder().decode(shrink(input, fails)), "X00Y");
});

Deno.test("keepFailure() keeps a small input that fails in the same way, and readCorpus() finds it", async () => {
  const folder = await Deno.makeTempDir({ prefix: "shoal-test-" });
  try {
    const { target } = PLANTED[3]!;
    const [failure] = fuzz(target, { seed: 1, count: 4000 }).failures;
    const corpus = new URL(`file://${folder}/`);
    const path = await keepFailure(target, failure!, corpus);
    const [entry, ...others] = await readCorpus(target.name, corpus);
    assertEquals(others, []);
    assert(path.endsWith(`/frames/${entry!.name}`), path);
    assertLess(entry!.input.length, 20, toHex(entry!.input));
    assert(faultOf(target, entry!.input) !== null, "it does not fail any more");
    assertEquals(await readCorpus("no such target", corpus), []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
