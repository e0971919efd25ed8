/** A private torrent (BEP 27) is announced only to its tracker, a public torrent also by DHT, LSD and PEX. */

import { assertEquals } from "@std/assert";
import { testWith } from "../support/requirements.ts";
import { DhtNodes } from "./dht_crowd.ts";
import { Lab, NEEDS } from "./lab.ts";

const WAYS = { finds: ["dht", "lsd", "pex"] } as const;

for (const [kind, expected] of [["private", []], ["public", ["dht", "lsd", "pex"]]] as const) {
  testWith(
    `shoal announces a ${kind} torrent ${expected.length === 0 ? "only to its tracker" : "by DHT, LSD and PEX, too"}`,
    NEEDS,
    () =>
      Lab.run("file", async (lab) => {
        const nodes = await DhtNodes.crowd(lab);
        const capture = await lab.capture();
        await lab.seed("libtorrent", { uploadLimit: 8_000_000 });
        await lab.seedersAnnounced(1);
        const leech = await lab.leech("shoal", { ...WAYS, dhtNode: nodes.address });
        const { address, address6 } = leech.options.host;
        // Shoal's DHT node runs even when the torrent is private.
        await nodes.event("shoal joined", ({ event, from }) => event === "query" && from === address);
        await leech.completed(60);
        await lab.verify(leech);
        const isOwn = (line: string) => [address, address6].includes(line.split(" ")[1]!);
        for (const way of expected) {
          await capture.line((line) => line.startsWith(way) && isOwn(line), { seconds: 30, what: `${way} was seen` });
        }
        const ways = new Set(capture.stdout.filter(isOwn).map((line) => line.split(" ")[0]!));
        assertEquals([...ways].sort(), [...expected]);
      }, { private: kind === "private" }),
  );
}
