import { assertEquals } from "@std/assert";
import type { PeerAddress } from "../../src/base/address.ts";
import { Dht } from "../../src/dht/mod.ts";
import { magnetOf, type Metainfo, parseMagnet, parseMetainfo, torrentFile } from "../../src/metainfo/mod.ts";
import { denoPlatform as platform } from "../../src/platform/deno_platform.ts";
import { HOST, Lab } from "../support/session_lab.ts";

/** A node of the DHT that remembers all that is said to it. */
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

  /** Where it is, to start from. */
  get contacts(): PeerAddress[] {
    return [{ host: HOST, port: this.#socket.address.port }];
  }

  /** Waits until a torrent has been announced to it. */
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

/** The torrent without any tracker. */
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

  // nobody to start from but those of the last run
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
  await torrent.finished; // by the tracker; the seeder said meanwhile where its node is
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
