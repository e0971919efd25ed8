/**
 * Command line of `deno task bench:swarm`.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { badValue, parseSize, parseWhole } from "../src/cli/option_values.ts";
import { type ClientName, shoalCommand } from "../tests/interop/clients.ts";
import type { Requirement } from "../tests/support/requirements.ts";

/** Output of `--help`. */
export const USAGE = `deno task bench:swarm [options]

Real clients side by side, in a private network with a tracker: seeders that stay, and leechers that take turns, each
with an empty folder, timed from its start until it says that it is complete, and then compared with the original.
Needs root and Debian's packages of the clients that are named, opentracker and iproute2.

  --leech LIST          who downloads (shoal,libtorrent,aria2); also rtorrent, transmission, qbittorrent,
                        webtorrent (WEBTORRENT names its folder), libtorrent21 (LIBTORRENT21 names the folder of
                        \`pip install --target\`), rqbit (RQBIT names the program), and names made by --shoal
  --seed NAME:COUNT     who serves, and how many of them (libtorrent:1)
  --shoal NAME=COMMAND  one more Shoal, started by this command: compiled=dist/shoal; may be repeated
  --base NAME           the leecher that the others are compared with (libtorrent if it takes part, else the first)
  --mib N               size of the payload (1024)
  --piece-kib N         size of a piece, a power of two (1024)
  --files N             how many files (1)
  --rounds N            how many times each leecher has its turn (5)
  --cap RATE            bytes a second that each seeder may upload, like 20000000 or 20M
  --cache SIZE          --cache of every Shoal
  --swarm N             N leechers of a kind at once, and their times over the fluid bound; capped at 20000000 a second if
                        not told otherwise
  --timeout SECONDS     patience with a leecher (300, or five times what the cap lets expect)
  --scratch FOLDER      where the data is (a temporary folder); on a tmpfs, the clients are measured and not the disk
  --markdown            the machine, the versions and the command above the table

SHOAL     command that starts the Shoal called shoal; from source by default
`;

/** A client that seeds or leeches. */
export interface Participant {
  /** Name in the table. */
  readonly name: string;
  /** Kind of client. */
  readonly client: ClientName;
  /** Command that starts the client, for a Shoal. */
  readonly command?: readonly string[];
}

/** Options of a measurement. */
export interface SwarmOptions {
  /** Leechers in the order of their turns. */
  readonly leechers: readonly Participant[];
  readonly seeder: Participant;
  /** Number of seeders. */
  readonly seederCount: number;
  /** Name of the leecher that the others are compared with. */
  readonly base: string;
  /** Bytes of the payload. */
  readonly size: number;
  /** Bytes of a piece. */
  readonly pieceLength: number;
  readonly files: number;
  readonly rounds: number;
  /** Bytes a second of each seeder, or `null` for no limit. */
  readonly cap: number | null;
  /** Shoal's `--cache`, or `null` for its own default. */
  readonly cache: string | null;
  /** Number of concurrent leechers, or `null` for one at a time and no bound. */
  readonly swarm: number | null;
  /** Most seconds for a leecher. */
  readonly timeout: number;
  /** Folder for the data, or `null` for the system's temporary folder. */
  readonly scratch: string | null;
  readonly markdown: boolean;
}

/** Upload limit of a seeder with `--swarm` when no other cap is given, in bytes a second. */
const SWARM_CAP = 20_000_000;
const MIB = 1 << 20;
/** Names that are safe in a table and in a path. */
const NAME = /^[\w.-]+$/;

/** Requirements of each client, in addition to those of every run. */
const CLIENTS: Readonly<Record<ClientName, readonly Requirement[]>> = {
  aria2: ["aria2c"],
  libtorrent: ["python3-libtorrent"],
  libtorrent21: ["libtorrent21"],
  qbittorrent: ["qbittorrent-nox"],
  rqbit: ["rqbit"],
  rtorrent: ["rtorrent"],
  shoal: [],
  transmission: ["transmission-cli"],
  webtorrent: ["webtorrent"],
};

/**
 * Parses the command line.
 *
 * @param args Arguments.
 * @returns The options, or `null` if help was requested.
 * @throws {ShoalError} If a value is invalid.
 * @throws {TypeError} If an option is unknown or lacks its value.
 */
