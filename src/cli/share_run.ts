/**
 * Runs `shoal share`: a tracker, a session that seeds, and the messages with the link.
 *
 * @module
 */

import { formatAddress, type HostPort, parseHostPort } from "../base/address.ts";
import { ShoalError } from "../base/errors.ts";
import { isPublic } from "../base/networks.ts";
import { infoHashesOf, type Metainfo } from "../metainfo/mod.ts";
import type { CreatedTorrent } from "../session/create_torrent.ts";
import type { PortMapEvent, SessionEvent } from "../session/session_events.ts";
import { TrackerServer } from "../tracker_server/server.ts";
import { formatPlural, formatSize } from "../ui/format.ts";
import { printable } from "../ui/printable.ts";
import type { View } from "../ui/view.ts";
import type { Context } from "./context.ts";
import { checkFree, type CreationOptions, makeTorrent, STDOUT } from "./creation.ts";
import type { SessionLike } from "./engine.ts";
import { type NetworkOptions, resolvePeers, sessionOptions } from "./network_options.ts";
import { badValue } from "./option_values.ts";
import {
  literal,
  peerAddresses,
  reachableHosts,
  shareCommand,
  shareLink,
  type SharePlace,
  trackerUrls,
} from "./share_link.ts";
import { untilChanged } from "./share_watch.ts";
import { startOnPort, startTracker } from "./start_tracker.ts";
import { type LoadedTorrent, runTransfer } from "./transfer.ts";
import { jsonText } from "../ui/json_text.ts";

/**
 * Announce interval of the tracker, in seconds. Short, since the swarm is small: a peer behind NAT is found by the
 * other peers at its next announce.
 */
const ANNOUNCE_SECONDS = 60;
const PEER_ID_LENGTH = 20;

/** Values of the options, as commander collects them. */
export interface ShareOptions extends NetworkOptions, CreationOptions {
  readonly host?: readonly string[];
  readonly trackerPort?: number;
}

/** Parameters of {@linkcode runShare}. */
export interface RunShareOptions {
  /** Options from the command line. */
  readonly options: ShareOptions;
  /** The environment. */
  readonly context: Context;
}

/**
 * Shares a file or a folder until the program is interrupted.
 *
 * @param path The file or folder.
 * @param parts See {@linkcode RunShareOptions}.
 * @returns The exit code.
 * @throws {unknown} The error that kept the share from starting.
 */
export function runShare(path: string, { options, context }: RunShareOptions): Promise<number> {
  return new Share(path, options, context).run();
}

/** A running share. */
class Share {
  readonly #path: string;
  readonly #options: ShareOptions;
  readonly #context: Context;
  #tracker: TrackerServer | null = null;
  #made: CreatedTorrent | null = null;
  #stopMapping: () => Promise<void> = () => Promise.resolve();
  #stopWatching = () => {};
  /** Shows a warning of the tracker. Writes to standard error until the view is open. */
  #warn: (message: string) => void = (message) =>
    void this.#context.terminal.stderr.write(`shoal: warning: ${message}\n`);
  readonly #broken = Promise.withResolvers<ShoalError>();
  /** Port mappings of the router: public address of the seed, public port of the tracker. */
  readonly #outside: { peer: HostPort | null; trackerPort: number | null } = { peer: null, trackerPort: null };
  #outsideTold = "";

  constructor(path: string, options: ShareOptions, context: Context) {
    this.#path = path;
    this.#options = options;
    this.#context = context;
  }

