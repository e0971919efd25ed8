/**
 * Connections that say nothing, by the hundred, to whatever listens, with fewer file descriptors than that.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { environment } from "../support/binary.ts";
import { Job, within } from "../support/job.ts";
import { withScratch } from "../support/scratch.ts";
import { SHOAL } from "./arena.ts";
import { dial, type Line } from "./line.ts";

/** File descriptors of the program; it needs some 30 before anybody comes. */
const DESCRIPTORS = 150;
const CONNECTIONS = 600;
/** Of them so many are hung up on, at the least: some never get past the system's queue, although they think so. */
const DISMISSED = 100;
const HASH = "%00".repeat(20);

/** Starts a program that may have but few files open. */
function limited(args: readonly string[], folder: string): Job {
  const argv = ["sh", "-c", `ulimit -n ${DESCRIPTORS}; exec "$@"`, "sh", ...SHOAL, ...args];
  return new Job(argv, { name: `shoal ${args[0]}`, cwd: folder, env: environment(folder) });
}

async function flood(port: number): Promise<Line[]> {
  const lines = Array.from({ length: CONNECTIONS }, () => dial({ host: "127.0.0.1", port }, "127.0.0.1"));
  return (await Promise.all(lines)).filter((line) => line !== null);
}

async function announce(port: number): Promise<string> {
  const url = `http://127.0.0.1:${port}/announce?info_hash=${HASH}&peer_id=${"a".repeat(20)}&port=1&left=1`;
  // Each on a connection of its own: one that is kept may be hung up on like any other that says nothing.
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  return await (await fetch(url, { client, signal: AbortSignal.timeout(10_000) })).text();
}

Deno.test("a tracker answers on while hundreds of connections say nothing and descriptors run out, and says so", () =>
  withScratch(async (folder) => {
    await using tracker = limited(["tracker", "--port", "0", "--bind", "127.0.0.1", "--json"], folder);
    const first = await tracker.line((line) => line.includes("listening"), { seconds: 20, what: "its address" });
    const port = Number(new URL(JSON.parse(first).http).port);
    const lines = await flood(port);
    for (let i = 0; i < 5; i++) assertStringIncludes(await announce(port), "8:complete");
    // Whom there is no room for is hung up on, at once and not after the half minute that anybody may be silent.
    const room = Promise.withResolvers<void>();
    let over = 0;
    for (const line of lines) void line.over.then(() => ++over === DISMISSED && room.resolve());
    await within(room.promise, { seconds: 20, what: "room to be made" });
    for (const line of lines) line.close();
    assertStringIncludes(await announce(port), "8:complete");
    tracker.signal("SIGINT");
    assertEquals((await tracker.exit(10)).code, 130);
    assert(tracker.stderr.some((line) => line.includes("out of file descriptors")), tracker.stderr.join("\n"));
  }));
