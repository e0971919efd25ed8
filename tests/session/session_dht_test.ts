import { assert, assertEquals } from "@std/assert";
import type { PeerAddress } from "../../src/base/address.ts";
import { ShoalError } from "../../src/base/errors.ts";
import { Dht } from "../../src/dht/mod.ts";
import { magnetOf, type Metainfo, parseMagnet, parseMetainfo, torrentFile } from "../../src/metainfo/mod.ts";
import { denoPlatform as platform } from "../../src/platform/deno_platform.ts";
import { HOST, Lab } from "../support/session_lab.ts";

/** A DHT node that remembers every message to it. */
class Router implements AsyncDisposable {
  readonly heard: string[] = [];
  readonly #socket = platform.net.openUdp({ host: HOST, port: 0 });
  readonly #node: Dht;
  readonly #listening: Promise<void>;
  #wake = () => {};

  constructor() {
    const send = (bytes: Uint8Array<ArrayBuffer>, to: PeerAddress) => void this.#socket.send(bytes, to);
    this.#node = new Dht({ platform, families: [4], bootstrap: [], send });
    this.#node.start();
    this.#listening = this.#listen();
  }

  /** Address of the node, for bootstrapping. */
  get contacts(): PeerAddress[] {
    return [{ host: HOST, port: this.#socket.address.port }];
  }

  /** Waits until a torrent has been announced to the node. */
  async announced(meta: Metainfo): Promise<void> {
    const isIt = (message: string) => message.includes("announce_peer") && message.includes(hashOf(meta));
    while (!this.heard.some(isIt)) await new Promise<void>((resolve) => this.#wake = resolve);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#node.stop();
    this.#socket.close();
    await this.#listening;
  }

  async #listen(): Promise<void> {
    const into = new Uint8Array(2048);
    for (;;) {
      const datagram = await this.#socket.receive(into);
      if (!datagram) return;
      const bytes = into.subarray(0, datagram.length);
      this.#node.receive(bytes, datagram.from);
      this.heard.push(new TextDecoder("latin1").decode(bytes));
      this.#wake();
    }
  }
}

function hashOf({ infoHash }: Metainfo): string {
  return new TextDecoder("latin1").decode(infoHash.bytes);
}

/** Returns the torrent without trackers. */
function trackerless(meta: Metainfo): Metainfo {
  return parseMetainfo(torrentFile(meta.info, { trackers: [], webSeeds: [] }));
}

Deno.test("Session finds the peers of an info-hash through the DHT alone, and knows its nodes again", async () => {
  await using lab = new Lab();
  await using router = new Router();
  const { meta, data, source } = await lab.payload(200_000);
  const discovery = { dht: { bootstrap: router.contacts } };
  const seeder = await lab.session({ discovery });
  await seeder.session.add(trackerless(meta), { folder: source, seedOnly: true, trust: true });
  await router.announced(meta);
  const stateFolder = lab.make("state");
  const leecher = await lab.session({ stateFolder, discovery });
  const folder = lab.make("out");
  const torrent = await leecher.session.add(parseMagnet(meta.infoHash.hex), { folder });
  await torrent.finished;
  assertEquals(Deno.readFileSync(`${folder}/payload.bin`), data);
  await leecher.session.stop();

  // The only nodes to start from are those saved by the last session.
  const again = await lab.session({ stateFolder, discovery: { dht: { bootstrap: [] } } });
  const found = await again.session.add(parseMagnet(meta.infoHash.hex), { folder: lab.make("again") });
  await found.finished;
});

Deno.test("a peer tells where its node of the DHT is, and so does a torrent", async () => {
  await using lab = new Lab();
  await using router = new Router();
  const { meta, source } = await lab.payload(100_000);
  const other = await lab.payload(50_000, "other");
  const alone = { dht: { bootstrap: [] } };
  const seeder = await lab.session({ discovery: alone });
  await seeder.session.add(meta, { folder: source, seedOnly: true, trust: true });
  const named = { ...trackerless(other.meta), nodes: router.contacts };
  await seeder.session.add(named, { folder: other.source, seedOnly: true, trust: true });
  await router.announced(other.meta);
  const leecher = await lab.session({ discovery: alone });
  const torrent = await leecher.session.add(parseMagnet(magnetOf(meta)), { folder: lab.make("out") });
  await torrent.finished; // found by the tracker; the seeder's PORT message named its DHT node meanwhile
  const next = await leecher.session.add(parseMagnet(other.meta.infoHash.hex), { folder: lab.make("next") });
  await next.finished;
});

Deno.test("the DHT hears of a public torrent, and never of a private one", async () => {
  await using lab = new Lab();
  await using router = new Router();
  const { meta } = await lab.payload(100_000);
  const other = await lab.payload(50_000, "other");
  const { session } = await lab.session({ discovery: { dht: { bootstrap: router.contacts } } });
  const secret = { ...trackerless(meta), private: true, nodes: router.contacts };
  await session.add(secret, { folder: lab.make("a") });
  await session.add(trackerless(other.meta), { folder: lab.make("b") });
  await router.announced(other.meta);
  await session.stop();
  assertEquals(router.heard.filter((message) => message.includes(hashOf(meta))), []);
});

Deno.test("Session takes another UDP port when somebody has its own, says so, and tells peers that one", async () => {
  await using lab = new Lab();
  const { meta, source } = await lab.payload(100_000);
  const alone = { dht: { bootstrap: [] } };
  const taken = new Set<number>();
  const net: typeof platform.net = {
    ...platform.net,
    listen: (options) => {
      const listener = platform.net.listen(options);
      taken.add(listener.address.port);
      return listener;
    },
    openUdp: (options) => {
      if (!taken.has(options.port)) return platform.net.openUdp(options);
      throw new ShoalError("network", { what: "cannot listen", why: "the port is in use" });
    },
  };
  const seeder = await lab.session({ platform: { ...platform, net }, discovery: alone });
  const told = seeder.events.find((event) => event.event === "warning");
  assert(told?.event === "warning" && told.where === "UDP");
  const [own, other] = [...told.message.matchAll(/\d+/g)].map(([digits]) => Number(digits));
  assertEquals(own, seeder.session.port);
  assert(other !== undefined && !taken.has(other));
  await seeder.session.add(meta, { folder: source, seedOnly: true, trust: true });
  const asked: number[] = [];
  const leeching: typeof platform.net = {
    ...platform.net,
    openUdp: (options) => {
      const socket = platform.net.openUdp(options);
      return Object.assign(Object.create(socket), {
        address: socket.address,
        send: (bytes: Uint8Array<ArrayBuffer>, to: PeerAddress) => {
          asked.push(to.port);
          return socket.send(bytes, to);
        },
        receive: (into: Uint8Array<ArrayBuffer>) => socket.receive(into),
        close: () => socket.close(),
      });
    },
  };
  const leecher = await lab.session({ platform: { ...platform, net: leeching }, discovery: alone });
  const torrent = await leecher.session.add(meta, { folder: lab.make("out") });
  await torrent.finished; // found by the tracker; the seeder's first messages named its DHT node
  assert(asked.includes(other) && !asked.includes(seeder.session.port));
});
