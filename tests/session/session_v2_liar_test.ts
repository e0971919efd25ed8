import { assert, assertEquals, assertLess, assertLessOrEqual } from "@std/assert";
import { denoPlatform as platform } from "../../src/platform/deno_platform.ts";
import { createTorrent } from "../../src/session/create_torrent.ts";
import { noise } from "../support/payload.ts";
import { casesToTry } from "../support/property.ts";
import { HOST, Lab } from "../support/session_lab.ts";

const MIB = 1024 * 1024;
/** Another address of this machine, in another network than {@linkcode HOST}. */
const LIAR = "127.1.0.1";

for (const pieceLength of casesToTry([MIB, MIB / 4, 4 * MIB, 16 * MIB])) {
  const name = `pieces of ${pieceLength / 1024} KiB`;
  Deno.test({
    name: `Session fetches only wrong blocks again from a liar that flips a byte in each piece: ${name}`,
    ignore: Deno.build.os !== "linux", // other systems have no second loopback address
    async fn() {
      await using lab = new Lab();
      const data = noise(Math.max(16 * MIB, 3 * pieceLength), 7);
      const [right, wrong] = [lab.make("right"), lab.make("wrong")];
      Deno.writeFileSync(`${right}/film`, data);
      const { meta } = await createTorrent(`${right}/film`, { platform, version: "v2", pieceLength });
      const bad = data.slice();
      for (let at = 0; at < bad.length; at += pieceLength) bad[at + ((at / pieceLength) * 40_000) % pieceLength]! ^= 1;
      Deno.writeFileSync(`${wrong}/film`, bad);
      const seed = { seedOnly: true, trust: true };
      const { session: honest } = await lab.session();
      await (await honest.add(meta, { ...seed, folder: right })).finished;
      const { session: liar } = await lab.session({ bind: LIAR });
      await (await liar.add(meta, { ...seed, folder: wrong })).finished;
      const { session, events } = await lab.session();
      const folder = lab.make("out");
      const peers = [{ host: HOST, port: honest.port! }, { host: LIAR, port: liar.port! }];
      const torrent = await session.add(meta, { folder, peers });
      await torrent.finished;
      const got = Deno.readFileSync(`${folder}/film`);
      assert(got.length === data.length && got.every((byte, i) => byte === data[i]));
      const failed = events.flatMap((event) => event.event === "hash_failed" ? [event] : []);
      assert(failed.length > 0 && failed.every(({ peers }) => peers.join() === LIAR), JSON.stringify(failed));
      const banned = events.findIndex((event) => event.event === "peer" && event.action === "banned");
      const before = events.slice(0, banned).filter(({ event }) => event === "hash_failed");
      assertLessOrEqual(before.length, 3, "banned within its first three pieces");
      assertLess(torrent.snapshot().downloaded - data.length, data.length / 50);
      assertEquals(events.filter(({ event }) => event === "error"), []);
    },
  });
}
