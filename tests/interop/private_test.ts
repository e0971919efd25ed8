/** A private torrent (BEP 27) leaves no trace on the network but with its tracker; a public one does, in every way. */

import { assertEquals } from "@std/assert";
import { testWith } from "../support/requirements.ts";
import { Lab, NEEDS } from "./lab.ts";

const HOW = { finds: ["lsd", "pex"] } as const;

for (const [kind, expected] of [["private", []], ["public", ["lsd", "pex"]]] as const) {
  testWith(
    `shoal tells ${expected.length === 0 ? "nobody" : "everybody"} of a ${kind} torrent`,
    NEEDS,
    () =>
      Lab.run("file", async (lab) => {
        const capture = await lab.capture();
        await lab.seed("libtorrent", { uploadLimit: 8_000_000 });
        await lab.seedersAnnounced(1);
        const leech = await lab.leech("shoal", HOW);
        await leech.completed(60);
        await lab.verify(leech);
        const { address, address6 } = leech.options.host;
        const ways = new Set<string>();
        for (const line of capture.stdout) {
          const [way = "", sender = ""] = line.split(" ");
          if (sender === address || sender === address6) ways.add(way);
        }
        assertEquals([...ways].sort(), [...expected]);
      }, { private: kind === "private" }),
  );
}
