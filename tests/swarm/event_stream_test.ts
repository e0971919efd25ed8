import { assert, assertEquals } from "@std/assert";
import { InfoHash } from "../../src/base/info_hash.ts";
import { type AnyEvent, type EventStream, type StreamedEvent, streamEvents } from "../../src/swarm/event_stream.ts";
import type { SessionEvent, TorrentSnapshot } from "../../src/session/session_events.ts";
import { HOST, Lab } from "../support/session_lab.ts";
import { settle, VirtualClock } from "../support/virtual_clock.ts";
import { torrentSnapshot } from "../ui/snapshots.ts";

const A = "aa".repeat(20);
const B = "bb".repeat(20);

/** A session whose events come from the test. */
class Source {
  readonly platform = new VirtualClock();
  readonly listeners = new Set<(event: SessionEvent) => void>();
  readonly #over = Promise.withResolvers<void>();
  readonly over = this.#over.promise;
  torrents: TorrentSnapshot[] = [];

  constructor(readonly infohash: string | null) {}

  subscribe(listener: (event: SessionEvent) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  snapshots(): readonly TorrentSnapshot[] {
    return this.torrents;
  }

  emit(...events: SessionEvent[]): void {
    for (const event of events) for (const listener of this.listeners) listener(event);
  }

  end(): void {
    this.#over.resolve();
  }
}

function torrent(hex: string, parts: Partial<TorrentSnapshot> = {}): TorrentSnapshot {
  return torrentSnapshot({ infoHash: new InfoHash(new Uint8Array(20).fill(parseInt(hex.slice(0, 2), 16))), ...parts });
}

function peer(infohash: string | null, address = "10.0.0.1:1"): SessionEvent {
  return { event: "peer", infohash, address, client: "", action: "connected", message: "" };
}

function checking(infohash: string, progress: number): SessionEvent {
  return { event: "checking", infohash, progress };
}

function stopped(infohash: string): SessionEvent {
  return { event: "stopped", infohash, downloaded: 0, uploaded: 0 };
}

function completed(infohash: string): SessionEvent {
  return { event: "completed", infohash, name: "x", seconds: 1, bytes: 1, rate: 1, downloading: 1, paths: [] };
}

async function all<Event extends AnyEvent>(stream: EventStream<Event>): Promise<StreamedEvent<Event>[]> {
  const events: StreamedEvent<Event>[] = [];
  for await (const event of stream) events.push(event);
  return events;
}

Deno.test("streamEvents() gives a torrent's events and no others', until it has stopped, and lets go then", async () => {
  const source = new Source(A);
  const stream = streamEvents(source);
  source.emit(checking(A, 0.5), peer(B), peer(null), stopped(B), peer(A), stopped(A), peer(A));
  assertEquals([source.listeners.size, source.platform.pending], [0, 0]);
  assertEquals((await all(stream)).map(({ event }) => event), ["checking", "peer", "stopped"]);
  assertEquals(await stream.next(), { done: true, value: undefined });
});

Deno.test("streamEvents() gives a session's events to its end", async () => {
  const source = new Source(null);
  const events = all(streamEvents(source));
  source.emit(peer(A), stopped(A), peer(null), stopped(B));
  source.end();
  assertEquals((await events).map(({ infohash }) => infohash), [A, A, null, B]);
  assertEquals([source.listeners.size, source.platform.pending], [0, 0]);
});

Deno.test("streamEvents() tells of progress as often as it is asked to, and when a torrent is complete", async () => {
  const source = new Source(null);
  source.torrents = [torrent(A, { state: "downloading", verified: 5, size: 10, progress: 0.5 }), torrent(B)];
  source.torrents[1] = torrent(B, { state: "checking" });
  const stream = streamEvents(source, { progressMs: 250 });
  const events: StreamedEvent<SessionEvent>[] = [];
  const reading = (async () => {
    for await (const event of stream) events.push(event);
  })();
  await source.platform.play(500);
  source.torrents[1] = torrent(B, { state: "metadata" });
  source.emit(completed(B));
  source.end();
  await reading;
  assertEquals(events.map(({ event, infohash }) => `${event} ${infohash?.slice(0, 1)}`), [
    ...["progress a", "progress a", "progress b", "completed b"],
  ]);
  const [first, , unknown] = events;
  assert(first?.event === "progress" && unknown?.event === "progress");
  assertEquals([first.downloaded, first.size, first.progress, unknown.size], [5, 10, 0.5, null]);

  const silent = new Source(null);
  silent.torrents = [torrent(A, { state: "downloading" })];
  const none = streamEvents(silent, { progressMs: 0 });
  assertEquals(silent.platform.pending, 0);
  silent.emit(completed(A));
  silent.end();
  assertEquals((await all(none)).map(({ event }) => event), ["completed"]);
});

Deno.test("streamEvents() lets go at once when the loop is left, or the stream is disposed of", async () => {
  const source = new Source(A);
  const left = streamEvents(source);
  source.emit(peer(A), peer(A));
  for await (const event of left) {
    assertEquals(event.event, "peer");
    break;
  }
  assertEquals([source.listeners.size, source.platform.pending], [0, 0]);
  assertEquals(await left.next(), { done: true, value: undefined });
  {
    await using stream = streamEvents(source);
    source.emit(peer(A), peer(A));
    assertEquals((await stream.next()).done, false);
    assertEquals([source.listeners.size, source.platform.pending], [1, 1]);
  }
  assertEquals([source.listeners.size, source.platform.pending], [0, 0]);
});

Deno.test("streamEvents() answers readers in their order, and those that still wait at the end", async () => {
  const source = new Source(A);
  const stream = streamEvents(source);
  const results = [stream.next(), stream.next(), stream.next()];
  source.emit(peer(A, "10.0.0.1:1"), stopped(A));
  await settle();
  assertEquals((await Promise.all(results)).map(({ value }) => value?.event), ["peer", "stopped", undefined]);
});

Deno.test("streamEvents() keeps the latest for a slow reader, drops the oldest, and says how many", async () => {
  const source = new Source(null);
  source.torrents = [torrent(A, { state: "downloading" })];
  const stream = streamEvents(source);
  source.emit(checking(A, 0.1), checking(B, 0.1), completed(B));
  for (let i = 2; i <= 9; i++) source.emit(checking(A, i / 10));
  await source.platform.play(60_000);
  for (let i = 0; i < 5000; i++) source.emit(peer(A, `10.0.0.1:${i}`));
  source.emit(stopped(A));
  source.end();
  const events = await all(stream);
  assertEquals(events[0], { event: "missed", infohash: null, count: 4005 });
  const rest = events.filter(({ event }) => event !== "peer").map(({ event, infohash }) => `${event} ${infohash?.[0]}`);
  assertEquals(rest, ["missed undefined", "checking b", "completed b", "checking a", "progress a", "stopped a"]);
  assertEquals(events.length, 1001);
  assertEquals(events.at(-2), peer(A, "10.0.0.1:4999"));
  assertEquals(events.filter(({ event }) => event === "checking").at(-1), checking(A, 0.9));
});

Deno.test("torrent.events() and session.events() follow a real download to its end", async () => {
  await using lab = new Lab();
  const { meta, source } = await lab.payload(300_000);
  const seeder = await lab.seeder(meta, source);
  const { session } = await lab.session();
  const everything = all(session.events());
  const peers = [{ host: HOST, port: seeder.port }];
  const added = await session.add(meta, { folder: lab.make("out"), peers });
  const kinds: string[] = [];
  let last = 0;
  for await (const event of added.events({ progressMs: 5 })) {
    kinds.push(event.event);
    if (event.event === "progress") last = event.progress;
    if (event.event === "completed") void added.stop();
  }
  assertEquals([last, kinds.at(-1)], [1, "stopped"]);
  for (const kind of ["peer", "progress", "completed"]) assert(kinds.includes(kind), kind);
  assertEquals(await all(added.events()), [], "a torrent that has stopped tells nothing more");
  await session.stop();
  const [first] = await everything;
  assertEquals([first?.event, first?.infohash], ["added", meta.infoHash.hex]);
  assertEquals(await all(session.events()), []);
});
