/**
 * Runs several torrents until it is stopped, and restores them when it is started again. Reads commands from standard
 * input, one a line; a torrent is named by the beginning of its info-hash:
 *
 *     add SOURCE            a torrent file or a magnet link
 *     list
 *     pause HASH            resume HASH            recheck HASH
 *     files HASH 0,2        high HASH 0,2          order HASH
 *     limit HASH 500000     move HASH FOLDER       remove HASH [data]
 *     stop
 *
 *     deno run --allow-net --allow-read --allow-write=FOLDER,STATE examples/keeper.ts FOLDER STATE
 */

// deno-lint-ignore-file no-console -- a program prints

import { denoPlatform, parseMagnet, parseMetainfo, Session, ShoalError, type TorrentHandle } from "@shoal/shoal";

const [folder, stateFolder] = Deno.args;
if (folder === undefined || stateFolder === undefined) {
  console.error("FOLDER and STATE are needed");
  Deno.exit(2);
}

const session = new Session({ platform: denoPlatform, port: 0, stateFolder, discovery: { pex: true } });
session.subscribe((event) => {
  if (event.event === "state") console.log(`${event.infohash} ${event.state}`);
  if (event.event === "changed") console.log(`${event.infohash} has other ${event.what}`);
  if (event.event === "removed") console.log(`${event.infohash} removed`);
  if (event.event === "error") console.log(`${event.infohash} ${event.message}`);
});
await session.start();
for (const torrent of await session.restore()) console.log(`${torrent.infoHash.hex} is here again: ${torrent.name}`);

function find(hash: string | undefined): TorrentHandle {
  const found = session.torrents.filter(({ infoHash }) => hash !== undefined && infoHash.hex.startsWith(hash));
  if (found.length === 1) return found[0]!;
  throw new ShoalError("usage", { what: "which torrent", where: hash ?? "", why: `${found.length} begin like that` });
}

async function add(source: string): Promise<void> {
  const what = source.startsWith("magnet:")
    ? parseMagnet(source)
    : parseMetainfo(await Deno.readFile(source), { source });
  await session.add(what, { folder: folder! });
}

async function obey([command, first = "", second = ""]: readonly string[]): Promise<void> {
  const numbers = () => second.split(",").map(Number);
  switch (command) {
    case "add":
      return await add(first);
    case "list":
      for (const { infoHash, name, state, progress } of session.torrents.map((torrent) => torrent.snapshot())) {
        console.log(`${infoHash.hex} ${state} ${Math.floor(progress * 100)} % ${name}`);
      }
      return;
    case "pause":
      return find(first).pause();
    case "resume":
      return find(first).resume();
    case "recheck":
      return await find(first).recheck();
    case "files":
      return await find(first).setFiles(new Set(numbers()));
    case "high":
      return find(first).setPriority(numbers(), "high");
    case "order":
      return find(first).setSequential(true);
    case "limit":
      return find(first).setLimits({ down: Number(second) });
    case "move":
      return await find(first).move(second);
    case "remove":
      return await session.remove(find(first), { data: second === "data" });
    default:
      throw new ShoalError("usage", {
        what: "no such command",
        where: command ?? "",
        why: "see the head of this file",
      });
  }
}

/** Reads standard input line by line. */
async function* lines(): AsyncGenerator<string, void> {
  let rest = "";
  for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + text).split("\n");
    rest = parts.pop()!;
    yield* parts;
  }
}

for await (const line of lines()) {
  const words = line.trim().split(/\s+/);
  if (words[0] === "stop") break;
  try {
    await obey(words);
  } catch (error) {
    if (!(error instanceof ShoalError || error instanceof RangeError)) throw error;
    console.error(error.message);
  }
}
await session.stop();
Deno.exit(); // otherwise Deno 2.4 waits for the end of standard input
