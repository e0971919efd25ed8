/**
 * Starts the clients of interop tests, each the way its users start it, behind one interface.
 *
 * @module
 */

import { fromSource } from "../support/from_source.ts";
import { Job, within } from "../support/job.ts";
import { LIBTORRENT21, RQBIT, WEBTORRENT } from "../support/requirements.ts";
import type { Host } from "./network.ts";

/** Names of the clients. */
export type ClientName =
  | "aria2"
  | "libtorrent"
  | "libtorrent21"
  | "qbittorrent"
  | "rqbit"
  | "rtorrent"
  | "shoal"
  | "transmission"
  | "webtorrent";

/** The other clients that most tests run with. */
export const OTHERS = ["aria2", "libtorrent", "transmission"] as const;

/** Options for {@linkcode startClient}. */
export interface ClientOptions {
  /** Host that the client runs on. */
  readonly host: Host;
  /** Path of the .torrent file, or a magnet link. */
  readonly torrent: string;
  /** Folder of the data: read by a seed, written by a leecher. */
  readonly folder: string;
  /** Empty folder for the client's own files. */
  readonly scratch: string;
  /** `seed`: the client has the data. `leech`: the client downloads the data, and seeds it when it is complete. */
  readonly mode: "seed" | "leech";
  /** Upload limit in bytes a second, all peers together. Unlimited by default. */
  readonly uploadLimit?: number;
  /** Makes a seed super-seed (BEP 16). libtorrent only. */
  readonly superSeeding?: boolean;
  /**
   * Makes a seed check its files at the start, so that it knows the hashes of all blocks (BEP 52). libtorrent only: Shoal
   * always does, unless it is tuned.
   */
  readonly checks?: boolean;
  /** Tunes the client for a benchmark: as fast as possible, and with as little output as possible. */
  readonly tuned?: boolean;
  /** Program and first arguments that start Shoal, {@linkcode shoalCommand} by default. */
  readonly command?: readonly string[];
  /** Enables UDP trackers in aria2. The other clients always use UDP trackers. */
  readonly udpTrackers?: boolean;
  /** Shoal's `--cache`. */
  readonly cache?: string;
  /** Encryption mode, about the client's own default when absent. aria2 and Transmission can't turn encryption off. */
  readonly encryption?: "off" | "prefer" | "require";
  /** Seconds without progress after which Shoal gives up (`--timeout`). */
  readonly giveUp?: number;
  /** Address families that the client uses, IPv4 by default. */
  readonly families?: readonly (4 | 6)[];
  /** Ways of finding peers besides trackers, none by default. */
  readonly finds?: readonly Discovery[];
  /** Peers to connect to, as `host:port`. Shoal and libtorrent only. */
  readonly peers?: readonly string[];
  /** DHT node to bootstrap from, as `host:port`, if the client uses the DHT. */
  readonly dhtNode?: string;
}

/** A way of finding peers besides trackers: the DHT (BEP 5), local discovery (BEP 14) or peer exchange (BEP 11). */
export type Discovery = "dht" | "lsd" | "pex";

/** A client that is running. */
export interface RunningClient {
  /** Name of the client. */
  readonly client: ClientName;
  /** Process of the client. */
  readonly job: Job;
  /** Options that the client was started with. */
  readonly options: ClientOptions;
  /**
   * Waits until the client has the whole payload.
   *
   * @param seconds Timeout in seconds.
   */
  completed(seconds: number): Promise<void>;
  /** Stops the client. */
  stop(): Promise<void>;
  /** Whether the client ends when it is complete; `false` when absent. */
  readonly endsWhenComplete?: boolean;
}

/** Port that every client listens on. Each client has its own address. */
export const PORT = 6881;

/**
 * Starts a client.
 *
 * @param client Name of the client.
 * @param options See {@linkcode ClientOptions}.
 * @returns The running client. Stop it.
 */
export async function startClient(client: ClientName, options: ClientOptions): Promise<RunningClient> {
  return await STARTERS[client](options, client);
}

type Starter = (options: ClientOptions, client: ClientName) => Promise<RunningClient> | RunningClient;

const STARTERS: Readonly<Record<ClientName, Starter>> = {
  aria2: startAria2,
  libtorrent: startLibtorrent,
  libtorrent21: startLibtorrent,
  qbittorrent: startQbittorrent,
  rqbit: startRqbit,
  rtorrent: startRtorrent,
  shoal: startShoal,
  transmission: startTransmission,
  webtorrent: startWebtorrent,
};

