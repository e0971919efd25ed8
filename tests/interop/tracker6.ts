/**
 * Runs npm's bittorrent-tracker over HTTP: `tracker6.ts ADDRESS PORT`. Debian's opentracker speaks IPv4 only.
 *
 * @module
 */

// @ts-types="../support/bittorrent_tracker.d.ts"
import { Server } from "bittorrent-tracker";

const [host, port] = Deno.args as [string, string];
const server = new Server({ http: true, udp: false, ws: false, stats: false });
server.on("error", (error) => {
  throw error;
  // deno-lint-ignore no-console
}).on("warning", (error) => console.error(error.message));
for (const event of ["start", "complete", "update", "stop"] as const) {
  // deno-lint-ignore no-console
  server.on(event, (address) => console.log(event, address));
}
server.listen(Number(port), host);
