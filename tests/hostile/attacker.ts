/**
 * The attacker as a program of its own: `attacker.ts JSON`, see {@linkcode Orders}. Prints JSON lines: where it listens, then
 * every second what it did.
 *
 * @module
 */

import { readTorrent } from "../support/torrents.ts";
import { type Attack, Pace, pause, type Role, Stage } from "./attack.ts";
import { ATTACKS } from "./attacks.ts";
import { dial, type Line, listen, type Place } from "./line.ts";

/** What to do. */
export interface Orders {
  /** Path of the .torrent. */
  readonly torrent: string;
  /** Path of its only file. */
  readonly data: string;
  /** Where Shoal listens. */
  readonly victim: Place;
  /** Attacks, by name, and the addresses that each comes from. */
  readonly attacks: readonly { readonly name: string; readonly role: Role; readonly hosts: readonly string[] }[];
  /** Bytes a second, all together. */
  readonly rate: number;
  /** Comes back when it is sent away: milliseconds to wait before, or `null` for not at all. */
  readonly again: number | null;
}

/** What it prints. */
export interface Report {
  /** Where each attack that waits to be dialled listens, in the order of its addresses. */
  readonly listening?: Readonly<Record<string, readonly string[]>>;
  /** Connections so far, and those that are over. */
  readonly made?: number;
  readonly over?: number;
}

/** Milliseconds between two looks whether Shoal is there. */
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
    const attack = ATTACKS.find((one) => one.name === name);
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
      met ||= line !== null; // until then Shoal may not be there yet
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