function startAria2(options: ClientOptions): Promise<RunningClient> {
  return withMarker("aria2", options, (script) => [
    "aria2c",
    "--no-conf",
    // aria2 uses the socket of its DHT for UDP trackers.
    `--enable-dht=${(options.udpTrackers ?? false) || finds(options, "dht")}`,
    `--dht-file-path=${options.scratch}/dht.dat`,
    ...(options.dhtNode === undefined ? [] : [`--dht-entry-point=${options.dhtNode}`]),
    `--dht-listen-port=${PORT}`,
    `--bt-enable-lpd=${finds(options, "lsd")}`,
    `--enable-peer-exchange=${finds(options, "pex")}`,
    `--disable-ipv6=${!uses(options, 6)}`,
    `--listen-port=${PORT}`,
    `--dir=${options.folder}`,
    "--file-allocation=none",
    "--allow-overwrite=true",
    "--summary-interval=0",
    "--show-console-readout=false",
    "--bt-tracker-interval=2",
    "--seed-ratio=0",
    `--max-upload-limit=${options.uploadLimit ?? 0}`,
    ...(options.encryption === "require" ? ["--bt-require-crypto=true", "--bt-min-crypto-level=arc4"] : []),
    ...(options.mode === "seed" ? ["--bt-seed-unverified=true"] : [`--on-bt-download-complete=${script}`]),
    options.torrent,
  ]);
}

function startTransmission(options: ClientOptions): Promise<RunningClient> {
  return withMarker("transmission", options, async (script) => {
    const settings = {
      "rpc-enabled": false,
      "dht-enabled": finds(options, "dht"),
      "lpd-enabled": finds(options, "lsd"),
      "utp-enabled": false,
      "pex-enabled": finds(options, "pex"),
      "port-forwarding-enabled": false,
      "upload-slots-per-torrent": 20,
    };
    await Deno.writeTextFile(`${options.scratch}/settings.json`, JSON.stringify(settings));
    if (options.dhtNode !== undefined) {
      await Deno.writeTextFile(`${options.scratch}/dht.bootstrap`, `${options.dhtNode.replace(":", " ")}\n`);
    }
    const limit = options.uploadLimit === undefined ? ["-U"] : ["-u", String(options.uploadLimit / 1000)];
    const encryption = { off: "-et", prefer: "-ep", require: "-er" }[options.encryption ?? "off"];
    const places = ["-g", options.scratch, "-w", options.folder, "-p", String(PORT), "-f", script];
    return ["transmission-cli", ...places, "-M", encryption, "-D", ...limit, options.torrent];
  });
}

/** Encryption settings of rtorrent. */
const RTORRENT_ENCRYPTION = {
  off: "none",
  prefer: "allow_incoming,try_outgoing,enable_retry",
  require: "allow_incoming,require,require_RC4",
} as const;

function startRtorrent(options: ClientOptions): Promise<RunningClient> {
  return withMarker("rtorrent", options, async (script) => {
    const settings = [
      "system.daemon.set = true",
      `directory.default.set = "${options.folder}"`,
      `session.path.set = "${options.scratch}"`,
      `network.port_range.set = ${PORT}-${PORT}`,
      "network.send_buffer.size.set = 4M",
      `throttle.global_up.max_rate.set_kb = ${Math.round((options.uploadLimit ?? 0) / 1024)}`,
      "throttle.max_uploads.set = 50",
      ...(options.encryption === undefined
        ? []
        : [`protocol.encryption.set = ${RTORRENT_ENCRYPTION[options.encryption]}`]),
      "dht.mode.set = off",
      "protocol.pex.set = no",
      // rtorrent hashes every piece as it arrives, and would hash it again on completion.
      "pieces.hash.on_completion.set = no",
      `method.set_key = event.download.finished,complete,"execute2={${script}}"`,
    ];
    const file = `${options.scratch}/settings.rc`;
    await Deno.writeTextFile(file, `${settings.join("\n")}\n`);
    return ["rtorrent", "-n", "-o", `import=${file}`, options.torrent];
  });
}

