import { assertEquals, assertRejects } from "@std/assert";
import { ShoalError } from "../../src/base/errors.ts";
import { magnetOf, parseMagnet, parseMetainfo } from "../../src/metainfo/mod.ts";
import { denoPlatform as platform } from "../../src/platform/deno_platform.ts";
import { verify } from "../../src/session/verify_torrent.ts";
import { Lab } from "../support/session_lab.ts";
import { TREE, v2 } from "../support/v2_torrents.ts";

Deno.test("Session and verify() refuse what is of version 2 only, by torrent and by magnet link", async () => {
  await using lab = new Lab();
  const meta = parseMetainfo(v2(TREE));
  const folder = lab.make("out");
  const { session, events } = await lab.session();
  const tries = [
    () => session.add(meta, { folder }),
    () => session.add(parseMagnet(magnetOf(meta)), { folder }),
    () => verify(meta, { platform, folder }),
  ];
  for (const attempt of tries) {
    const error = await assertRejects(attempt, ShoalError, "version 2 only (BEP 52), and v2 is not supported yet");
    assertEquals(error.kind, "torrent");
  }
  assertEquals([session.get(meta.infoHash), events], [null, []]);
});
