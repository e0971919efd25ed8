/**
 * Makes a torrent of a file or a folder, writes it, and seeds the data until Ctrl-C. The torrent names one tracker,
 * such as that of `examples/tracker.ts`.
 *
 *     deno run --allow-net --allow-read --allow-write=. examples/create_and_seed.ts PATH ANNOUNCE_URL TORRENT
 */

// deno-lint-ignore-file no-console -- a program prints

import { createTorrent, denoPlatform, magnetOf, Session } from "@shoal/shoal";

const [path, announce, output] = Deno.args;
if (path === undefined || announce === undefined || output === undefined) {
  console.error("PATH, ANNOUNCE_URL and TORRENT are needed");
  Deno.exit(2);
}

const { bytes, meta } = await createTorrent(path, {
  platform: denoPlatform,
  trackers: [[announce]],
  onProgress: (fraction) => console.log(`hashing: ${Math.floor(fraction * 100)} %`),
});
await Deno.writeFile(output, bytes);
console.log(magnetOf(meta));

const session = new Session({ platform: denoPlatform, port: 0 });
await session.start();
// The data was hashed just now and need not be checked again.
const folder = `${path}/..`;
const torrent = await session.add(meta, { folder, seedOnly: true, trust: true });

Deno.addSignalListener("SIGINT", () => void session.stop());

// The loop ends when the torrent has stopped.
for await (const event of torrent.events({ progressMs: 0 })) {
  if (event.event === "tracker") console.log(`${event.url}: ${event.status} ${event.message}`);
  if (event.event === "peer") console.log(`${event.address}: ${event.action}`);
}
