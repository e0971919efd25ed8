/**
 * A private network for a test: a bridge in its own network namespace, and one namespace for each host, connected to
 * the bridge. Real clients need it, since some of them refuse peers on the loopback interface, and two clients with the
 * same address look like one peer. The network has no connection to the outside.
 *
 * Needs root and iproute2.
 *
 * @module
 */

import { Guard } from "../support/guard.ts";
import { must, run } from "../support/job.ts";

/** One host of a {@linkcode PrivateNetwork}. */
export interface Host {
  /** IPv4 address. */
  readonly address: string;
  /** IPv6 address. */
  readonly address6: string;
  /** Name of the network namespace. */
  readonly namespace: string;
  /** Returns a command line that runs `argv` on this host. */
  command(argv: readonly string[]): string[];
}

/** Namespaces are named `shoal-PID-RANDOM-HOST`. The process id shows whether the test was killed. */
const NAME = /^(shoal-(\d+)-\w+)-\w+$/;
/** Shell script that kills all processes in the namespaces with a prefix, and removes the namespaces. */
const REMOVE = `
list() { ip netns list | cut -d' ' -f1 | grep "^$1-"; }
for namespace in $(list "$1"); do
  for pid in $(ip netns pids "$namespace"); do kill -KILL "$pid" || :; done
  ip netns delete "$namespace" || :
done
! list "$1"`;

/** Options for {@linkcode PrivateNetwork.addHost}. */
export interface HostOptions {
  /** Hosts that are apart reach all other hosts, but not each other. Default `false`. */
  readonly apart?: boolean;
}

/** A bridge and its hosts. */
export class PrivateNetwork implements AsyncDisposable {
  readonly #prefix: string;
  readonly #guard: Guard;
  readonly #namespaces: string[] = [];

  private constructor(prefix: string) {
    this.#prefix = prefix;
    this.#guard = new Guard(REMOVE, prefix);
  }

  /**
   * Makes a network without hosts. Removes the networks of tests that were killed.
   *
   * @returns The network. Dispose of it.
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
   * @param options See {@linkcode HostOptions}.
   * @returns The host, with the next free addresses of 10.99.0.0/24 and fd99::/64.
   */
  async addHost(options: HostOptions = {}): Promise<Host> {
    const number = this.#namespaces.length;
    const address = `10.99.0.${number}`;
    const address6 = `fd99::${number}`;
    const namespace = await this.#addNamespace(`host${number}`);
    const bridge = this.#namespaces[0]!;
    const port = `port${number}`;
    await must("ip", "-n", bridge, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", namespace);
    await must("ip", "-n", bridge, "link", "set", port, "master", "bridge", "up");
    if (options.apart) await must("bridge", "-n", bridge, "link", "set", "dev", port, "isolated", "on");
    await must("ip", "-n", namespace, "addr", "add", `${address}/24`, "dev", "eth0");
    // The address is unique, and without duplicate address detection it can be used at once.
    await must("ip", "-n", namespace, "addr", "add", `${address6}/64`, "dev", "eth0", "nodad");
    await must("ip", "-n", namespace, "link", "set", "eth0", "up");
    // Without a multicast route, which a default route would include, most programs can't join a multicast group.
    await must("ip", "-n", namespace, "route", "add", "224.0.0.0/4", "dev", "eth0");
    return { address, address6, namespace, command: (argv) => ["ip", "netns", "exec", namespace, ...argv] };
  }

  /**
   * Returns a command line that runs a command in the namespace of the bridge, where all packets pass.
   *
   * @param argv The command.
   */
  onBridge(argv: readonly string[]): string[] {
    return ["ip", "netns", "exec", this.#namespaces[0]!, ...argv];
  }

  /** Kills every program in the network, and removes the network. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#guard[Symbol.asyncDispose]();
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
    const [, prefix, pid] = NAME.exec(line.split(" ")[0]!) ?? [];
    if (prefix !== undefined && !await isAlive(pid!)) await new Guard(REMOVE, prefix)[Symbol.asyncDispose]();
  }
}

async function isAlive(pid: string): Promise<boolean> {
  try {
    const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
    return !/^\d+ \(.*\) [ZX]/.test(stat); // A zombie has ended, but its parent hasn't waited for it.
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
