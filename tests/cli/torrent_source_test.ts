import { assertEquals, assertStringIncludes } from "@std/assert";
import { type Answer, failure, World } from "./fake_engine.ts";

/** Runs with a server that gives this answer. */
async function served(answer: Answer, ...args: string[]): Promise<{ world: World; code: number }> {
  const world = new World();
  world.answer = () => answer;
  return { world, code: await world.run(...args) };
}

Deno.test("a URL that redirects to a magnet link stands for the torrent that the link names", async () => {
  const magnet = `Magnet:?xt=urn:btih:${"a".repeat(40)}&dn=Found&tr=http://t.example/announce`;
  const answer = { status: 302, text: "", magnet };
  const listed = await served(answer, "info", "http://x.test/get/1");
  assertEquals(listed.code, 0, listed.world.terminal.stderr.text);
  assertStringIncludes(listed.world.terminal.stdout.text, "Remote");
  assertEquals([listed.world.requests[0]!.takesMagnet, listed.world.requests[0]!.trust], [true, { by: "user" }]);
  const world = new World();
  world.answer = () => answer;
  const { code } = await world.start("download", "http://x.test/get/1");
  world.session.added[0]!.finish();
  assertEquals(await code, 0);
});

Deno.test("a URL that redirects to a magnet link is no torrent file where one is needed, nor is what is no magnet link", async () => {
  const world = new World();
  world.answer = () => ({ status: 302, text: "", magnet: `magnet:?xt=urn:btih:${"a".repeat(40)}` });
  assertStringIncludes(
    await failure(["verify", "http://x.test/1", "."], 2, world),
    "a .torrent file is needed (http://x.test/1): it redirects to a magnet link, and",
  );
  const nonsense = new World();
  nonsense.answer = () => ({ status: 302, text: "", magnet: "magnet:?dn=x" });
  assertStringIncludes(await failure(["http://x.test/1"], 3, nonsense), "not a magnet link (magnet:?dn=x)");
});

Deno.test("a web page instead of a torrent is told as that", async () => {
  for (
    const text of [
      "<!DOCTYPE html><title>Log in</title>",
      "\n<html>",
      "<meta http-equiv=refresh content='0;magnet:?x'>",
    ]
  ) {
    const world = new World();
    world.answer = () => ({ status: 200, text });
    assertStringIncludes(
      await failure(["info", "http://x.test/1"], 3, world),
      "not a torrent (http://x.test/1): the server sent a web page instead of a torrent; the link to the .torrent file",
    );
  }
});
