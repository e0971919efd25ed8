/**
 * A local network in memory with one gateway, for tests on a virtual clock: UPnP (SSDP and SOAP), NAT-PMP and PCP.
 *
 * @module
 */

import { parseIp, type PeerAddress } from "../../src/base/address.ts";
import { type Bytes, fromUtf8Lossy, utf8 } from "../../src/base/bytes.ts";
import {
  HttpError,
  type HttpRequest,
  type HttpResponse,
  type UdpOptions,
  type UdpSocket,
} from "../../src/platform/platform.ts";
import type { NatPlatform } from "../../src/nat/find_gateway.ts";
import { VirtualClock } from "./virtual_clock.ts";

/** Protocols of the gateway. */
export interface GatewaySkills {
  readonly upnp?: boolean;
  readonly natPmp?: boolean;
  readonly pcp?: boolean;
  /** Lease times that the gateway grants: `permanent` refuses all others; any when absent. */
  readonly leases?: "any" | "permanent";
}

/** A mapping at the gateway. */
export interface GatewayMapping {
  readonly client: string;
  readonly internalPort: number;
  readonly lifetime: number;
  /** PCP nonce, which a request must repeat to delete the mapping; empty for UPnP and NAT-PMP. */
  readonly nonce: string;
}

const MULTICAST = "239.255.255.250";
/** Milliseconds that a datagram or an answer takes. */
const LATENCY = 5;

/** Addresses on a {@linkcode FakeLan}. */
export interface FakeLanOptions {
  /** Address of the client; 192.168.1.23 when absent. */
  readonly client?: string;
  /** Address of the gateway; 192.168.1.1 when absent. */
  readonly gateway?: string;
}

/** The network, its gateway, and the platform of a client. */
export class FakeLan {
  /** The gateway's address. */
  readonly gateway: string;
  readonly clock = new VirtualClock();
  /** Mappings by protocol and external port, such as `tcp 6881`. */
  readonly mappings = new Map<string, GatewayMapping>();
  /** Everything that was sent: `udp HOST:PORT` and `http METHOD ACTION`. */
  readonly sent: string[] = [];
  /** External address of the gateway. */
  external = "9.9.9.9";
  skills: GatewaySkills;
  /** If `true`, every answer of the gateway is lost. */
  silent = false;
  /** Device description of the gateway; the default description when `null`. */
  description: string | null = null;
  /** Location in the answer to an SSDP search. */
  location: string;
  /** Receives datagrams to hosts other than the gateway, which are lost when `null`. */
  elsewhere: ((bytes: Bytes, from: PeerAddress, to: PeerAddress) => void) | null = null;
  /** Address of the client. */
  client: string;
  readonly #sockets = new Set<FakeUdp>();
  #nextPort = 40_000;

  /** @param skills Protocols of the gateway. */
  constructor(skills: GatewaySkills, { client = "192.168.1.23", gateway = "192.168.1.1" }: FakeLanOptions = {}) {
    this.skills = skills;
    this.client = client;
    this.gateway = gateway;
    this.location = `http://${gateway}:5000/desc.xml`;
  }

  /** Number of open sockets. */
  get openSockets(): number {
    return this.#sockets.size;
  }

  /** Platform of the client. */
  get platform(): NatPlatform {
    const { clock } = this;
    return {
      now: () => clock.now(),
      after: (ms, run) => clock.after(ms, run),
      random: () => clock.random(),
      randomBytes: (length) => clock.randomBytes(length),
      net: {
        openUdp: (options: UdpOptions) => this.#open(options),
        dial: () => Promise.reject(new Error("nobody dials here")),
        listen: () => {
          throw new Error("nobody listens here");
        },
        resolve: () => Promise.reject(new Error("there are no names here")),
      },
      http: {
        stream: () => Promise.reject(new Error("a gateway answers in one go")),
        request: (request) => this.#http(request),
        serve: () => {
          throw new Error("nobody serves here");
        },
      },
    };
  }

  #open({ port }: UdpOptions): UdpSocket {
    const address = { host: this.client, port: port || this.#nextPort++ };
    const socket = new FakeUdp(address, {
      send: (bytes, to) => this.#deliver(bytes.slice(), address, to),
      closed: () => this.#sockets.delete(socket),
    });
    this.#sockets.add(socket);
    return socket;
  }

