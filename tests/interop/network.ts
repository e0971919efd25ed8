/**
 * A private network made by a test: a bridge in a network namespace of its own, and one namespace for each host, all
 * joined to the bridge. Real clients need it, since some of them refuse peers on the loopback interface, and two of them
 * on one address look like one. Nothing in it can reach the outside.
 *
 * Needs root and iproute2.
 *
 * @module
 */

import { must, run } from "../support/job.ts";

/** One machine of a {@linkcode PrivateNetwork}. */
export interface Host {
  /** Its IPv4 address. */
  readonly address: string;
  /** A command line that runs `argv` on this host. */
  command(argv: readonly string[]): string[];
}

/** Namespaces are called `shoal-PID-RANDOM-HOST`, so that those of a test that was killed can be told. */
const NAME = /^shoal-(\d+)-\w+-\w+$/;

/** A bridge and its hosts. */
export class PrivateNetwork implements AsyncDisposable {
  readonly #prefix: string;
  readonly #namespaces: string[] = [];

  private constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /**
   * Makes an empty network, after removing what tests that were killed left behind.
   *
   * @returns The network; dispose of it.
   */
  static async create(): Promise<PrivateNetwork> {
    await removeStale();
    const network = new PrivateNetwork(`shoal-${Deno.pid}-${crypto.randomUUID().slice(0, 8)}`);
    try {
      const bridge = await network.#addNamespace("bridge");
      await must("ip", "-n", bridge, "link", "add", "bridge", "type", "bridge");
      await must("ip", "-n", bridge, "link", "set", "bridge", "up");
      return network;
    } catch (error) {
      await network[Symbol.asyncDispose]();
      throw error;
    }
  }

  /**
   * Adds a host.
   *
   * @returns The host, with the next free address of 10.99.0.0/24.
   */
  async addHost(): Promise<Host> {
    const number = this.#namespaces.length;
    const address = `10.99.0.${number}`;
    const namespace = await this.#addNamespace(`host${number}`);
    const bridge = this.#namespaces[0]!;
    const port = `port${number}`;
    await must("ip", "-n", bridge, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", namespace);
    await must("ip", "-n", bridge, "link", "set", port, "master", "bridge", "up");
    await must("ip", "-n", namespace, "addr", "add", `${address}/24`, "dev", "eth0");
    await must("ip", "-n", namespace, "link", "set", "eth0", "up");
    return { address, command: (argv) => ["ip", "netns", "exec", namespace, ...argv] };
  }

  /** Ends every program in the network and removes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const namespace of this.#namespaces.reverse()) await removeNamespace(namespace);
    this.#namespaces.length = 0;
  }

  async #addNamespace(name: string): Promise<string> {
    const namespace = `${this.#prefix}-${name}`;
    await must("ip", "netns", "add", namespace);
    this.#namespaces.push(namespace);
    await must("ip", "-n", namespace, "link", "set", "lo", "up");
    return namespace;
  }
}

async function removeStale(): Promise<void> {
  const { stdout } = await run(["ip", "netns", "list"]);
  for (const line of stdout) {
    const namespace = line.split(" ")[0]!;
    const owner = NAME.exec(namespace)?.[1];
    if (owner !== undefined && !await exists(`/proc/${owner}`)) await removeNamespace(namespace);
  }
}

async function removeNamespace(namespace: string): Promise<void> {
  const { stdout } = await run(["ip", "netns", "pids", namespace]);
  // These are programs that the test started: nothing else can be in a namespace that it made.
  for (const pid of stdout) await run(["kill", "-KILL", pid]);
  await must("ip", "netns", "delete", namespace);
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
