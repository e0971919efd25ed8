/**
 * The list of scenarios, and a function that plays one.
 *
 * @module
 */

import { COMMAND_SCENARIOS } from "./command_scenarios.ts";
import { CROWD_SCENARIOS } from "./crowd_scenarios.ts";
import { FAULT_SCENARIOS } from "./fault_scenarios.ts";
import { LIAR_SCENARIOS } from "./liar_scenarios.ts";
import { LIMIT_SCENARIOS } from "./limit_scenarios.ts";
import type { Scenario } from "./scenario.ts";
import { VERSION_SCENARIOS } from "./version_scenarios.ts";
import { type TraceSink, World } from "./world.ts";

/** All scenarios. */
export const SCENARIOS: readonly Scenario[] = [
  ...CROWD_SCENARIOS,
  ...FAULT_SCENARIOS,
  ...LIAR_SCENARIOS,
  ...LIMIT_SCENARIOS,
  ...COMMAND_SCENARIOS,
  ...VERSION_SCENARIOS,
];

/** Result of a run. */
export interface Outcome {
  readonly scenario: string;
  readonly seed: number;
  /** Error that ended the run, `null` if it succeeded. */
  readonly failure: unknown;
  /** Number of checks by rule. */
  readonly checks: ReadonlyMap<string, number>;
  /** Duration in virtual milliseconds. */
  readonly time: number;
}

/** Options for {@linkcode play}. */
export interface PlayOptions {
  /** Seed of all random numbers. */
  readonly seed: number;
  /** Called with each line of the trace. No trace by default. */
  readonly trace?: TraceSink;
  /** Includes every message between peers in the trace. Default `false`. */
  readonly messages?: boolean;
}

/**
 * Returns the scenario with a name.
 *
 * @throws {Error} If there is no such scenario. The message lists all names.
 */
export function scenarioNamed(name: string): Scenario {
  const scenario = SCENARIOS.find((one) => one.name === name);
  if (!scenario) {
    throw new Error(`no scenario is called ${name}; there are ${SCENARIOS.map((one) => one.name).join(", ")}`);
  }
  return scenario;
}

/**
 * Plays a scenario once. Never rejects.
 *
 * @param scenario The scenario.
 * @param options See {@linkcode PlayOptions}.
 */
export async function play(scenario: Scenario, options: PlayOptions): Promise<Outcome> {
  // The name of the scenario is mixed into the seed, so that scenarios with the same seed draw different numbers.
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
