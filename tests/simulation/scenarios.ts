/**
 * Every scenario, and how one is played.
 *
 * @module
 */

import { COMMAND_SCENARIOS } from "./command_scenarios.ts";
import { CROWD_SCENARIOS } from "./crowd_scenarios.ts";
import { FAULT_SCENARIOS } from "./fault_scenarios.ts";
import { LIAR_SCENARIOS } from "./liar_scenarios.ts";
import { LIMIT_SCENARIOS } from "./limit_scenarios.ts";
import type { Scenario } from "./scenario.ts";
import { type TraceSink, World } from "./world.ts";

/** Every scenario there is. */
export const SCENARIOS: readonly Scenario[] = [
  ...CROWD_SCENARIOS,
  ...FAULT_SCENARIOS,
  ...LIAR_SCENARIOS,
  ...LIMIT_SCENARIOS,
  ...COMMAND_SCENARIOS,
];

/** How a run went. */
export interface Outcome {
  readonly scenario: string;
  readonly seed: number;
  /** What was broken; `null` when nothing was. */
  readonly failure: unknown;
  /** Checks that were made, by rule. */
  readonly checks: ReadonlyMap<string, number>;
  /** Virtual time, in milliseconds. */
  readonly time: number;
}

/** The scenario of that name. */
export function scenarioNamed(name: string): Scenario {
  const scenario = SCENARIOS.find((one) => one.name === name);
  if (!scenario) {
    throw new Error(`no scenario is called ${name}; there are ${SCENARIOS.map((one) => one.name).join(", ")}`);
  }
  return scenario;
}

/**
 * Plays a scenario once.
 *
 * @param scenario Which.
 * @param options `seed`: decides everything. `trace`: takes what happens; `messages`: every message too.
 * @returns How it went; never rejects.
 */
export async function play(
  scenario: Scenario,
  options: { readonly seed: number; readonly trace?: TraceSink; readonly messages?: boolean },
): Promise<Outcome> {
  // The same seed is not to draw the same numbers in every scenario.
  const mixed = [...scenario.name].reduce(
    (sum, letter) => Math.imul(sum ^ letter.charCodeAt(0), 0x01000193),
    options.seed,
  );
  const world = new World({ ...options, seed: mixed });
  let failure: unknown = null;
  try {
    await scenario.run(world);
  } catch (error) {
    failure = error;
  }
  return {
    scenario: scenario.name,
    seed: options.seed,
    failure,
    checks: world.invariants.checks,
    time: world.clock.now(),
  };
}