/** Python program that seeds or leeches with libtorrent, the C++ library that most desktop clients use. */
const LIBTORRENT = `
import json, libtorrent as lt, signal, sys
mode, torrent, folder, limit, hide, tuned, pex, settings = sys.argv[1:9]
# A clean exit announces "stopped" to the tracker.
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
session = lt.session(json.loads(settings))
if torrent.startswith('magnet:'):
    params = lt.parse_magnet_uri(torrent)
    # In place of seed_mode, which needs the metadata: more pieces than any torrent here has.
    if mode == 'seed': params.have_pieces = [True] * 100000
else:
    params = lt.add_torrent_params()
    params.ti = lt.torrent_info(torrent)
params.save_path = folder
params.flags &= ~lt.torrent_flags.auto_managed
params.flags &= ~lt.torrent_flags.paused
if mode == 'seed' and not torrent.startswith('magnet:'): params.flags |= lt.torrent_flags.seed_mode
if hide == 'hide': params.flags |= lt.torrent_flags.super_seeding
if pex == 'no pex': params.flags |= lt.torrent_flags.disable_pex
handle = session.add_torrent(params)
for peer in sys.argv[9:]:
    host, port = peer.rsplit(':', 1)
    handle.connect_peer((host.strip('[]'), int(port)))
# The limit is set on the torrent, since limits of the session don't apply to local addresses.
if int(limit) > 0: handle.set_upload_limit(int(limit))
while True:
    session.wait_for_alert(500)
    for alert in session.pop_alerts():
        if tuned == 'tuned':
            # libtorrent has hashed and written every piece before it posts this alert.
            if isinstance(alert, lt.torrent_finished_alert): print('COMPLETE', flush=True)
            continue
        print(type(alert).__name__, alert.message(), flush=True)
        if isinstance(alert, lt.torrent_finished_alert): handle.flush_cache()
        if isinstance(alert, lt.cache_flushed_alert): print('COMPLETE', flush=True)
`;

/** Alert categories of libtorrent. */
const ALERTS = { error: 1, storage: 8, tracker: 16, connect: 32, status: 64 } as const;

/** Encryption policies of libtorrent: 0 forced, 1 enabled, 2 disabled. Levels: 2 RC4 only, 3 RC4 or plain payload. */
const LIBTORRENT_ENCRYPTION = {
  absent: { out_enc_policy: 2, in_enc_policy: 1 },
  off: { out_enc_policy: 2, in_enc_policy: 2 },
  prefer: { out_enc_policy: 1, in_enc_policy: 1, allowed_enc_level: 3, min_reconnect_time: 1 },
  require: { out_enc_policy: 0, in_enc_policy: 0, allowed_enc_level: 2 },
} as const;

function libtorrentSettings(options: ClientOptions): Readonly<Record<string, string | number | boolean>> {
  const { error, storage, tracker, connect, status } = ALERTS;
  const { tuned = false } = options;
  return {
    listen_interfaces: (options.families ?? [4]).map((f) => `${f === 4 ? "0.0.0.0" : "[::]"}:${PORT}`).join(","),
    enable_dht: finds(options, "dht"),
    // libtorrent's default bootstrap nodes can't be reached from a private network.
    dht_bootstrap_nodes: options.dhtNode ?? "",
    dht_announce_interval: 20,
    // By default libtorrent queries only one node of each /24, and all hosts of a private network are in one /24.
    dht_restrict_routing_ips: false,
    dht_restrict_search_ips: false,
    enable_lsd: finds(options, "lsd"),
    enable_upnp: false,
    enable_natpmp: false,
    enable_outgoing_utp: false,
    enable_incoming_utp: false,
    ...LIBTORRENT_ENCRYPTION[options.encryption ?? "absent"],
    connection_speed: tuned ? 500 : 100,
    unchoke_slots_limit: -1,
    alert_mask: tuned ? status : error | storage | tracker | connect | status,
    // The values that libtorrent's documentation advises for fast connections.
    ...(tuned && { max_out_request_queue: 1500, send_buffer_watermark: 3 << 20, torrent_connect_boost: 100 }),
  };
}

function startLibtorrent(options: ClientOptions, client: ClientName): RunningClient {
  const { mode, torrent, folder, uploadLimit = 0, superSeeding, tuned = false } = options;
  const settings = JSON.stringify(libtorrentSettings(options));
  const pex = finds(options, "pex") ? "pex" : "no pex";
  const manner = [superSeeding ? "hide" : "show", tuned ? "tuned" : "talkative", pex, settings];
  const how = [`${uploadLimit}`, ...manner, ...options.peers ?? []];
  // A leecher that finds all files is a seed that has checked them.
  const role = options.checks ? "leech" : mode;
  const argv = ["/usr/bin/python3", "-c", LIBTORRENT, role, torrent, folder, ...how];
  const job = new Job(options.host.command(argv), {
    name: `${client} ${mode}`,
    cwd: options.scratch,
    ...(client === "libtorrent21" && { env: { PYTHONPATH: LIBTORRENT21 } }),
  });
  const completed = async (seconds: number) => {
    await job.line((line) => line === "COMPLETE", { seconds, what: "it was complete" });
  };
  return { client, job, options, completed, stop: () => job.stop() };
}

