/**
 * Runs attacks as a program: `attacker.ts JSON`, where the JSON is {@linkcode Orders}. Prints lines of JSON: the
 * addresses that it listens at, then a {@linkcode Report} every 500 ms.
 *
 * @module
 */

import { readTorrent } from "../support/torrents.ts";
import { type Attack, Pace, pause, type Role, Stage } from "./attack.ts";
import { ATTACKS } from "./attacks.ts";
import { HASH_ATTACKS } from "./hash_attacks.ts";
import { dial, type Line, listen, type Place } from "./line.ts";

/** Argument of the program. */
export interface Orders {
  /** Path of the torrent file. */
  readonly torrent: string;
  /** Path of the torrent's only file. */
  readonly data: string;
  /** Address that Shoal listens at. */
  readonly victim: Place;
  /** Names of the attacks to run, their roles, and the addresses that each attack comes from. */
  readonly attacks: readonly { readonly name: string; readonly role: Role; readonly hosts: readonly string[] }[];
  /** Bytes a second of all attacks together. */
  readonly rate: number;
  /** Milliseconds after which the attacker reconnects, `null` for never. */
  readonly again: number | null;
}

/** A line that the program prints. */
export interface Report {
  /** Addresses that each attack with the role `listens` listens at, as `host:port`, in the order of its hosts. */
  readonly listening?: Readonly<Record<string, readonly string[]>>;
  /** Number of connections so far. */
  readonly made?: number;
  /** Number of connections that are over. */
  readonly over?: number;
}

/** Milliseconds between two attempts to connect before Shoal listens. */
const FIRST_MS = 20;

if (import.meta.main) await main(JSON.parse(Deno.args[0]!) as Orders);

async function main(orders: Orders): Promise<void> {
  using data = await Deno.open(orders.data);
  const torrent = await readTorrent(orders.torrent);
  const stage = new Stage({ torrent, data, pace: new Pace(orders.rate), victim: orders.victim });
  const count = { made: 0, over: 0 };
  const go = async (attack: Attack, line: Line): Promise<void> => {
    count.made++;
    await attack.run(line, stage);
    await line.over;
    count.over++;
  };
  const listening: Record<string, string[]> = {};
  const dialling: Promise<void>[] = [];
  for (const { name, role, hosts } of orders.attacks) {
    const attack = [...ATTACKS, ...HASH_ATTACKS].find((one) => one.name === name);
    if (attack === undefined) throw new Error(`there is no attack called "${name}"`);
    for (const host of hosts) {
      if (role === "listens") {
        const { port } = await listen(host, (line) => void go(attack, line));
        (listening[name] ??= []).push(`${host}:${port}`);
      } else {
        for (let i = 0; i < (attack.lines ?? 1); i++) dialling.push(keepDialling(attack, host));
      }
    }
  }
  say({ listening });
  async function keepDialling(attack: Attack, host: string): Promise<void> {
    for (let met = false; !met || orders.again !== null;) {
      const line = await dial(orders.victim, host);
      if (line !== null) await go(attack, line);
      met ||= line !== null; // Until the first connection, Shoal may not be listening yet.
      await pause(met ? orders.again ?? 0 : FIRST_MS);
    }
  }
  for (;;) {
    await pause(500);
    say(count);
  }
}

function say(report: Report): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify(report)}\n`));
}
