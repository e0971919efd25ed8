import { assertEquals, assertGreater } from "@std/assert";
import { readCorpus } from "./corpus.ts";
import { describeFailure, faultOf, fuzz, InputMaker } from "./fuzzer.ts";
import { TARGETS } from "./targets/mod.ts";

/** Inputs of each target per unit of its weight. */
const INPUTS = 200;
const SEED = 20_261;

for (const target of TARGETS) {
  Deno.test(`the decoder of ${target.name} withstands mutated inputs and everything in its corpus`, async () => {
    for (const { name, input } of await readCorpus(target.name)) {
      assertEquals(faultOf(target, input), null, `tests/corpus/${target.name}/${name}`);
    }
    const reasons = new Set<string>();
    const onRefusal = (error: Error) => void reasons.add(error.message.replace(/"(?:[^"\\]|\\.)*"|\d+/gs, "#"));
    const { inputs, accepted, failures } = fuzz(target, { seed: SEED, count: INPUTS * target.weight, onRefusal });
    assertEquals(failures.map(describeFailure), []);
    // A run in which nearly every input is refused, or none, would prove nothing.
    assertGreater(accepted, inputs / 20);
    if (accepted < inputs) assertGreater(reasons.size, 0);
    const expected = REASONS.get(target.name) ?? 0;
    assertGreater(reasons.size, expected - 1, [...reasons].join("\n"));
  });

  Deno.test(`inputs for ${target.name} depend on seed and number alone`, () => {
    const maker = new InputMaker(target, SEED);
    const inputs = Array.from({ length: 40 }, (_, index) => maker.make(index));
    const backwards = new InputMaker(target, SEED);
    for (let index = 39; index >= 0; index--) assertEquals(backwards.make(index), inputs[index]);
    const other = new InputMaker(target, SEED + 1);
    assertGreater(inputs.filter((input, i) => String(input) !== String(other.make(i))).length, 20);
  });
}

/** Minimum number of different reasons for a refusal that a run has to find. */
const REASONS = new Map([
  ["bencode", 14],
  ["metainfo", 25],
  ["file-tree", 15],
  ["frames", 8],
  ["handshake", 2],
  ["extension-handshake", 10],
  ["announce-reply", 4],
  ["krpc", 12],
  ["dht-table", 4],
  ["resume-state", 12],
]);

Deno.test("every folder of the corpus belongs to a target", async () => {
  for await (const { name, isDirectory } of Deno.readDir(new URL("../corpus/", import.meta.url))) {
    if (isDirectory) assertEquals(TARGETS.filter((target) => target.name === name).length, 1, name);
  }
});