function startShoal(options: ClientOptions): RunningClient {
  const { mode, torrent, folder, tuned } = options;
  const verb = mode === "seed" ? ["seed", torrent, folder] : ["download", torrent, "-o", folder, "--seed"];
  const silent = (["dht", "lsd", "pex"] as const).flatMap((way) => finds(options, way) ? [] : [`--no-${way}`]);
  const node = options.dhtNode === undefined ? [] : ["--dht-bootstrap", options.dhtNode];
  const quiet = [...silent, ...node, "--no-utp", "--no-port-map"];
  const peers = (options.peers ?? []).flatMap((peer) => ["--peer", peer]);
  // The other clients are also started without a check of the data when they seed.
  const manner = tuned ? (mode === "seed" ? ["--trust"] : []) : ["-v"];
  const settings = [
    ...(options.cache === undefined ? [] : ["--cache", options.cache]),
    ...(options.uploadLimit === undefined ? [] : ["--max-up", `${options.uploadLimit}`]),
    ...(options.encryption === undefined ? [] : ["--encryption", options.encryption]),
    ...(options.giveUp === undefined ? [] : ["--timeout", `${options.giveUp}`]),
  ];
  const command = options.command ?? shoalCommand();
  const argv = [...command, ...verb, "-p", `${PORT}`, "--json", ...manner, ...settings, ...quiet, ...peers];
  const job = new Job(options.host.command(argv), {
    name: `shoal ${mode}`,
    cwd: options.scratch,
    env: { XDG_STATE_HOME: options.scratch, XDG_CONFIG_HOME: options.scratch },
  });
  const completed = async (seconds: number) => {
    await job.line((line) => line.includes('"event":"completed"'), { seconds, what: "it was complete" });
  };
  return { client: "shoal", job, options, completed, stop: () => job.stop() };
}

/**
 * Returns the command that starts Shoal: the environment variable `SHOAL` if it is set, else the task `shoal`.
 *
 * @returns Program and first arguments.
 */
export function shoalCommand(): string[] {
  const given = Deno.env.get("SHOAL");
  return given !== undefined && given !== "" ? given.split(/\s+/) : fromSource();
}

/** Node program that runs WebTorrent. In Node, WebTorrent reaches peers over TCP, and trackers over HTTP and UDP. */
const WEBTORRENT_SCRIPT = `
import process from "node:process";
const [library, port, torrent, path, encryption] = process.argv.slice(1);
const { default: WebTorrent } = await import(library);
// With encryption on, WebTorrent dials peers with encrypted handshakes only.
const off = { dht: false, lsd: false, utp: false, utPex: false, natUpnp: false, natPmp: false };
const client = new WebTorrent({ ...off, secure: encryption === "on", torrentPort: Number(port) });
const fail = (error) => { console.error(error); process.exit(1); };
client.on("error", fail);
client.add(torrent, { path }, (one) => {
  one.on("error", fail);
  one.on("warning", (warning) => console.log("WARNING", warning.message ?? warning));
  console.log("METADATA", one.infoHash, one.length, one.pieceLength, one.files.length);
  const done = () => console.log("COMPLETE");
  if (one.done) done();
  else one.on("done", done);
});
process.on("SIGTERM", () => client.destroy(() => process.exit(0)));
`;

