/**
 * The clients of an interop test, each started as its users start it, behind one interface.
 *
 * @module
 */

import { Job, within } from "../support/job.ts";
import type { Host } from "./network.ts";

/** Names of the clients. */
export type ClientName = "aria2" | "libtorrent" | "shoal" | "transmission";

/** The clients that we did not write. */
export const OTHERS = ["aria2", "libtorrent", "transmission"] as const;

/** Where and what a client is to seed or leech. */
export interface ClientOptions {
  /** The machine that it runs on. */
  readonly host: Host;
  /** Path of the .torrent. */
  readonly torrent: string;
  /** Folder that holds the data, or is to hold it. */
  readonly folder: string;
  /** Folder for the client's own files; empty. */
  readonly scratch: string;
  /** `seed`: the data is there. `leech`: it is not; the client goes on seeding when it has it. */
  readonly mode: "seed" | "leech";
  /** Bytes a second that it may upload, all peers together; unlimited when absent. */
  readonly uploadLimit?: number;
  /** Whether a seed hides what it has (BEP 16); libtorrent only. */
  readonly superSeeding?: boolean;
}

/** A client that is running. */
export interface RunningClient {
  /** Which. */
  readonly client: ClientName;
  /** Its process. */
  readonly job: Job;
  /** Its options. */
  readonly options: ClientOptions;
  /**
   * Waits until it has everything.
   *
   * @param seconds How long.
   */
  completed(seconds: number): Promise<void>;
  /** Ends it. */
  stop(): Promise<void>;
}

/** Port that every client listens on; each has an address of its own. */
export const PORT = 6881;

/**
 * Starts a client.
 *
 * @param client Which.
 * @param options What it is to do.
 * @returns The running client; stop it.
 */
export async function startClient(client: ClientName, options: ClientOptions): Promise<RunningClient> {
  return await STARTERS[client](options);
}

const STARTERS: Readonly<Record<ClientName, (options: ClientOptions) => Promise<RunningClient> | RunningClient>> = {
  aria2: startAria2,
  libtorrent: startLibtorrent,
  shoal: startShoal,
  transmission: startTransmission,
};

function startAria2(options: ClientOptions): Promise<RunningClient> {
  return withMarker("aria2", options, (script) => [
    "aria2c",
    "--no-conf",
    "--enable-dht=false",
    "--bt-enable-lpd=false",
    "--enable-peer-exchange=false",
    "--disable-ipv6=true",
    `--listen-port=${PORT}`,
    `--dir=${options.folder}`,
    "--file-allocation=none",
    "--allow-overwrite=true",
    "--summary-interval=0",
    "--show-console-readout=false",
    "--bt-tracker-interval=2",
    "--seed-ratio=0",
    `--max-upload-limit=${options.uploadLimit ?? 0}`,
    ...(options.mode === "seed" ? ["--bt-seed-unverified=true"] : [`--on-bt-download-complete=${script}`]),
    options.torrent,
  ]);
}

function startTransmission(options: ClientOptions): Promise<RunningClient> {
  return withMarker("transmission", options, async (script) => {
    const settings = {
      "rpc-enabled": false,
      "dht-enabled": false,
      "lpd-enabled": false,
      "utp-enabled": false,
      "pex-enabled": false,
      "port-forwarding-enabled": false,
      "upload-slots-per-torrent": 20,
    };
    await Deno.writeTextFile(`${options.scratch}/settings.json`, JSON.stringify(settings));
    const limit = options.uploadLimit === undefined ? ["-U"] : ["-u", String(options.uploadLimit / 1000)];
    const places = ["-g", options.scratch, "-w", options.folder, "-p", String(PORT), "-f", script];
    return ["transmission-cli", ...places, "-M", "-et", "-D", ...limit, options.torrent];
  });
}

/** Seeds or leeches with the C++ library that most desktop clients stand on. */
const LIBTORRENT = `
import libtorrent as lt, sys
mode, torrent, folder, port, limit, hide = sys.argv[1:7]
category = lt.alert.category_t
session = lt.session({
    'listen_interfaces': '0.0.0.0:' + port, 'enable_dht': False, 'enable_lsd': False, 'enable_upnp': False,
    'enable_natpmp': False, 'enable_outgoing_utp': False, 'enable_incoming_utp': False, 'out_enc_policy': 2,
    'in_enc_policy': 1, 'connection_speed': 100, 'unchoke_slots_limit': -1,
    'alert_mask': category.status_notification | category.error_notification | category.storage_notification
        | category.tracker_notification | category.connect_notification})
params = lt.add_torrent_params()
params.ti = lt.torrent_info(torrent)
params.save_path = folder
params.flags &= ~lt.torrent_flags.auto_managed
params.flags &= ~lt.torrent_flags.paused
if mode == 'seed': params.flags |= lt.torrent_flags.seed_mode
if hide == 'hide': params.flags |= lt.torrent_flags.super_seeding
handle = session.add_torrent(params)
# The limit of the torrent: those of the session leave out local addresses.
if int(limit) > 0: handle.set_upload_limit(int(limit))
while True:
    session.wait_for_alert(1000)
    for alert in session.pop_alerts():
        print(type(alert).__name__, alert.message(), flush=True)
        if isinstance(alert, lt.torrent_finished_alert): handle.flush_cache()
        if isinstance(alert, lt.cache_flushed_alert): print('COMPLETE', flush=True)
`;

function startLibtorrent(options: ClientOptions): RunningClient {
  const { mode, torrent, folder, uploadLimit = 0, superSeeding } = options;
  const how = [mode, torrent, folder, `${PORT}`, `${uploadLimit}`, superSeeding ? "hide" : "show"];
  const argv = ["/usr/bin/python3", "-c", LIBTORRENT, ...how];
  const job = new Job(options.host.command(argv), { name: `libtorrent ${mode}`, cwd: options.scratch });
  const completed = async (seconds: number) => {
    await job.line((line) => line === "COMPLETE", { seconds, what: "it was complete" });
  };
  return { client: "libtorrent", job, options, completed, stop: () => job.stop() };
}

function startShoal(options: ClientOptions): RunningClient {
  const { mode, torrent, folder } = options;
  if (options.uploadLimit !== undefined) throw new Error("Shoal has no upload limit yet");
  const verb = mode === "seed" ? ["seed", torrent, folder] : ["download", torrent, "-o", folder, "--seed"];
  const quiet = ["--no-dht", "--no-lsd", "--no-pex", "--no-utp", "--no-port-map"];
  const argv = [...shoalCommand(), ...verb, "-p", `${PORT}`, "--json", "-v", ...quiet];
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
 * The command that starts Shoal: `SHOAL` when it is set, else the project's own task `shoal`.
 *
 * @returns Program and first arguments.
 */
export function shoalCommand(): string[] {
  const given = Deno.env.get("SHOAL");
  if (given !== undefined && given !== "") return given.split(/\s+/);
  const root = new URL("../../", import.meta.url);
  const { tasks } = JSON.parse(Deno.readTextFileSync(new URL("deno.json", root)));
  const words: string[] = tasks.shoal.command.split(" ");
  return [Deno.execPath(), ...words.slice(1, -1), new URL(words.at(-1)!, root).pathname];
}

/** Starts a client that runs a script when it is complete. */
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
  // Watched before the client starts, so that no mark is missed.
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
