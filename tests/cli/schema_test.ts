import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { utf8 } from "../../src/base/bytes.ts";
import { ShoalError } from "../../src/base/errors.ts";
import { run } from "../../src/cli/main.ts";
import { denoPlatform } from "../../src/platform/deno_platform.ts";
import type {
  ChangedEvent,
  RemovedEvent,
  SessionEvent,
  StateEvent,
  TorrentState,
} from "../../src/session/session_events.ts";
import { checkLines, eventNames, SCHEMAS, violations } from "../support/schemas.ts";
import { HOST, Lab } from "../support/session_lab.ts";
import { settle } from "../support/virtual_clock.ts";
import { FakeTerminal } from "../ui/fake_terminal.ts";
import { metaOf, World } from "./fake_engine.ts";

const infohash = metaOf("a").infoHash.hex;
const ALL = { infohash: null };

/** Every event of a session in each of its forms. The type makes sure that none is missing. */
type PrintedEvent = Exclude<SessionEvent, StateEvent | ChangedEvent | RemovedEvent>;
const SAMPLES: { readonly [Kind in PrintedEvent["event"]]: readonly Extract<PrintedEvent, { event: Kind }>[] } = {
  added: [{ event: "added", infohash, infohash_v2: "ab".repeat(32), name: "a", size: null, files: null }],
  metadata: [{ event: "metadata", infohash, infohash_v2: null, name: "a", size: 20_000, files: 2 }],
  checking: [{ event: "checking", infohash, progress: 0.123456789 }],
  tracker: [
    {
      event: "tracker",
      infohash,
      url: "udp://t.test:1",
      status: "ok",
      seeders: 1,
      leechers: null,
      peers: 3,
      message: "",
    },
    {
      event: "tracker",
      infohash,
      url: "http://t.test/",
      status: "error",
      seeders: null,
      leechers: null,
      peers: 0,
      message: "x",
    },
  ],
  peer: (["connected", "disconnected", "banned", "refused"] as const).map((action) => ({
    ...{ event: "peer", infohash: action === "refused" ? null : infohash, address: "10.0.0.1:1", client: "" },
    ...{ action, message: "why", ...(action === "disconnected" && { downloaded: 1, uploaded: 2 }) },
  })),
  hash_failed: [{ event: "hash_failed", infohash, piece: 0, peers: ["10.0.0.1"] }],
  warning: [
    { event: "warning", infohash, message: "m", where: "" },
    { event: "warning", ...ALL, message: "m", where: "w", loses: true },
  ],
  port_map: [
    { event: "port_map", ...ALL, status: "ok", protocol: "udp", external: ":1", message: "m" },
    { event: "port_map", ...ALL, status: "error", protocol: null, external: null, message: "m" },
  ],
  dht: [{ event: "dht", ...ALL, status: "error", message: "m" }],
  completed: [{
    event: "completed",
    infohash,
    name: "a",
    seconds: 1.23456789,
    bytes: 5,
    rate: 4.05,
    downloading: 1,
    paths: ["/a/b", "/a/c"],
  }],
  error: [{ event: "error", infohash, code: "storage", message: "m", where: "w" }],
  stopped: [{ event: "stopped", infohash, downloaded: 1, uploaded: 2 }],
};

Deno.test("the schema of events names those of the session, progress and stream, and no others", () => {
  assertEquals(eventNames().toSorted(), [...Object.keys(SAMPLES), "progress", "stream"].toSorted());
});

Deno.test("--json prints every event as the schema says", async () => {
  const world = new World();
  const { code } = await world.start("a.torrent", "--json", "-v", "--stream");
  // The stream server's module is loaded on the way.
  while (!world.terminal.stdout.text.includes('"stream"')) await settle();
  const torrent = world.session.added[0]!;
  const states: TorrentState[] = [
    "metadata",
    "checking",
    "downloading",
    "seeding",
    "stopping",
    "stopped",
    "queued",
    "error",
  ];
  for (const state of states) {
    for (const eta of [null, 12.345]) {
      torrent.state = { state, eta, rateDown: 1.5, rateUp: 0.25, progress: 1 / 3 };
      await world.clock.play(1000);
    }
  }
  for (const event of Object.values(SAMPLES).flat()) world.session.emit(event);
  torrent.fail(new ShoalError("storage", { what: "w", why: "y" }));
  assertEquals(await code, 4);
  const seen = checkLines("events", world.terminal.stdout.lines);
  assertEquals([...seen].toSorted(), eventNames().toSorted());
});

