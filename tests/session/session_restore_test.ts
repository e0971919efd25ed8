import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { magnetOf, type Metainfo, parseMagnet } from "../../src/metainfo/mod.ts";
import { openDatabase } from "../../src/platform/deno_database.ts";
import { denoPlatform as platform } from "../../src/platform/deno_platform.ts";
import { createTorrent } from "../../src/session/create_torrent.ts";
import type { Session, TorrentHandle } from "../../src/session/session.ts";
import { torrentOf } from "../../src/session/store_schema.ts";
import { eventOf, HOST, Lab } from "../support/session_lab.ts";

/** Starts a session with a state folder and restores its torrents. */
async function restored(lab: Lab, stateFolder: string): Promise<{ session: Session; torrents: TorrentHandle[] }> {
  const { session } = await lab.session({ stateFolder });
  return { session, torrents: await session.restore() };
}

Deno.test("Session.restore() adds the torrents of the last run as they were, and they go on", async () => {
  await using lab = new Lab();
  const [stateFolder, folder] = [lab.make("state"), lab.make("out")];
  const { meta, data, source } = await lab.payload(1_000_000);
  const { session } = await lab.session({ stateFolder });
  const torrent = await session.add(meta, { folder, sequential: true });
  torrent.pause();
  torrent.setLimits({ up: 5000 });
  await session.stop();

  const { session: again, torrents: [paused, ...others] } = await restored(lab, stateFolder);
  assertEquals([paused?.infoHash.hex, paused?.name, paused?.paused], [meta.infoHash.hex, meta.name, true]);
  assertEquals([others, paused?.limits], [[], { down: null, up: 5000 }]);
  await lab.seeder(meta, source);
  paused!.resume();
  await paused!.finished;
  assertEquals(Deno.readFileSync(`${folder}/${meta.name}`), data);
  await again.stop();

  const { session: third, torrents: [done] } = await restored(lab, stateFolder);
  await done!.finished;
  assertEquals([done!.paused, done!.snapshot().downloaded, third.totals.downloaded], [false, 0, data.length]);
});

Deno.test("Session.restore() has a complete torrent wait whose folder isn't there, instead of downloading it again", async () => {
  await using lab = new Lab();
  const [stateFolder, folder] = [lab.make("state"), lab.make("disk")];
  const { meta, source } = await lab.payload(200_000);
  const seeder = await lab.seeder(meta, source);
  const { session } = await lab.session({ stateFolder });
  await (await session.add(meta, { folder })).finished;
  await session.stop();
  Deno.renameSync(folder, `${folder}.unmounted`);

  const { session: again, events } = await lab.session({ stateFolder });
  const [waiting] = await again.restore();
  await eventOf(again, events, (event) => event.event === "state" && event.state === "paused");
  assertEquals([waiting!.paused, waiting!.snapshot().downloaded], [true, 0]);
  const warning = events.find((event) => event.event === "warning");
  assertEquals(warning?.message.split(":")[0], "a complete torrent is gone");
  waiting!.resume();
  waiting!.addPeers([seeder.listenAddress]);
  await waiting!.finished;
});

Deno.test("Session.restore() knows what a magnet link stands for, or asks for it again", async () => {
  await using lab = new Lab();
  const stateFolder = lab.make("state");
  const { meta, source } = await lab.payload(200_000);
  const link = parseMagnet(magnetOf(meta));
  const { session } = await lab.session({ stateFolder });
  const unknown = await session.add({ ...link, trackers: [] }, { folder: lab.make("out") });
  await session.stop();
  assertEquals(unknown.snapshot().state, "stopped");

  const { session: second, torrents: [searching] } = await restored(lab, stateFolder);
  assertEquals(searching?.snapshot().state, "metadata");
  const seeder = await lab.seeder(meta, source);
  await second.add({ ...link, peers: [{ host: HOST, port: seeder.port }] }, { folder: lab.make("out") });
  await searching!.finished;
  await second.stop();
  await seeder.stop();

  const { torrents: [known] } = await restored(lab, stateFolder);
  assertEquals((await known!.metadata).info, meta.info);
  await known!.finished;
});

