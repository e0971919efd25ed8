/**
 * A session that {@linkcode Driver} commands: `driver_program.ts STATE_FOLDER`. The program reads one JSON command per
 * line on standard input, answers each with a line, and writes the session's events between the answers.
 *
 * @module
 */

import { messageOf, ShoalError } from "../../src/base/errors.ts";
import { parseMetainfo } from "../../src/metainfo/mod.ts";
import { denoPlatform } from "../../src/platform/deno_platform.ts";
import { Session, type TorrentHandle } from "../../src/session/session.ts";
import type { FilePriority } from "../../src/swarm/mod.ts";
import type { TorrentState } from "../../src/session/session_events.ts";

/** A command for the torrent. */
export type Command =
  | { readonly do: "add"; readonly torrent: string; readonly folder: string; readonly down?: number }
  | { readonly do: "pause" | "resume" | "recheck" | "look" | "stop" }
  | { readonly do: "files"; readonly files: readonly number[] | null }
  | { readonly do: "priority"; readonly files: readonly number[]; readonly priority: FilePriority }
  | { readonly do: "sequential"; readonly sequential: boolean }
  | { readonly do: "trackers"; readonly trackers: readonly string[] }
  | { readonly do: "peers"; readonly ports: readonly number[] }
  | { readonly do: "limits"; readonly down?: number | null; readonly up?: number | null }
  | { readonly do: "move"; readonly folder: string }
  | { readonly do: "remove"; readonly data: boolean };

/** State of the torrent. */
export interface Look {
  readonly state: TorrentState;
  readonly error: string | null;
  readonly paused: boolean;
  readonly folder: string;
  readonly files: readonly number[];
  readonly sequential: boolean;
  readonly trackers: readonly string[];
  readonly priorities: readonly (readonly [number, FilePriority])[];
  readonly down: number | null;
  readonly up: number | null;
  /** Verified bytes of each file, wanted or not. */
  readonly verified: readonly number[];
  readonly downloaded: number;
  readonly uploaded: number;
  readonly peers: number;
}

/** A line that the program writes. */
export type Line =
  | { readonly ready: number; readonly look: Look | null }
  | { readonly answer: number; readonly error: string | null; readonly look: Look | null }
  | { readonly look: Look }
  | { readonly event: string; readonly state?: string; readonly what?: string; readonly message?: string };

const HOST = "127.0.0.1";
/** Milliseconds between two states that are written unasked. */
const LOOK_MS = 50;

function lookAt(torrent: TorrentHandle): Look {
  const { state, paused, folder, sequential, wantedFiles, limits: { down, up } } = torrent;
  const { error, downloaded, uploaded, peerCount } = torrent.snapshot();
  const priorities = [...torrent.priorities].filter(([, priority]) => priority !== "normal");
  return {
    ...{ state, error, paused, folder, sequential, files: wantedFiles, priorities, down, up, downloaded, uploaded },
    trackers: torrent.trackers.flat(),
    verified: torrent.files().map(({ verified }) => verified),
    peers: peerCount,
  };
}

async function obey(session: Session, command: Command): Promise<void> {
  if (command.do === "add") {
    const meta = parseMetainfo(await Deno.readFile(command.torrent));
    const torrent = await session.add(meta, { folder: command.folder });
    return torrent.setLimits({ down: command.down ?? null });
  }
  const torrent = session.torrents[0];
  if (torrent === undefined) return;
  switch (command.do) {
    case "pause":
      return torrent.pause();
    case "resume":
      return torrent.resume();
    case "recheck":
      return await torrent.recheck();
    case "files":
      return await torrent.setFiles(command.files && new Set(command.files));
    case "priority":
      return torrent.setPriority(command.files, command.priority);
    case "sequential":
      return torrent.setSequential(command.sequential);
    case "trackers":
      return torrent.setTrackers(command.trackers.map((url) => [url]));
    case "peers":
      return torrent.addPeers(command.ports.map((port) => ({ host: HOST, port })));
    case "limits":
      return torrent.setLimits(command);
    case "move":
      return await torrent.move(command.folder);
    case "remove":
      return await session.remove(torrent, { data: command.data });
  }
}

if (import.meta.main) {
  const encoder = new TextEncoder();
  const say = (line: Line) => void Deno.stdout.writeSync(encoder.encode(`${JSON.stringify(line)}\n`));
  const look = () => session.torrents.map(lookAt)[0] ?? null;
  const session = new Session({
    ...{ platform: denoPlatform, port: 0, bind: HOST, encryption: "off", cacheBytes: 8 << 20 },
    stateFolder: Deno.args[0]!,
  });
  session.subscribe(({ event, ...rest }) => {
    if (event !== "peer" && event !== "tracker") say({ event, ...rest } as Line);
  });
  await session.start();
  await session.restore();
  say({ ready: session.port, look: look() });
  const watch = setInterval(() => {
    const now = look();
    if (now !== null) say({ look: now });
  }, LOOK_MS);

  const answer = async ({ id, ...command }: { id: number } & Command): Promise<void> => {
    let error: string | null = null;
    try {
      await obey(session, command);
    } catch (thrown) {
      if (!(thrown instanceof ShoalError)) throw thrown;
      error = messageOf(thrown);
    }
    say({ answer: id, error, look: look() });
  };
  let rest = "";
  reading: for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const command of lines.map((line) => JSON.parse(line))) {
      if (command.do === "stop") break reading;
      void answer(command); // commands run concurrently, as calls of a program may
    }
  }
  clearInterval(watch);
  await session.stop();
  Deno.exit(); // older versions of Deno keep waiting for the rest of standard input
}
