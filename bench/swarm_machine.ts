/**
 * Describes where figures come from: the machine, the versions, the command.
 *
 * @module
 */

import type { ClientName } from "../tests/interop/clients.ts";
import { run } from "../tests/support/job.ts";
import { LIBTORRENT21, RQBIT } from "../tests/support/requirements.ts";
import type { Participant } from "./swarm_options.ts";

/** Clients that are no Debian packages. */
type Unpackaged = "shoal" | "libtorrent21" | "rqbit";

/** Debian packages of the clients. webtorrent comes from npm and runs on Node, libtorrent21 from PyPI, rqbit from crates.io. */
const PACKAGES: Readonly<Record<Exclude<ClientName, Unpackaged>, string>> = {
  aria2: "aria2",
  libtorrent: "python3-libtorrent",
  qbittorrent: "qbittorrent-nox",
  rtorrent: "rtorrent",
  transmission: "transmission-cli",
  webtorrent: "nodejs",
};

/**
 * Describes the machine and all programs that took part.
 *
 * @param participants Seeders and leechers.
 * @returns A Markdown list.
 */
export async function describeMachine(participants: readonly Participant[]): Promise<string> {
  const cpu = /^model name\s*:\s*(.*)$/m.exec(await Deno.readTextFile("/proc/cpuinfo"))?.[1] ?? Deno.build.arch;
  const memory = (Deno.systemMemoryInfo().total / 2 ** 30).toFixed(0);
  const names = [...new Set(participants.map(({ client }) => client))];
  const isPackaged = (name: ClientName): name is Exclude<ClientName, Unpackaged> => name in PACKAGES;
  const packages = names.filter(isPackaged).map((name) => PACKAGES[name]);
  const shoals = new Map(participants.flatMap((one) => one.command === undefined ? [] : [[one.name, one.command]]));
  const lines = [
    `machine: ${navigator.hardwareConcurrency} cores of ${cpu}, ${memory} GiB, Linux ${Deno.osRelease()}`,
    `packages: ${await versions([...packages, "opentracker"])}${await newerLibtorrent(names)}${await rqbit(names)}`,
    ...await Promise.all([...shoals].map(async ([name, command]) => `${name}: ${await shoalVersion(command)}`)),
    `Deno ${Deno.version.deno} (V8 ${Deno.version.v8}) runs this benchmark, and Shoal where it runs from source`,
    `taken: ${new Date().toISOString().slice(0, 10)}`,
  ];
  return lines.map((line) => `- ${line}`).join("\n");
}

/**
 * Returns the command line of this run for a shell.
 *
 * @param args Arguments of the benchmark.
 * @param shoal The variable `SHOAL`, if it is set.
 */
export function commandLine(args: readonly string[], shoal: string | undefined): string {
  const variable = shoal === undefined || shoal === "" ? [] : [`SHOAL=${quoted(shoal)}`];
  return [...variable, "deno task bench:swarm", ...args.map(quoted)].join(" ");
}

function quoted(word: string): string {
  return /^[\w./:,=@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

async function versions(packages: readonly string[]): Promise<string> {
  const { stdout } = await run(["dpkg-query", "-W", "-f", "${Package} ${Version}\\n", ...packages]);
  return stdout.join(", ");
}

async function newerLibtorrent(names: readonly ClientName[]): Promise<string> {
  if (!names.includes("libtorrent21")) return "";
  const program = "import libtorrent; print(libtorrent.version)";
  const { stdout } = await run(["/usr/bin/python3", "-c", program], { env: { PYTHONPATH: LIBTORRENT21 } });
  return `, libtorrent ${stdout.join(" ")} from PyPI`;
}

async function rqbit(names: readonly ClientName[]): Promise<string> {
  if (!names.includes("rqbit")) return "";
  return `, ${(await run([RQBIT, "--version"])).stdout.join(" ")} from crates.io`;
}

async function shoalVersion(command: readonly string[]): Promise<string> {
  const { stdout, stderr, code } = await run([...command, "--version"]);
  if (code !== 0) throw new Error(`${command.join(" ")} --version ended with code ${code}: ${stderr.join(" ")}`);
  return stdout.join(" ");
}