  #deliver(bytes: Bytes, from: PeerAddress, to: PeerAddress): void {
    this.sent.push(`udp ${to.host}:${to.port}`);
    const answer = (reply: Bytes | null, port: number) => {
      if (reply !== null && !this.silent) {
        this.clock.after(LATENCY, () => this.inject(reply, { host: this.gateway, port }, from.port));
      }
    };
    if (to.host === MULTICAST && to.port !== 1900) {
      this.clock.after(LATENCY, () => {
        for (const socket of this.#sockets) {
          if (socket.joined.has(MULTICAST) && socket.address.port === to.port) socket.take(bytes, from);
        }
      });
    } else if (to.host === MULTICAST && this.skills.upnp) answer(this.#found(bytes), 1900);
    else if (to.host === this.gateway && to.port === 5351) answer(this.#control(bytes, from.host), 5351);
    else this.elsewhere?.(bytes, from, to);
  }

  /** Delivers a datagram to the client. */
  inject(bytes: Bytes, from: PeerAddress, port: number): void {
    for (const socket of this.#sockets) if (socket.address.port === port) socket.take(bytes, from);
  }

  #found(search: Bytes): Bytes {
    const target = /^ST: (.*)$/m.exec(fromUtf8Lossy(search))?.[1]?.trim() ?? "";
    return utf8(`HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: ${target}\r\nLocation: ${this.location}\r\n\r\n`);
  }

  /** Answers NAT-PMP (RFC 6886) and PCP (RFC 6887), written from the RFCs and independently of the code under test. */
  #control(request: Bytes, client: string): Bytes | null {
    const view = new DataView(request.buffer, request.byteOffset, request.length);
    const { natPmp, pcp } = this.skills;
    if (view.getUint8(0) === 2 && pcp) return this.#mapPcp(request, view, client);
    if (!natPmp) return null;
    const operation = view.getUint8(1);
    if (view.getUint8(0) !== 0) return Uint8Array.of(0, 128 + operation, 0, 1, 0, 0, 0, 9);
    if (operation === 0) return Uint8Array.of(0, 128, 0, 0, 0, 0, 0, 9, ...parseIp(this.external)!);
    const protocol = operation === 1 ? "udp" : "tcp";
    const lifetime = view.getUint32(8);
    const port = this.#change(protocol, {
      internalPort: view.getUint16(4),
      externalPort: view.getUint16(6),
      client,
      lifetime,
      nonce: "",
    });
    const reply = new Uint8Array(16);
    const out = new DataView(reply.buffer);
    out.setUint8(1, 128 + operation);
    out.setUint16(8, view.getUint16(4));
    out.setUint16(10, port);
    out.setUint32(12, lifetime);
    return reply;
  }

  #mapPcp(request: Bytes, view: DataView, client: string): Bytes {
    const reply = request.slice();
    const out = new DataView(reply.buffer);
    const claimed = request.subarray(20, 24).join(".");
    const protocol = view.getUint8(36) === 17 ? "udp" : "tcp";
    out.setUint8(1, 0x81);
    out.setUint8(3, claimed === client ? 0 : 12);
    if (claimed !== client) return reply;
    const port = this.#change(protocol, {
      internalPort: view.getUint16(40),
      externalPort: view.getUint16(42),
      client,
      lifetime: view.getUint32(4),
      nonce: request.subarray(24, 36).join(),
    });
    out.setUint16(42, port);
    reply.set(parseIp(this.external)!, 56);
    return reply;
  }

  #change(protocol: string, change: GatewayMapping & { readonly externalPort: number }): number {
    const { internalPort, client, lifetime, nonce } = change;
    const mine = [...this.mappings].find(([key, mapping]) =>
      key.startsWith(protocol) && mapping.client === client && mapping.internalPort === internalPort
    );
    if (lifetime === 0) {
      if (mine !== undefined && mine[1].nonce === nonce) this.mappings.delete(mine[0]);
      return 0;
    }
    let port = mine === undefined ? change.externalPort : Number(mine[0].split(" ")[1]);
    while (mine === undefined && this.mappings.has(`${protocol} ${port}`)) port++;
    this.mappings.set(`${protocol} ${port}`, { client, internalPort, lifetime, nonce });
    return port;
  }

  #http(request: HttpRequest): Promise<HttpResponse> {
    const action = request.headers?.soapaction ?? "";
    this.sent.push(`http ${request.method ?? "GET"} ${action === "" ? request.url : action}`);
    return new Promise((resolve, reject) => {
      request.signal?.addEventListener("abort", () => reject(new HttpError("the request was given up")));
      if (this.silent || new URL(request.url).hostname !== this.gateway) {
        this.clock.after(request.timeout, () => reject(new HttpError("no answer")));
        return;
      }
      this.clock.after(LATENCY, () => {
        const [status, text] = action === "" ? [200, this.#describe()] as const : this.#act(action, request.body ?? "");
        resolve({ status, headers: new Headers(), body: utf8(text), url: request.url });
      });
    });
  }

  #describe(): string {
    return this.description ?? `<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><device>
      <serviceList><service><serviceType>urn:schemas-upnp-org:service:Layer3Forwarding:1</serviceType>
      <controlURL>/other</controlURL></service><service>
      <serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType>
      <SCPDURL>/scpd.xml</SCPDURL><controlURL>/ctl?a=1&amp;b=2</controlURL></service></serviceList></device></root>`;
  }

  #act(action: string, body: string): readonly [number, string] {
    const field = (name: string) => new RegExp(`<${name}>(.*?)</${name}>`).exec(body)?.[1] ?? "";
    const protocol = field("NewProtocol").toLowerCase();
    const key = `${protocol} ${field("NewExternalPort")}`;
    const envelope = (inner: string) => `<s:Envelope><s:Body>${inner}</s:Body></s:Envelope>`;
    const fault = (code: number, text: string) =>
      [
        500,
        envelope(
          `<s:Fault><detail><UPnPError><errorCode>${code}</errorCode><errorDescription>${text}</errorDescription></UPnPError></detail></s:Fault>`,
        ),
      ] as const;
    if (action.endsWith('#GetExternalIPAddress"')) {
      return [200, envelope(`<u:r><NewExternalIPAddress>${this.external}</NewExternalIPAddress></u:r>`)];
    }
    const known = this.mappings.get(key);
    if (action.endsWith('#DeletePortMapping"')) {
      return this.mappings.delete(key) ? [200, envelope("<u:r/>")] : fault(714, "NoSuchEntryInArray");
    }
    const client = field("NewInternalClient");
    if (known !== undefined && known.client !== client) return fault(718, "ConflictInMappingEntry");
    const lifetime = Number(field("NewLeaseDuration"));
    if (lifetime !== 0 && this.skills.leases === "permanent") return fault(725, "OnlyPermanentLeasesSupported");
    this.mappings.set(key, { client, internalPort: Number(field("NewInternalPort")), lifetime, nonce: "" });
    return [200, envelope("<u:r/>")];
  }
}

