/**
 * Runs a tracker over HTTP and UDP on one port, and prints its statistics every ten seconds. Ctrl-C ends it.
 *
 *     deno run --allow-net examples/tracker.ts [HOST:PORT]
 */

// deno-lint-ignore-file no-console -- a program prints

import { denoPlatform, TrackerServer } from "@shoal/shoal";

const [host = "127.0.0.1", port = "6969"] = (Deno.args[0] ?? "").split(":").filter(Boolean);

const tracker = TrackerServer.start(denoPlatform, { host, port: Number(port), interval: 60, udp: denoPlatform });
console.log(tracker.url);
console.log(tracker.udpUrl);

const report = setInterval(() => {
  const { torrents, peers, seeders } = tracker.statistics;
  console.log(`${torrents} torrents, ${peers} peers, ${seeders} of them complete`);
}, 10_000);

Deno.addSignalListener("SIGINT", async () => {
  clearInterval(report);
  await tracker.close();
});