export function parseSwarmOptions(args: readonly string[]): SwarmOptions | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      leech: { type: "string", default: "shoal,libtorrent,aria2" },
      seed: { type: "string", default: "libtorrent:1" },
      shoal: { type: "string", multiple: true, default: [] },
      base: { type: "string" },
      mib: { type: "string", default: "1024" },
      "piece-kib": { type: "string", default: "1024" },
      files: { type: "string", default: "1" },
      rounds: { type: "string", default: "5" },
      cap: { type: "string" },
      cache: { type: "string" },
      swarm: { type: "string" },
      timeout: { type: "string" },
      scratch: { type: "string" },
      markdown: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return null;

  const shoals = new Map(values.shoal.map(parseShoal));
  const leechers = values.leech.split(",").map((name) => participant(name, { flag: "--leech", shoals }));
  const names = leechers.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw badValue("--leech", { value: values.leech, why: `${twice} is named twice` });
  const [seederName, count = "1", ...rest] = values.seed.split(":");
  if (rest.length > 0) throw badValue("--seed", { value: values.seed, why: "NAME:COUNT was expected" });
  const seeder = participant(seederName!, { flag: "--seed", shoals });
  const seederCount = parseWhole(count, { flag: "--seed", min: 1, max: 50 });
  const base = values.base ?? names.find((name) => name === "libtorrent") ?? names[0]!;
  if (!names.includes(base)) throw badValue("--base", { value: base, why: `it is none of ${names.join(", ")}` });

  const size = parseWhole(values.mib, { flag: "--mib", min: 1, max: 1 << 20 }) * MIB;
  const pieceKib = parseWhole(values["piece-kib"], { flag: "--piece-kib", min: 16, max: 65_536 });
  if ((pieceKib & (pieceKib - 1)) !== 0) {
    throw badValue("--piece-kib", { value: values["piece-kib"], why: "a power of two was expected" });
  }
  const swarm = values.swarm === undefined ? null : parseWhole(values.swarm, { flag: "--swarm", min: 1, max: 100 });
  const cap = values.cap === undefined ? (swarm === null ? null : SWARM_CAP) : parseSize(values.cap, "--cap");
  // rtorrent counts in KiB.
  if (cap !== null && cap < 1024) throw badValue("--cap", { value: values.cap!, why: "at least 1024 was expected" });
  if (cap !== null && seeder.client === "webtorrent") {
    throw badValue("--seed", { value: values.seed, why: "webtorrent can't be told a limit here" });
  }
  if (values.cache !== undefined) parseSize(values.cache, "--cache");
  const timeout = values.timeout === undefined
    ? Math.max(300, 5 * fluidBound({ size, cap, seederCount }))
    : parseWhole(values.timeout, { flag: "--timeout", min: 1, max: 86_400 });
  return {
    leechers,
    seeder,
    seederCount,
    base,
    size,
    pieceLength: pieceKib * 1024,
    files: parseWhole(values.files, { flag: "--files", min: 1, max: Math.min(100_000, size / 1024) }),
    rounds: parseWhole(values.rounds, { flag: "--rounds", min: 1, max: 1000 }),
    cap,
    cache: values.cache ?? null,
    swarm,
    timeout,
    scratch: values.scratch ?? null,
    markdown: values.markdown,
  };
}

/**
 * Returns the least time in which all leechers can get the payload: that of one copy through the seeders' upload
 * limits. Nothing limits the leechers' own upload, so the other terms of a fluid bound don't apply.
 *
 * @param options Size of the payload in bytes, cap of each seeder in bytes a second, and number of seeders.
 * @returns Seconds; 0 without a cap.
 */
export function fluidBound(
  { size, cap, seederCount }: Pick<SwarmOptions, "size" | "cap" | "seederCount">,
): number {
  return cap === null ? 0 : size / (cap * seederCount);
}

/** Returns the programs and rights that a measurement needs. */
export function needsOf({ leechers, seeder }: SwarmOptions): Requirement[] {
  const clients = [seeder, ...leechers].flatMap(({ client }) => CLIENTS[client]);
  return ["root", "ip", "opentracker", ...new Set(clients)];
}

/** Parses `NAME=COMMAND`. */
function parseShoal(value: string): [string, readonly string[]] {
  const [, name = "", command = ""] = /^([^=]*)=(.*)$/s.exec(value) ?? [];
  const words = command.split(/\s+/).filter((word) => word !== "");
  if (!NAME.test(name) || words.length === 0) {
    throw badValue("--shoal", { value, why: "NAME=COMMAND was expected, like compiled=dist/shoal" });
  }
  if (Object.hasOwn(CLIENTS, name) && name !== "shoal") {
    throw badValue("--shoal", { value, why: `${name} is the name of another client` });
  }
  return [name, words];
}

function participant(
  name: string,
  { flag, shoals }: { readonly flag: string; readonly shoals: ReadonlyMap<string, readonly string[]> },
): Participant {
  const command = shoals.get(name) ?? (name === "shoal" ? shoalCommand() : undefined);
  if (command !== undefined) return { name, client: "shoal", command: command.map(inThisFolder) };
  if (Object.hasOwn(CLIENTS, name)) return { name, client: name as ClientName };
  const known = [...new Set([...Object.keys(CLIENTS), ...shoals.keys()])].join(", ");
  throw badValue(flag, { value: name, why: `none of ${known}` });
}

/** Makes the path of a file in this folder absolute, since clients run in folders of their own. */
function inThisFolder(word: string): string {
  if (!word.includes("/") && !/\.[jt]s$/.test(word)) return word;
  return word.startsWith("/") || word.startsWith("-") ? word : `${Deno.cwd()}/${word}`;
}
