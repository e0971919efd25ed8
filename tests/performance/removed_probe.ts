/**
 * Removes torrents from a session in every way while another torrent has files open, and prints which of the removed
 * torrents are still in memory.
 *
 * @module
 */

import { magnetOf, parseMagnet } from "../../src/metainfo/mod.ts";
import type { Session, TorrentHandle } from "../../src/session/session.ts";
import { Lab, PIECE } from "../support/session_lab.ts";

const collect = (globalThis as unknown as { gc(): void }).gc;
const gone: Record<string, WeakRef<TorrentHandle>> = {};

/** Adds a torrent, uses it and removes it, in a function of its own so that no variable keeps the torrent alive. */
async function come(
  lab: Lab,
  session: Session,
  { name, link = false, use }: { name: string; link?: boolean; use(torrent: TorrentHandle): Promise<unknown> },
): Promise<void> {
  const { meta, source } = await lab.payload(4 * PIECE + Object.keys(gone).length, `${name}-source`);
  const seeder = await lab.seeder(meta, source);
  const torrent = await session.add(link ? parseMagnet(magnetOf(meta)) : meta, {
    folder: lab.make(name),
    peers: [seeder.listenAddress],
  });
  gone[name] = new WeakRef(torrent);
  await use(torrent);
  await session.remove(torrent);
  await seeder.stop();
}

await using lab = new Lab();
const { session } = await lab.session({ stateFolder: lab.make("state") });
const { meta, source } = await lab.payload(3 * PIECE);
const other = await session.add(meta, { folder: source, seedOnly: true });
await other.finished;
await other.open(0).read(0); // the file stays open

await come(lab, session, { name: "finished", use: (torrent) => torrent.finished });
await come(lab, session, { name: "link", link: true, use: (torrent) => torrent.finished });
await come(lab, session, { name: "unknown", link: true, use: () => Promise.resolve() });
await come(lab, session, {
  name: "events",
  async use(torrent) {
    void Array.fromAsync(torrent.events());
    await torrent.finished;
  },
});
await come(lab, session, {
  name: "changed",
  async use(torrent) {
    await torrent.finished;
    await torrent.recheck();
    await torrent.setFiles(null);
    await torrent.move(lab.make("there"));
    await torrent.open(0).read(0);
  },
});
for (let i = 0; i < 50 && Object.values(gone).some((torrent) => torrent.deref() !== undefined); i++) {
  await new Promise((resolve) => setTimeout(resolve, 100));
  collect();
}
await Deno.stdout.write(
  new TextEncoder().encode(JSON.stringify(Object.keys(gone).filter((name) => gone[name]!.deref() !== undefined))),
);
