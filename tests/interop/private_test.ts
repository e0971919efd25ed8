/** A private torrent (BEP 27) leaves no trace on the network but with its tracker; a public one does, in every way. */

import { assertEquals } from "@std/assert";
import { testWith } from "../support/requirements.ts";
import { DhtNodes } from "./dht_crowd.ts";
import { Lab, NEEDS } from "./lab.ts";

const WAYS = { finds: ["dht", "lsd", "pex"] } as const;

for (const [kind, expected] of [["private", []], ["public", ["dht", "lsd", "pex"]]] as const) {
  testWith(
    `shoal tells ${expected.length === 0 ? "nobody" : "everybody"} of a ${kind} torrent`,
    NEEDS,
    () =>
      Lab.run("file", async (lab) => {
        const crowd = await DhtNodes.crowd(lab);
        const capture = await lab.capture();
        await lab.seed("libtorrent", { uploadLimit: 8_000_000 });
        await lab.seedersAnnounced(1);
        const leech = await lab.leech("shoal", { ...WAYS, dhtNode: crowd.address });
        const { address, address6 } = leech.options.host;
        // Its node is there, whatever it says of the torrent.
        await crowd.event("shoal joined", ({ event, from }) => event === "query" && from === address);
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
