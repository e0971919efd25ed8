/**
 * Runs npm's `bittorrent-tracker` over HTTP and UDP: `foreign_tracker.ts HOST PORT`.
 *
 * @module
 */

// @ts-types="../support/bittorrent_tracker.d.ts"
import { Server } from "bittorrent-tracker";

const [host, port] = Deno.args as [string, string];
const server = new Server({ http: true, udp: true, ws: false, stats: false });
const fail = (error: Error) => {
  throw error;
};
server.on("error", fail).on("warning", fail);
server.listen(Number(port), host, () => {});
