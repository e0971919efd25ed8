/**
 * `deno task simulate:dht`: simulates a DHT of thousands of nodes, some dead and some malicious, and prints the success
 * rate and cost of lookups.
 *
 * @module
 */

import process from "node:process";
import { parseArgs } from "node:util";
import { simulateDht } from "./simulation.ts";

const USAGE = `Plays a DHT of our own nodes on a virtual network, decided by a seed.

  deno task simulate:dht [--nodes 10000] [--seed 1] [--dead 0.2] [--malicious 0.1] [--lookups 1000]
                          [--settle MINUTES]

Nodes that are left to themselves for 20 minutes or more show what they cost when idle.
Ends with code 1 if not more than 99% of the lookups find the peer that was announced.
`;

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Returns mean, median, 95th percentile and maximum as text. */
function spread(values: readonly number[]): string {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (part: number) => sorted[Math.floor((sorted.length - 1) * part)]!;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return `mean ${mean.toFixed(1)}, median ${at(0.5).toFixed(0)}, 95% within ${at(0.95).toFixed(0)}, ` +
    `most ${at(1).toFixed(0)}`;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      nodes: { type: "string", default: "10000" },
      seed: { type: "string", default: "1" },
      dead: { type: "string", default: "0.2" },
      malicious: { type: "string", default: "0.1" },
      lookups: { type: "string", default: "1000" },
      settle: { type: "string", default: "0" },
      help: { type: "boolean" },
    },
  });
  if (values.help) {
    say(USAGE);
    return 0;
  }
  const number = (text: string) => {
    const value = Number(text);
    if (!(value >= 0)) throw new Error(`not a number: ${text}`);
    return value;
  };
  const nodes = number(values.nodes);
  const options = { seed: number(values.seed), dead: number(values.dead), malicious: number(values.malicious) };
  const minutes = number(values.settle);
  const start = performance.now();
  const result = await simulateDht({
    ...options,
    nodes,
    lookups: number(values.lookups),
    settle: minutes * 60_000,
    onProgress: say,
  });
  const success = result.found / result.lookups;
  const percent = (part: number) => `${(part * 100).toFixed(2)}%`;
  say(
    `nodes               ${nodes}, of them ${percent(options.dead)} dead and ${percent(options.malicious)} malicious`,
  );
  say(`log2(n)             ${Math.log2(nodes).toFixed(2)}`);
  say(`joined              ${result.joined} of ${result.alive} that are alive and honest`);
  say(`know their address  ${percent(result.bound)} of the honest`);
  say(`table               ${result.tableSize.toFixed(1)} good nodes on average`);
  say(`lookup success      ${percent(success)} of ${result.lookups}`);
  say(`hops                ${spread(result.hops)}`);
  say(`messages a lookup   ${spread(result.messages)}`);
  say(`ms a lookup         ${spread(result.milliseconds)}`);
  say(`copies an announce  ${spread(result.announced)}`);
  const { messages, bytes } = result.idle;
  if (minutes > 0) say(`idle, each node     ${messages.toFixed(2)} messages/s, ${bytes.toFixed(0)} bytes/s`);
  say(`datagrams           ${result.datagrams} in ${(result.time / 1000).toFixed(0)} virtual s`);
  const seconds = (performance.now() - start) / 1000;
  const { heapUsed } = process.memoryUsage();
  say(`real time           ${seconds.toFixed(0)} s, heap ${(heapUsed / 2 ** 20).toFixed(0)} MiB`);
  return success > 0.99 ? 0 : 1;
}

process.exitCode = await main();
