/**
 * A router maps ports other than ours. Everything that tells others our address uses the mapped ports, as soon as they
 * are known.
 */

import { assert, assertEquals } from "@std/assert";
import { formatAddress, parseIp, type PeerAddress } from "../../src/base/address.ts";
import { type Bytes, utf8 } from "../../src/base/bytes.ts";
import { type BencodeDict, decodeDict, encode } from "../../src/bencode/mod.ts";
import { Dht } from "../../src/dht/mod.ts";
import { decodeMessage } from "../../src/dht/krpc_messages.ts";
import type { Connection, HttpRequest, HttpResponse, Network, Platform } from "../../src/platform/platform.ts";
import { Session } from "../../src/session/session.ts";
import { metainfoOf, platformOf } from "../plug/memory_lab.ts";
import { MemoryNetwork } from "../plug/memory_network.ts";
import { Torrent } from "../storage/fixture.ts";
import { FakeLan, type GatewaySkills } from "../support/fake_gateway.ts";
import { MemoryFiles } from "../support/memory_files.ts";

const OWN = "192.168.1.23";
/** External address of the router. */
const OUTSIDE = "9.9.9.9";
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HTTP_OUTSIDE = "http://8.8.8.1/announce";
const HTTP_NEAR = "http://192.168.1.7/announce";
const UDP_OUTSIDE = { host: "8.8.8.2", port: 6969 };
const UDP_NEAR = { host: "192.168.1.8", port: 6969 };
const NODES: readonly PeerAddress[] = [{ host: "8.8.8.3", port: 7000 }, { host: "192.168.1.9", port: 7000 }];

/** A seed behind a router, with peers, trackers and DHT nodes both outside and in the local network. */
class Street {
  readonly lan: FakeLan;
  readonly net: MemoryNetwork;
  readonly session: Session;
  readonly #nodes: readonly Dht[];
  readonly #torrent = new Torrent(64 * 1024, [{ path: "a", length: 1_000 }]);
  /** Port announced last to each tracker, by host. */
  readonly trackers = new Map<string, number>();
  /** Our external address as the HTTP trackers report it (BEP 24); not reported when empty. */
  externalIp = "";
  /** Port announced last to each DHT node, by host. */
  readonly announced = new Map<string, { readonly port: number | undefined; readonly impliedPort: boolean }>();

  constructor(skills: GatewaySkills) {
    const lan = this.lan = new FakeLan(skills);
    this.net = new MemoryNetwork(lan.clock, 1_000_000);
    const files = new MemoryFiles();
    for (const file of this.#torrent.layout.files) files.put(`/dl/${file.path.join("/")}`, this.#torrent.data);
    const inner = platformOf(lan.clock, this.net, files);
    const net: Network = {
      dial: (address) => this.net.dial(address),
      listen: (options) => this.net.listen(options),
      openUdp: lan.platform.net.openUdp,
      resolve: (host) => this.net.resolve(host),
      localAddresses: () => [{ host: OWN, prefix: 24, name: "eth0" }],
    };
    const platform: Platform = {
      ...inner,
      net,
      http: { ...inner.http, request: (request) => this.#http(request) },
    };
    this.#nodes = NODES.map((place) => {
      const send = (bytes: Bytes, to: PeerAddress) => this.#toSession(bytes, { from: place, to });
      const dht = new Dht({
        platform: { ...inner, random: () => lan.clock.random() },
        families: [4],
        bootstrap: [],
        send,
      });
      dht.start();
      return dht;
    });
    lan.elsewhere = (bytes, from, to) => this.#datagram(bytes, from, to);
    const discovery = { portMap: true, dht: { bootstrap: NODES } };
    this.session = new Session({ platform, bind: OWN, encryption: "off", discovery });
  }

