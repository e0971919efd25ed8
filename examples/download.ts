/**
 * Downloads a torrent file or a magnet link into a folder, prints the progress, and exits when the download is
 * complete.
 *
 *     deno run --allow-net --allow-read --allow-write=FOLDER examples/download.ts SOURCE FOLDER
 */

// deno-lint-ignore-file no-console -- a program prints

import { denoPlatform, parseMagnet, parseMetainfo, Session, ShoalError } from "@shoal/shoal";

const [source, folder] = Deno.args;
if (source === undefined || folder === undefined) {
  console.error("SOURCE and FOLDER are needed");
  Deno.exit(2);
}

const isMagnet = source.startsWith("magnet:");
// The trackers of a torrent file know its peers. A magnet link may need more.
const discovery = isMagnet ? { dht: {}, pex: true } : {};
const session = new Session({ platform: denoPlatform, port: 0, discovery });
try {
  await session.start();
  const what = isMagnet ? parseMagnet(source) : parseMetainfo(await Deno.readFile(source), { source });
  const torrent = await session.add(what, { folder });
  for await (const event of torrent.events()) {
    switch (event.event) {
      case "metadata":
        console.log(`${event.name}: ${event.files} files`);
        break;
      case "progress":
        console.log(
          `${Math.floor(event.progress * 100)} % from ${event.peers} peers, ${event.rate_down} bytes a second`,
        );
        break;
      case "tracker":
        if (event.status === "error") console.error(`${event.url}: ${event.message}`);
        break;
      case "completed":
        console.log(`${event.name} is complete: ${event.bytes} bytes in ${event.seconds.toFixed(1)} s`);
        void torrent.stop();
        break;
      case "error": // the torrent could be resumed, but this program gives up
        void torrent.stop();
    }
  }
  // Throws the error of a torrent that has failed.
  await torrent.finished;
} catch (error) {
  if (!(error instanceof ShoalError)) throw error;
  console.error(error.message);
  Deno.exitCode = 1;
} finally {
  await session.stop();
}