  async run(): Promise<number> {
    try {
      return await runTransfer({
        load: () => this.#load(),
        session: sessionOptions(this.#options, this.#context),
        started: (session, view) => this.#started(session, view),
        failure: this.#broken.promise,
        show: this.#options,
        seed: {},
        idle: null,
      }, this.#context);
    } finally {
      this.#stopWatching();
      await Promise.all([this.#stopMapping(), this.#tracker?.close()]);
    }
  }

  /** Prepares the torrent. Whatever can fail early is done before hashing, which may take hours. */
  async #load(): Promise<LoadedTorrent[]> {
    const { output, json, quiet, peer } = this.#options;
    if (output === STDOUT) {
      throw badValue("--output", { value: output, why: "standard output is for the link; name a file" });
    }
    if (output !== undefined) await checkFree(output, this.#context);
    const peers = await resolvePeers(peer ?? [], this.#context);
    this.#tracker = this.#startTracker();
    const made = await makeTorrent(this.#path, {
      // Our tracker comes first in the torrent file.
      options: { ...this.#options, tracker: [trackerUrls(this.#places(0)), ...(this.#options.tracker ?? [])] },
      silent: (json || quiet) ?? false,
      quiet: quiet ?? false,
      context: this.#context,
    });
    this.#made = made;
    if (output !== undefined) await this.#context.platform.files.writeFile(output, made.bytes);
    const { folder, meta } = onDisk(made, this.#announceTo());
    return [{ source: meta, options: { folder, peers, seedOnly: true, trust: true } }];
  }

  /**
   * Returns the trackers that our session announces to. Trackers of `--tracker` must learn about our seed. Our own
   * tracker knows the seed already, but its answer names peers for us to dial, which some clients need to be reached.
   * With `--host`, it is unknown whether this machine can reach the tracker under the given names, so our tracker is
   * left out.
   */
  #announceTo(): readonly (readonly string[])[] {
    const { tracker, host } = this.#options;
    if (tracker !== undefined) return tracker;
    return host === undefined ? [trackerUrls(this.#places(0)).slice(0, 1)] : [];
  }

  #startTracker(): TrackerServer {
    const { platform } = this.#context;
    const { bind, trackerPort } = this.#options;
    const warn = (message: string) => this.#warn(message);
    const common = { interval: ANNOUNCE_SECONDS, udp: platform, allow: [], warn };
    return startOnPort(
      (port) => startTracker((host) => TrackerServer.start(platform, { ...common, host, port }), bind),
      { port: trackerPort, flag: "--tracker-port" },
    );
  }

  async #started(session: SessionLike, view: View): Promise<void> {
    const { meta, files } = this.#made!;
    const { platform } = this.#context;
    this.#warn = (message) => view.event({ event: "warning", infohash: null, message, where: "tracker" });
    const watch = untilChanged(files, platform);
    this.#stopWatching = watch.cancel;
    void watch.done.then(this.#broken.resolve);
    const places = this.#places(session.port);
    this.#tracker!.name(infoHashesOf(meta), {
      peerId: platform.randomBytes(PEER_ID_LENGTH),
      addresses: literal(peerAddresses(places)),
    });
    session.subscribe((event) => this.#heard(event, { session, view }));
    await this.#greet(places);
    if (this.#options.portMap) await this.#mapTracker({ session, view });
  }

  /** Returns the addresses of the share, as far as they are known locally. */
  #places(peerPort: number): SharePlace[] {
    const { host, bind } = this.#options;
    const { net } = this.#context.platform;
    const isOne = bind !== undefined && bind !== "0.0.0.0" && bind !== "::";
    const hosts = host ?? (isOne ? [bind] : reachableHosts(net.localAddresses?.() ?? []));
    const trackerPort = this.#tracker!.address.port;
    return hosts
      .filter((one) => host !== undefined || bind !== "0.0.0.0" || !one.includes(":"))
      .map((host) => ({ host, trackerPort, peerPort }));
  }

  /** Asks the router to map the tracker's port, as the session does for its own port. */
  async #mapTracker(parts: { readonly session: SessionLike; readonly view: View }): Promise<void> {
    const [{ Reachability }, { ExternalAddress }] = await Promise.all([
      import("../session/reachability.ts"),
      import("../session/external_address.ts"),
    ]);
    const mapping = new Reachability(new ExternalAddress(), {
      platform: this.#context.platform,
      listen: this.#tracker!.address,
      portMap: true,
      emit: (event) => {
        const outside = outsideOf(event);
        // The TCP mapping is enough: it serves HTTP, and the HTTP URL comes first in the link.
        if (outside === null || event.protocol !== "tcp") return;
        this.#outside.trackerPort = outside.port;
        this.#outsideChanged(parts);
      },
    });
    this.#stopMapping = () => mapping.stop();
  }

  #heard(event: SessionEvent, parts: { readonly session: SessionLike; readonly view: View }): void {
    if (event.event !== "port_map" || event.protocol !== "tcp") return;
    const outside = outsideOf(event);
    if (outside === null) return;
    this.#outside.peer = outside;
    this.#outsideChanged(parts);
  }

  /** Tells the user the link for the internet once both port mappings are known, and again when the link changes. */
  #outsideChanged({ session, view }: { readonly session: SessionLike; readonly view: View }): void {
    const { peer, trackerPort } = this.#outside;
    if (peer === null || trackerPort === null) return;
    const outside: SharePlace = { host: peer.host, peerPort: peer.port, trackerPort };
    const link = this.#link([outside, ...this.#places(session.port)]);
    if (link === this.#outsideTold) return;
    this.#outsideTold = link;
    this.#tracker!.name(infoHashesOf(this.#made!.meta), {
      peerId: this.#context.platform.randomBytes(PEER_ID_LENGTH),
      addresses: literal([peer]),
    });
    if (this.#options.json) return void this.#printJson([outside, ...this.#places(session.port)], true);
    view.note(`the router lets others through; this link works from the internet, too: ${link}`);
  }

  async #greet(places: readonly SharePlace[]): Promise<void> {
    const { stdout } = this.#context.terminal;
    const link = this.#link(places);
    if (this.#options.json) return await this.#printJson(places, false);
    if (this.#options.quiet) return await stdout.write(`${link}\n`);
    const { meta } = this.#made!;
    const count = formatPlural(this.#made!.files.length, "file");
    await stdout.write(
      `Sharing ${printable(meta.name)} (${formatSize(meta.size)} in ${count}) until Ctrl-C.\n\n` +
        `Any BitTorrent client downloads it by this link:\n\n  ${link}\n\n` +
        `With Shoal:\n\n  ${shareCommand(link)}\n\n`,
    );
    const warning = this.#onlyHere(places);
    if (warning !== null) await stdout.write(`${warning}\n\n`);
  }

  /** Returns why nobody on another machine can use the link; `null` if somebody can. */
  #onlyHere(places: readonly SharePlace[]): string | null {
    const isHere = (host: string) => host.startsWith("127.") || host === "::1" || host === "localhost";
    if (!places.every(({ host }) => isHere(host))) return null;
    const { host, bind } = this.#options;
    if (host !== undefined) {
      return `The link works on this machine only: --host ${host.join(" --host ")} leads no other machine here.`;
    }
    if (bind !== undefined && isHere(bind)) {
      return `The link works on this machine only: --bind ${bind} keeps all others out.`;
    }
    return "No address was found by which others reach this machine; --host names one.";
  }

  #link(places: readonly SharePlace[]): string {
    const trackers = [...trackerUrls(places), ...(this.#options.tracker ?? []).flat()];
    return shareLink(this.#made!.meta, { trackers, peers: peerAddresses(places) });
  }

  async #printJson(places: readonly SharePlace[], outside: boolean): Promise<void> {
    const { terminal, platform } = this.#context;
    const { meta } = this.#made!;
    const magnet = this.#link(places);
    const line = {
      event: "share",
      time: new Date(platform.wallClock()).toISOString(),
      infohash: meta.infoHash.hex,
      infohash_v2: meta.infoHashV2?.hex ?? null,
      name: meta.name,
      size: meta.size,
      files: this.#made!.files.length,
      magnet,
      trackers: [...trackerUrls(places), ...(this.#options.tracker ?? []).flat()],
      peers: peerAddresses(places).map(formatAddress),
      command: shareCommand(magnet),
      outside,
    };
    await terminal.stdout.write(`${jsonText(line)}\n`);
  }
}

/** Returns the public `host:port` of a port mapping; `null` if it is not reachable from the internet. */
function outsideOf({ status, external }: PortMapEvent): HostPort | null {
  const address = status === "ok" && external !== null ? parseHostPort(external) : null;
  return address !== null && isPublic(address.host) ? address : null;
}

/**
 * Returns the torrent with the paths of the files on this disk, which may differ from the paths in the torrent because
 * of `--name` and symbolic links. `meta.info`, which peers get, is unchanged.
 */
function onDisk(
  { meta, files }: CreatedTorrent,
  trackers: readonly (readonly string[])[],
): { readonly folder: string; readonly meta: Metainfo } {
  const paths = files.map(({ source }) => {
    return source.startsWith("/") ? source.slice(1).split("/") : source.replaceAll("\\", "/").split("/");
  });
  const drives = new Set(files.map(({ source }, i) => source.startsWith("/") ? "/" : `${paths[i]!.shift()}/`));
  const [folder = "/", other] = drives;
  if (other !== undefined) {
    const why = "links lead to files on other drives";
    throw new ShoalError("usage", { what: "cannot share", where: meta.name, why });
  }
  const rest = paths.values();
  const onDisk = meta.files.map((file) => file.pad ? file : { ...file, path: rest.next().value!, own: undefined });
  return { folder, meta: { ...meta, trackers, files: onDisk } };
}