/** Its seeds don't check the data. It uses the libtorrent 2.0 of the system, and lists of peers of its own. */
function startQbittorrent(options: ClientOptions): Promise<RunningClient> {
  return withMarker("qbittorrent", options, async (script) => {
    const settings = {
      LegalNotice: { Accepted: true },
      Preferences: { "WebUI\\Enabled": false },
      AutoRun: { enabled: options.mode === "leech", program: script },
      BitTorrent: {
        "Session\\Port": PORT,
        "Session\\BTProtocol": "TCP",
        "Session\\DHTEnabled": finds(options, "dht"),
        "Session\\LSDEnabled": finds(options, "lsd"),
        "Session\\PeXEnabled": finds(options, "pex"),
        "Session\\Encryption": { off: 2, prefer: 0, require: 1 }[options.encryption ?? "prefer"],
        "Session\\GlobalUPSpeedLimit": Math.round((options.uploadLimit ?? 0) / 1024),
        "Session\\IgnoreLimitsOnLAN": false,
      },
      Network: { PortForwardingEnabled: false },
    };
    const text = Object.entries(settings).map(([section, values]) =>
      [`[${section}]`, ...Object.entries(values).map(([key, value]) => `${key}=${value}`)].join("\n")
    );
    const place = `${options.scratch}/qBittorrent/config`;
    await Deno.mkdir(place, { recursive: true });
    await Deno.writeTextFile(`${place}/qBittorrent.conf`, `${text.join("\n\n")}\n`);
    const manner = options.mode === "seed" ? ["--skip-hash-check"] : [];
    const how = [`--profile=${options.scratch}`, `--save-path=${options.folder}`, "--skip-dialog=true", ...manner];
    return ["qbittorrent-nox", ...how, "--add-paused=false", options.torrent];
  });
}

/** rqbit tells that it is complete only by ending. */
function startRqbit(options: ClientOptions): RunningClient {
  const { mode, torrent, folder, host, scratch } = options;
  if (options.uploadLimit !== undefined) throw new Error("rqbit is given no upload limit here");
  const endsWhenComplete = mode === "leech";
  const network = ["--disable-dht", "--listen-port", `${PORT}`, "--http-api-listen-addr", `127.0.0.1:${PORT + 1}`];
  const manner = endsWhenComplete ? ["--exit-on-finish"] : [];
  const argv = [RQBIT, ...network, "download", "--overwrite", ...manner, "--output-folder", folder, torrent];
  const job = new Job(host.command(argv), { name: `rqbit ${mode}`, cwd: scratch, env: { HOME: scratch } });
  const completed = async (seconds: number) => {
    const { code } = await job.exit(seconds);
    if (code !== 0) throw new Error(`${job.name} ended with code ${code}`);
  };
  return { client: "rqbit", job, options, completed, stop: () => job.stop(), endsWhenComplete };
}

function startWebtorrent(options: ClientOptions): RunningClient {
  const { mode, torrent, folder, host, scratch } = options;
  if (options.uploadLimit !== undefined) throw new Error("webtorrent is given no upload limit here");
  const library = `${WEBTORRENT}/node_modules/webtorrent/index.js`;
  const secure = (options.encryption ?? "off") === "off" ? "off" : "on";
  const argv = ["node", "--input-type=module", "-e", WEBTORRENT_SCRIPT, library, `${PORT}`, torrent, folder, secure];
  const job = new Job(host.command(argv), { name: `webtorrent ${mode}`, cwd: scratch });
  const completed = async (seconds: number) => {
    await job.line((line) => line === "COMPLETE", { seconds, what: "it was complete" });
  };
  return { client: "webtorrent", job, options, completed, stop: () => job.stop() };
}

function finds(options: ClientOptions, way: Discovery): boolean {
  return options.finds?.includes(way) ?? false;
}

function uses(options: ClientOptions, family: 4 | 6): boolean {
  return (options.families ?? [4]).includes(family);
}

/** Starts a client that runs a script when its download completes. The script creates a file that is watched for. */
async function withMarker(
  client: ClientName,
  options: ClientOptions,
  argv: (script: string) => string[] | Promise<string[]>,
): Promise<RunningClient> {
  const marked = `${options.scratch}/marked`;
  await Deno.mkdir(marked);
  const script = `${options.scratch}/complete.sh`;
  await Deno.writeTextFile(script, `#!/bin/sh\n: > '${marked}/complete'\n`);
  await Deno.chmod(script, 0o755);
  // The folder is watched before the client starts, so that the event isn't missed.
  const watcher = Deno.watchFs(marked);
  const mark = watcher[Symbol.asyncIterator]().next();
  const job = new Job(options.host.command(await argv(script)), {
    name: `${client} ${options.mode}`,
    cwd: options.scratch,
  });
  const completed = async (seconds: number) => {
    const ended = job.ended.then(({ code }) => {
      throw new Error(`${job.name} ended with code ${code} before it was complete`);
    });
    await within(Promise.race([mark, ended]), { seconds, what: `${job.name} to be complete` });
  };
  const stop = async () => {
    await job.stop();
    watcher.close();
    await mark;
  };
  return { client, job, options, completed, stop };
}