class FakeUdp implements UdpSocket {
  readonly address: PeerAddress;
  readonly joined = new Set<string>();
  readonly #on: { send(bytes: Bytes, to: PeerAddress): void; closed(): void };
  readonly #queue: { bytes: Bytes; from: PeerAddress }[] = [];
  #wake: (() => void) | null = null;
  #closed = false;

  constructor(address: PeerAddress, on: { send(bytes: Bytes, to: PeerAddress): void; closed(): void }) {
    this.address = address;
    this.#on = on;
  }

  take(bytes: Bytes, from: PeerAddress): void {
    this.#queue.push({ bytes, from });
    this.#wake?.();
  }

  send(bytes: Bytes, to: PeerAddress): Promise<void> {
    if (!this.#closed) this.#on.send(bytes, to);
    return Promise.resolve();
  }

  async receive(into: Bytes): Promise<{ readonly length: number; readonly from: PeerAddress } | null> {
    while (!this.#closed) {
      const next = this.#queue.shift();
      if (next !== undefined) {
        const bytes = next.bytes.subarray(0, into.length);
        into.set(bytes);
        return { length: bytes.length, from: next.from };
      }
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    return null;
  }

  join(group: string): Promise<void> {
    this.joined.add(group);
    return Promise.resolve();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#on.closed();
    this.#wake?.();
  }
}
