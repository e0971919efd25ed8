/**
 * Sessions over real sockets and files, for tests: a folder, a tracker and a payload.
 *
 * @module
 */

import { encodeSingleFile } from "../../src/metainfo/encode_torrent.ts";
import { type Metainfo, parseMetainfo } from "../../src/metainfo/mod.ts";
import { denoPlatform as platform } from "../../src/platform/deno_platform.ts";
import { Session, type SessionOptions } from "../../src/session/session.ts";
import type { SessionEvent } from "../../src/session/session_events.ts";
import { TrackerServer } from "../../src/tracker_server/server.ts";
import { noise } from "./payload.ts";

/** Address of the sessions and the tracker. */
export const HOST = "127.0.0.1";
/** Bytes per piece. */
export const PIECE = 64 * 1024;
/** Name of the payload. */
export const NAME = "payload.bin";

/** A folder, a payload with its torrent, a tracker, and sessions that are stopped at the end. */
export class Lab implements AsyncDisposable {
  readonly folder = Deno.makeTempDirSync({ prefix: "shoal_session_" });
  readonly tracker = TrackerServer.start(platform, { host: HOST, port: 0, interval: 1 });
  readonly #sessions: Session[] = [];

  async payload(
    size: number,
    folder = "source",
  ): Promise<{ meta: Metainfo; data: Uint8Array<ArrayBuffer>; source: string }> {
    const data = noise(size, size);
    const digests: Uint8Array[] = [];
    for (let at = 0; at < size; at += PIECE) digests.push(await platform.sha1(data.slice(at, at + PIECE)));
    const source = this.make(folder);
    Deno.writeFileSync(`${source}/${NAME}`, data);
    const announce = this.tracker.url;
    const torrent = encodeSingleFile({ name: NAME, length: size, pieceLength: PIECE, digests, announce });
    return { meta: parseMetainfo(torrent), data, source };
  }

  make(name: string): string {
    const path = `${this.folder}/${name}`;
    Deno.mkdirSync(path, { recursive: true });
    return path;
  }

  async session(options: Partial<SessionOptions> = {}): Promise<{ session: Session; events: SessionEvent[] }> {
    const session = new Session({ platform, port: 0, bind: HOST, encryption: "off", ...options });
    this.#sessions.push(session);
    const events: SessionEvent[] = [];
    session.subscribe((event) => void events.push(event));
    await session.start();
    return { session, events };
  }

  async seeder(meta: Metainfo, folder: string): Promise<Session> {
    const { session } = await this.session();
    await (await session.add(meta, { folder, seedOnly: true, trust: true })).finished;
    return session;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#sessions.map((session) => session.stop()));
    await this.tracker.close();
    await Deno.remove(this.folder, { recursive: true });
  }
}

/** Waits for an event that has occurred already or is still to come. */
export function eventOf(session: Session, events: SessionEvent[], wanted: (event: SessionEvent) => boolean) {
  return new Promise<SessionEvent>((resolve) => {
    const found = events.find(wanted);
    if (found) return resolve(found);
    const unsubscribe = session.subscribe((event) => {
      if (!wanted(event)) return;
      unsubscribe();
      resolve(event);
    });
  });
}