  async addTorrent(): Promise<void> {
    const trackers = [
      [HTTP_OUTSIDE],
      [HTTP_NEAR],
      ...[UDP_OUTSIDE, UDP_NEAR].map((at) => [`udp://${formatAddress(at)}`]),
    ];
    const meta = { ...metainfoOf(this.#torrent), trackers };
    await this.session.add(meta, { folder: "/dl", seedOnly: true, trust: true });
  }

  /** Returns the external port of one of our ports. */
  mapped(protocol: "tcp" | "udp", port: number): number {
    const found = [...this.lan.mappings].find(([key, { client, internalPort }]) =>
      key.startsWith(protocol) && client === OWN && internalPort === port
    );
    return Number(found![0].split(" ")[1]);
  }

  /** Gives a port at the router to another client. */
  occupy(port: number): void {
    const theirs = { client: "192.168.1.99", internalPort: 1, lifetime: 0, nonce: "" };
    for (const protocol of ["tcp", "udp"]) this.lan.mappings.set(`${protocol} ${port}`, theirs);
  }

  /** Connects to the session from an address. */
  async peer(host: string, yourip?: string): Promise<FakePeer> {
    const connection = await this.net.dial({ host, port: this.session.port });
    return new FakePeer(connection, metainfoOf(this.#torrent).infoHash.bytes, yourip);
  }

  async stop(): Promise<void> {
    const stopped = this.session.stop();
    for (const node of this.#nodes) node.stop();
    await this.lan.clock.play(5 * SECOND);
    await stopped;
    assertEquals([this.lan.clock.pending, this.lan.openSockets], [0, 0]);
  }

  #http(request: HttpRequest): Promise<HttpResponse> {
    const { hostname, searchParams } = new URL(request.url);
    if (hostname === this.lan.gateway) return this.lan.platform.http.request(request);
    this.trackers.set(hostname, Number(searchParams.get("port")));
    const ip = this.externalIp === "" ? {} : { "external ip": parseIp(this.externalIp)! };
    const body = encode({ complete: 1, incomplete: 0, interval: 60, "min interval": 10, peers: "", ...ip });
    return Promise.resolve({ status: 200, headers: new Headers(), body, url: request.url });
  }

  #datagram(bytes: Bytes, from: PeerAddress, to: PeerAddress): void {
    if (to.host === UDP_OUTSIDE.host || to.host === UDP_NEAR.host) {
      const view = new DataView(bytes.buffer, bytes.byteOffset);
      const reply = new Uint8Array(view.getUint32(8) === 0 ? 16 : 20);
      reply.set(bytes.subarray(8, 16)); // action and transaction id
      if (view.getUint32(8) === 1) {
        this.trackers.set(to.host, view.getUint16(96));
        new DataView(reply.buffer).setInt32(8, 60);
      }
      this.lan.clock.after(5, () => this.lan.inject(reply, to, from.port));
    }
    const node = this.#nodes[NODES.findIndex(({ host }) => host === to.host)];
    if (node === undefined) return;
    const message = decodeMessage(bytes);
    if (message.type === "query" && message.method === "announce_peer") {
      const { port, impliedPort = false } = message.arguments;
      this.announced.set(to.host, { port, impliedPort });
    }
    const seen = to.host === NODES[0]!.host ? { host: OUTSIDE, port: from.port } : from;
    this.lan.clock.after(5, () => node.receive(bytes, seen));
  }

  #toSession(bytes: Bytes, { from, to }: { readonly from: PeerAddress; readonly to: PeerAddress }): void {
    this.lan.clock.after(5, () => this.lan.inject(bytes, from, to.port));
  }
}

/** A peer that sends its handshake and reads what the session sends. */
class FakePeer {
  /** TCP port of the last extension handshake (BEP 10), and UDP port of the last PORT message (BEP 5). */
  tcp: number | null = null;
  udp: number | null = null;
  readonly #connection: Connection;

  /** @param yourip Our address as the peer reports it (BEP 10). */
  constructor(connection: Connection, infoHash: Uint8Array, yourip?: string) {
    this.#connection = connection;
    const hello = new Uint8Array(68);
    hello.set(utf8("\x13BitTorrent protocol"));
    hello[25] = 0x10;
    hello[27] = 0x01;
    hello.set(infoHash, 28);
    hello.set(utf8("-TR3000-abcdefghijkl"), 48);
    const words = yourip === undefined ? {} : { yourip: parseIp(yourip)! };
    const extended = Uint8Array.from([20, 0, ...encode({ m: {}, ...words })]);
    void connection.write(Uint8Array.from([...hello, 0, 0, 0, extended.length, ...extended]));
    void this.#listen();
  }

  close(): void {
    this.#connection.close();
  }

  async #listen(): Promise<void> {
    let all = new Uint8Array(0);
    const into = new Uint8Array(4096);
    let isOpen = false;
    for (let got = await this.#connection.read(into); got !== null; got = await this.#connection.read(into)) {
      all = Uint8Array.from([...all, ...into.subarray(0, got)]);
      if (!isOpen && all.length >= 68) {
        all = all.slice(68);
        isOpen = true;
      }
      while (isOpen && all.length >= 4) {
        const length = new DataView(all.buffer).getUint32(0);
        if (all.length < 4 + length) break;
        this.#message(all.subarray(4, 4 + length));
        all = all.slice(4 + length);
      }
    }
  }

  #message(message: Uint8Array): void {
    if (message[0] === 9) this.udp = message[1]! << 8 | message[2]!;
    if (message[0] !== 20 || message[1] !== 0) return;
    const words: BencodeDict = decodeDict(message.slice(2), { maxDepth: 5, maxSize: 10_000 });
    this.tcp = words.getInt("p") ?? null;
  }
}

