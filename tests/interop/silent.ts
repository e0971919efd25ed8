/**
 * A peer that offers metadata (BEP 9) and never answers a request for it. `silent.ts INFOHASH SIZE ANNOUNCE` claims an
 * info dictionary of `SIZE` bytes, and announces itself to the tracker. Prints a line for each metadata request.
 *
 * @module
 */

import { fromHex } from "../../src/base/bytes.ts";
import { MetadataPeer } from "../hostile/metadata_peers.ts";

const [hex, size, announce] = Deno.args as [string, string, string];
const say = (line: string) => Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
const peer = await MetadataPeer.start({
  host: "0.0.0.0",
  infoHash: fromHex(hex)!,
  size: Number(size),
  answer: (part) => void say(`asked for part ${part}`),
});
const counts = "uploaded=0&downloaded=0&left=0&compact=1&event=started&peer_id=-EV0001-saysnothing0";
const reply = await fetch(`${announce}?info_hash=${hex.replace(/../g, "%$&")}&port=${peer.place.port}&${counts}`);
await reply.body?.cancel();
say("announced");