Deno.test("Session.restore() leaves out what was for one run, and what was only asked about", async () => {
  await using lab = new Lab();
  const stateFolder = lab.make("state");
  const { meta, source } = await lab.payload(100_000);
  await lab.seeder(meta, source);
  const { session: once } = await lab.session({ stateFolder, oneOff: true });
  await (await once.add(meta, { folder: lab.make("once") })).finished;
  await once.stop();
  const { session, torrents } = await restored(lab, stateFolder);
  assertEquals(torrents, []);
  await (await session.add(parseMagnet(magnetOf(meta)), { folder: lab.make("ask"), metadataOnly: true })).metadata;
  await session.stop();
  assertEquals((await restored(lab, stateFolder)).torrents, []);
});

Deno.test("Session.restore() tries a torrent again that had failed, and one that can't be had holds up no other", async () => {
  await using lab = new Lab();
  const stateFolder = lab.make("state");
  const { meta, source } = await lab.payload(100_000);
  await lab.seeder(meta, source);
  Deno.writeTextFileSync(`${lab.folder}/out`, "a file in the place of the folder");
  const { session, events } = await lab.session({ stateFolder });
  const torrent = await session.add(meta, { folder: `${lab.folder}/out` });
  await eventOf(session, events, ({ event }) => event === "error");
  await torrent.finished.catch(() => {});
  const { meta: other } = await lab.payload(50_000, "other");
  await session.add(other, { folder: lab.make("there") });
  await session.stop();
  Deno.removeSync(`${lab.folder}/out`);

  const { torrents: [failed, fine] } = await restored(lab, stateFolder);
  assertEquals(fine?.infoHash.hex, other.infoHash.hex);
  await failed!.finished;
  assert(Deno.statSync(`${lab.folder}/out/${meta.name}`).isFile);
});

Deno.test("Session.restore() knows nothing of a torrent that was removed, as soon as it is", async () => {
  await using lab = new Lab();
  const [stateFolder, killed] = [lab.make("state"), lab.make("killed")];
  const { meta } = await lab.payload(100_000);
  const { session } = await lab.session({ stateFolder });
  const torrent = await session.add(meta, { folder: lab.make("out") });
  await session.remove(torrent, { data: true });
  for (const name of ["session.db", "session.db-wal"]) Deno.copyFileSync(`${stateFolder}/${name}`, `${killed}/${name}`);
  await session.stop();
  for (const state of [killed, stateFolder]) assertEquals((await restored(lab, state)).torrents, []);
});

/** A setting that can be changed while a torrent runs, and how to read it. */
interface Change {
  readonly what: string;
  change(torrent: TorrentHandle): unknown;
  seen(torrent: TorrentHandle): unknown;
}

const CHANGES: readonly Change[] = [
  { what: "a pause", change: (torrent) => torrent.pause(), seen: ({ paused }) => paused },
  {
    what: "limits",
    change: (torrent) => torrent.setLimits({ down: 100_000, up: null }),
    seen: ({ limits }) => limits,
  },
  {
    what: "the choice of files",
    change: (torrent) => torrent.setFiles(new Set([0, 2])),
    seen: ({ wantedFiles }) => [...wantedFiles],
  },
  {
    what: "priorities",
    change(torrent) {
      torrent.setPriority([0, 1], "high");
      torrent.setPriority([1], "normal");
      torrent.setPriority([2], "low");
    },
    seen: ({ priorities }) => [...priorities].filter(([, priority]) => priority !== "normal"),
  },
  {
    what: "trackers",
    change: (torrent) => torrent.setTrackers([[`http://${HOST}:1/a`, `http://${HOST}:1/b`], [`udp://${HOST}:1`]]),
    seen: ({ trackers }) => trackers,
  },
  { what: "having no trackers", change: (torrent) => torrent.setTrackers([]), seen: ({ trackers }) => trackers },
  {
    what: "another folder",
    change: (torrent) => torrent.move(`${torrent.folder}/../elsewhere`),
    seen: ({ folder }) => folder,
  },
  {
    what: "the order of pieces",
    change: (torrent) => torrent.setSequential(true),
    seen: ({ sequential }) => sequential,
  },
];