Deno.test("Session knows its address from what trackers (BEP 24) and peers (BEP 10) say, with the port that holds for it", async () => {
  const street = new Street({});
  const { lan, session } = street;
  street.externalIp = OUTSIDE;
  const changes: string[] = [];
  session.externalAddress.onChange((_, address) => changes.push(address));
  await session.start();
  await street.addTorrent();
  await lan.clock.play(SECOND);
  assertEquals([session.externalAddress.current(4), session.externalAddress.current(6)], [OUTSIDE, null]);
  const says = async (host: string, yourip: string) => {
    const peer = await street.peer(host, yourip);
    await lan.clock.play(SECOND);
    peer.close();
  };
  // One vote of two is no majority, votes of local peers don't count, and three votes of four are a majority.
  await says("8.8.8.9", "9.9.9.8");
  for (const near of ["192.168.1.10", "192.168.1.11", "192.168.1.12"]) await says(near, "9.9.9.7");
  assertEquals(session.externalAddress.current(4), OUTSIDE);
  for (const host of ["8.8.8.10", "8.8.8.11"]) await says(host, "9.9.9.8");
  await says("2a00::9", "2001:4860::8");
  assertEquals(changes, [OUTSIDE, "9.9.9.8", "2001:4860::8"]);
  await street.stop();
});

for (const skills of [{ upnp: true }, { natPmp: true }, { pcp: true }] satisfies GatewaySkills[]) {
  for (const when of ["before", "after"] as const) {
    const name = Object.keys(skills)[0];
    Deno.test(`Session tells everybody the ports that the router maps, a torrent that was added ${when} them (${name})`, async () => {
      const street = new Street(skills);
      const { lan, session } = street;
      // The next port of the memory network.
      street.occupy(10_001);
      await session.start();
      const { port } = session;
      assertEquals(port, 10_001);
      if (when === "after") await lan.clock.play(20 * SECOND);
      await street.addTorrent();
      await lan.clock.play(SECOND);
      const early = await street.peer("8.8.8.9");
      const near = await street.peer("192.168.1.10");
      const six = await street.peer("2a00::9");
      await lan.clock.play(2 * MINUTE);
      const [tcp, udp] = [street.mapped("tcp", port), street.mapped("udp", port)];
      assert(tcp !== port && udp !== port);
      const late = await street.peer("8.8.8.10");
      await lan.clock.play(SECOND);
      assertEquals(Object.fromEntries(street.trackers), {
        "8.8.8.1": tcp,
        "192.168.1.7": port,
        "8.8.8.2": tcp,
        "192.168.1.8": port,
      });
      assertEquals(street.announced.get(NODES[0]!.host), { port: tcp, impliedPort: false });
      assertEquals(street.announced.get(NODES[1]!.host), { port, impliedPort: false });
      for (const peer of [early, late]) assertEquals([peer.tcp, peer.udp], [tcp, udp]);
      for (const peer of [near, six]) assertEquals([peer.tcp, peer.udp], [port, port]);
      assertEquals(session.externalAddress.current(4), OUTSIDE);
      // After a restart of the router another client has the port: another port is mapped and told.
      lan.mappings.clear();
      street.occupy(tcp);
      street.occupy(udp);
      await lan.clock.play(45 * MINUTE);
      const [tcp2, udp2] = [street.mapped("tcp", port), street.mapped("udp", port)];
      assert(![port, tcp].includes(tcp2) && ![port, udp].includes(udp2));
      assertEquals([street.trackers.get("8.8.8.1"), street.trackers.get("8.8.8.2")], [tcp2, tcp2]);
      assertEquals(street.announced.get(NODES[0]!.host), { port: tcp2, impliedPort: false });
      const later = await street.peer("8.8.8.11");
      await lan.clock.play(SECOND);
      assertEquals([later.tcp, later.udp], [tcp2, udp2]);
      for (const peer of [early, near, six, late, later]) peer.close();
      await street.stop();
    });
  }
}
