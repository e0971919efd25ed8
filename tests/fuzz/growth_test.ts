import { assert, assertGreater, assertLess } from "@std/assert";
import { utf8 } from "../../src/base/bytes.ts";
import { decode } from "../../src/bencode/mod.ts";
import { StepCounter } from "./step_counter.ts";
import { WORST_SHAPES } from "./worst/mod.ts";

const SHORT = 1 << 13;
const LONG = 1 << 15;
/** Four times the input may take so many times the steps; what is quadratic takes sixteen times. */
const MOST_GROWTH = 5.5;
/** Counts of one shape. */
const TRIES = 4;

Deno.test("no decoder takes more than linear time for its worst shapes", async (t) => {
  // Before any code that is counted has run: what is compiled already isn't counted in full.
  await using steps = await new StepCounter().start();

  await t.step("StepCounter tells linear from quadratic", async () => {
    const list = (count: number) => utf8(`l${"i0e".repeat(count)}e`);
    const growth = async (run: (count: number) => void) => {
      run(500);
      await steps.reset();
      const few = await steps.count(() => run(500));
      return await steps.count(() => run(2000)) / few;
    };
    const linear = await growth((count) => void decode(list(count)));
    assert(linear > 3 && linear < MOST_GROWTH, `${linear} for four times as much`);
    const quadratic = await growth((count) => {
      for (let i = 0; i < count; i += 50) decode(list(i));
    });
    assertGreater(quadratic, 2 * MOST_GROWTH);
  });

  const prepared = WORST_SHAPES.map((shape) => ({ shape, short: shape.make(SHORT), long: shape.make(LONG) }));
  for (const { shape, short } of prepared) shape.run(short);
  await steps.reset();
  let counted = 0;
  for (const { shape, short, long } of prepared) {
    assertGreater(long.length, 3 * SHORT, `${shape.name} is too short`);
    let least = Infinity;
    let said = "";
    // Code that is compiled in the middle of a count is counted in part: what is linear is so in one of a few tries.
    for (let tries = 0; tries < TRIES && least >= MOST_GROWTH; tries++) {
      const few = await steps.count(() => shape.run(short));
      const many = await steps.count(() => shape.run(long));
      least = Math.min(least, many / Math.max(few, 1000));
      said += ` ${few} steps become ${many};`;
      counted += many;
    }
    assertLess(least, MOST_GROWTH, `${shape.name}:${said}`);
  }
  assertGreater(counted, 1_000_000, "the steps are not counted");
});