Deno.test("--json prints a failure that is no torrent's as the schema says", async () => {
  for (const kind of ["usage", "torrent", "storage", "timeout", "network", "peer"] as const) {
    const world = new World();
    world.session.startError = new ShoalError(kind, { what: "w", why: "y" });
    assertNotEquals(await world.run("a.torrent", "--json"), 0);
    assertEquals(checkLines("events", world.terminal.stdout.lines), new Set(["error"]));
  }
});

Deno.test("the schemas are strict: no field may be missing, be of another kind, or be more", () => {
  let tried = 0;
  for (const [name, schema] of Object.entries(SCHEMAS)) {
    for (const [part, { examples, required }] of Object.entries(schema.$defs!)) {
      for (const example of examples ?? []) {
        const path = `${name}#/$defs/${part}`;
        assertEquals(violations(path, example), "", path);
        assertNotEquals(violations(path, { ...example, more: 1 }), "", `${path} takes more`);
        for (const field of Object.keys(example)) {
          const { [field]: _, ...rest } = example;
          if (required!.includes(field)) assertNotEquals(violations(path, rest), "", `${path} without ${field}`);
          assertNotEquals(violations(path, { ...example, [field]: { x: 1 } }), "", `${path} with an odd ${field}`);
          tried++;
        }
      }
      assert(schema.$defs![part]!.description, `${part} has no description`);
    }
  }
  assert(tried > 100, String(tried));
  assertThrows(() => checkLines("events", ['{"event":"stopped"}']), Error, "must have required property");
});

Deno.test("real sessions and real files: every command prints what its schema says", async () => {
  await using lab = new Lab();
  const { meta, source } = await lab.payload(300_000);
  const seeder = await lab.seeder(meta, source);
  const out = lab.make("out");
  const shoal = async (args: string, code = 0) => {
    const terminal = new FakeTerminal({ env: {} });
    const ended = run(args.split(" "), { platform: denoPlatform, terminal });
    if (code === 130) {
      while (terminal.requests.size === 0 || terminal.stdout.lines.length === 0) {
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      terminal.leave();
    }
    assertEquals(await ended, code, terminal.stderr.text);
    return terminal.stdout.lines;
  };
  const object = (lines: readonly string[]) => {
    assertEquals(lines.length, 1);
    return JSON.parse(lines[0]!);
  };
  const torrent = `${out}/x.torrent`;
  const options =
    `-t ${lab.tracker.url},udp://t.test:1 --piece-length 64K --date --comment c --web-seed http://w.test/`;
  const made = object(await shoal(`create ${source}/payload.bin -o ${torrent} --json ${options}`));
  assertEquals(violations("info#/$defs/created", made), "");
  assertEquals(made.infohash, meta.infoHash.hex);
  assertEquals(violations("info", object(await shoal(`info --json ${torrent}`))), "");
  assertEquals(violations("info#/$defs/listed", object(await shoal(`${torrent} --list --json`))), "");
  const offline = "-p 0 --bind 127.0.0.1 --no-dht --no-pex --no-lsd --no-port-map";
  const peer = `--peer ${HOST}:${seeder.port}`;
  const lines = await shoal(`${torrent} -o ${out} --json -v ${offline} ${peer}`);
  const seen = checkLines("events", lines);
  for (const event of ["added", "progress", "tracker", "peer", "completed", "stopped"]) assert(seen.has(event), event);
  const completed = lines.map((line) => JSON.parse(line)).find(({ event }) => event === "completed");
  assertEquals(completed.paths, [`${Deno.realPathSync(out)}/payload.bin`]);
  assertEquals(
    checkLines("events#/$defs/verify_line", await shoal(`verify --json ${torrent} ${out}`)).has("verified"),
    true,
  );
  await Deno.writeFile(`${out}/payload.bin`, utf8("wrong"));
  const wrong = await shoal(`verify --json ${torrent} ${out}`, 3);
  assertEquals(checkLines("events#/$defs/verify_line", wrong).has("verified"), true);
  const tracker = await shoal("tracker --json -p 0 --bind 127.0.0.1", 130);
  const tracked = checkLines("events#/$defs/tracker_line", tracker);
  assertEquals([...tracked], ["listening", "statistics", "stopped"]);
});