/** Returns a torrent of three files. */
async function manyFiles(lab: Lab): Promise<Metainfo> {
  const source = lab.make("many");
  for (const name of ["a", "b", "c"]) {
    Deno.writeFileSync(`${source}/${name}`, new Uint8Array(50_000).fill(name.charCodeAt(0)));
  }
  return (await createTorrent(source, { platform, trackers: [[lab.tracker.url]], webSeeds: [] })).meta;
}

/** Polls for a condition that depends on another thread or on the disk. */
async function eventually(isSo: () => boolean, what: string): Promise<void> {
  for (let tries = 0; !isSo(); tries++) {
    assert(tries < 500, what);
    await new Promise<void>((resolve) => void platform.after(20, resolve));
  }
}

Deno.test("Session.restore() goes on with removing files that was interrupted", async () => {
  await using lab = new Lab();
  const [stateFolder, folder] = [lab.make("state"), lab.make("out")];
  const { meta, source } = await lab.payload(200_000);
  await lab.seeder(meta, source);
  const database = () => openDatabase(`${stateFolder}/session.db`);
  const states: unknown[] = [];
  const files = {
    ...platform.files,
    remove: (path: string) => {
      if (path.endsWith(`/${meta.name}`)) {
        states.push(database().prepare("SELECT state FROM torrents").get()?.["state"]);
      }
      return platform.files.remove(path);
    },
  };
  const { session } = await lab.session({ stateFolder, platform: { ...platform, files } });
  const torrent = await session.add(meta, { folder });
  await torrent.finished;
  await session.remove(torrent, { data: true });
  assertEquals([states, [...Deno.readDirSync(folder)]], [["removing"], []]);
  const again = await session.add(meta, { folder });
  await again.finished;
  await session.stop();
  // The state in the database is the one left by a kill before the file is removed.
  database().prepare("UPDATE torrents SET state = ?").run(states[0] as string);

  const { session: second, torrents } = await restored(lab, stateFolder);
  assertEquals([torrents, second.torrents, [...Deno.readDirSync(folder)]], [[], [], []]);
  assertEquals(database().prepare("SELECT * FROM torrents").get(), null);
});

Deno.test("Session.restore() knows of everything that was changed while a torrent ran, however the session ended", async () => {
  // The changes run at the same time, since each is written a second later.
  await Promise.all(CHANGES.map(tryChange));
});

async function tryChange({ what, change, seen }: Change): Promise<void> {
  await using lab = new Lab();
  const meta = await manyFiles(lab);
  const [stateFolder, folder] = [lab.make("state"), lab.make("out")];
  const { session, events } = await lab.session({ stateFolder });
  const torrent = await session.add(meta, { folder });
  await eventOf(session, events, (event) => event.event === "state" && event.state === "downloading");
  // A session that starts on a copy of the database finds what it would find after a kill.
  const killed = lab.make("killed");
  const copied = (): string | null => {
    for (const name of ["session.db", "session.db-wal"]) {
      Deno.copyFileSync(`${stateFolder}/${name}`, `${killed}/${name}`);
    }
    const database = openDatabase(`${killed}/session.db`);
    const row = database.prepare("SELECT * FROM torrents").get();
    database.close();
    return row && JSON.stringify(torrentOf(row));
  };
  await eventually(() => copied() !== null, `${what}: the torrent isn't in the database`);
  const [before, rowBefore] = [seen(torrent), copied()];
  await change(torrent);
  const wanted = seen(torrent);
  assertNotEquals(wanted, before, what);
  await eventually(() => copied() !== rowBefore, `${what}: it isn't in the database`);
  await session.stop();
  for (const state of [killed, stateFolder]) {
    const { session: next, torrents: [again] } = await restored(lab, state);
    assertEquals(seen(again!), wanted, what);
    await next.stop();
  }
}
