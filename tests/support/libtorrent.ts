/**
 * libtorrent on the loopback interface, as a seeder or a leecher, for tests that need no network of their own.
 *
 * @module
 */

import type { Seeder, SeederOptions } from "./aria2.ts";
import { Job } from "./job.ts";
import type { Payload } from "./payload.ts";

/**
 * Python program that prints its status whenever the status changes, and reads upload limits, in bytes per second, on
 * standard input.
 */
const PROGRAM = `
import json, libtorrent as lt, select, sys
mode, torrent, folder, limit, peers = sys.argv[1:]
session = lt.session({'listen_interfaces': '127.0.0.1:0', 'enable_dht': False, 'enable_lsd': False,
  'enable_upnp': False, 'enable_natpmp': False, 'enable_outgoing_utp': False, 'enable_incoming_utp': False,
  'out_enc_policy': 2, 'in_enc_policy': 2, 'allow_multiple_connections_per_ip': True, 'unchoke_slots_limit': -1,
  'min_reconnect_time': 1, 'peer_connect_timeout': 3, 'alert_mask': 0})
params = lt.add_torrent_params()
params.ti = lt.torrent_info(torrent)
params.save_path = folder
params.flags = lt.torrent_flags.seed_mode if mode == 'seed' else lt.torrent_flags.disable_pex
handle = session.add_torrent(params)
handle.set_upload_limit(int(limit))
def dial():
    for port in json.loads(peers): handle.connect_peer(('127.0.0.1', port))
dial()
last, turn = None, 0
while True:
    status = handle.status()
    # Whoever is waiting for it to become a seed has to find everything on disk.
    now = {'port': session.listen_port(), 'uploaded': status.total_payload_upload, 'peers': status.num_peers,
      'progress': status.progress, 'seeds': str(status.state) == 'seeding'}
    if now != last: print(json.dumps(now), flush=True)
    last, turn = now, turn + 1
    if mode == 'leech' and status.num_peers == 0 and turn % 20 == 0: dial()
    if select.select([sys.stdin], [], [], 0.05)[0]:
        line = sys.stdin.readline()
        if line == '': sys.exit()
        handle.set_upload_limit(int(line))
`;

/** Status of the client. */
export interface LibtorrentStatus {
  readonly port: number;
  /** Payload bytes sent so far. */
  readonly uploaded: number;
  /** Number of connected peers. */
  readonly peers: number;
  /** Downloaded part of the torrent, 0 to 1. */
  readonly progress: number;
  /** `true` if the client has every piece. */
  readonly seeds: boolean;
}

/** Options for {@linkcode Libtorrent.leech}. */
export interface LeechOptions {
  /** Path of the torrent file. */
  readonly torrent: string;
  /** Ports of the seeders on this machine. */
  readonly ports: readonly number[];
}

/** A running libtorrent. */
export class Libtorrent implements Seeder {
  readonly job: Job;
  /** Latest status, or `null` before the first one. */
  status: LibtorrentStatus | null = null;

  private constructor(argv: readonly string[]) {
    this.job = new Job(["/usr/bin/python3", "-c", PROGRAM, ...argv], {
      name: `libtorrent ${argv[0]}`,
      reads: true,
      onLine: (line) => this.status = JSON.parse(line),
    });
  }

  /**
   * Starts a seeder.
   *
   * @param payload Files to seed.
   * @returns The listening client; dispose of it.
   */
  static async seed(payload: Payload, options: SeederOptions): Promise<Libtorrent> {
    const seeder = new Libtorrent(["seed", options.torrent, payload.folder, `${options.uploadLimit ?? 0}`, "[]"]);
    await seeder.until(({ seeds, port }) => seeds && port > 0, "it seeded");
    return seeder;
  }

  /**
   * Starts a leecher, which dials its seeders again when it has lost every connection.
   *
   * @param folder Download folder.
   * @returns The client; dispose of it.
   */
  static leech(folder: string, options: LeechOptions): Libtorrent {
    return new Libtorrent(["leech", options.torrent, folder, "0", JSON.stringify(options.ports)]);
  }

  /** `host:port`. */
  get address(): string {
    return `127.0.0.1:${this.status!.port}`;
  }

  /** Payload bytes sent so far. */
  uploaded(): Promise<number> {
    return Promise.resolve(this.status!.uploaded);
  }

  /** Number of connected peers. */
  connections(): Promise<number> {
    return Promise.resolve(this.status!.peers);
  }

  /**
   * Limits the upload rate.
   *
   * @param rate Bytes per second; 0 for no limit.
   */
  limit(rate: number): Promise<void> {
    return this.job.write(`${rate}\n`);
  }

  /**
   * Waits for a status of the client.
   *
   * @param matches Returns `true` for the wanted status.
   * @param what Name of the status in the message of a failure.
   */
  async until(matches: (status: LibtorrentStatus) => boolean, what: string): Promise<void> {
    if (this.status !== null && matches(this.status)) return;
    const from = this.job.stdout.length;
    let seen = 0;
    await this.job.line((line) => seen++ >= from && matches(JSON.parse(line)), { seconds: 60, what });
  }

  /** Ends the process. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.job.stop();
  }
}
