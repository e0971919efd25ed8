import { assertEquals } from "@std/assert";
import { utf8 } from "../../src/base/bytes.ts";
import { clientName } from "../../src/peer/client_name.ts";

Deno.test("clientName() reads the styles of peer ids in use", () => {
  const names: [string, string][] = [
    ["-TR3000-abcdefghijkl", "Transmission 3.0.0"],
    ["-lt0D80-abcdefghijkl", "rTorrent 0.13.8"],
    ["-LT2080-abcdefghijkl", "libtorrent 2.0.8"],
    ["-qB4520-abcdefghijkl", "qBittorrent 4.5.2"],
    ["A2-1-36-0-abcdefghij", "aria2 1.36.0"],
    ["M7-10-5--abcdefghijk", "BitTorrent 7.10.5"],
    ["-ZZ1230-abcdefghijkl", "ZZ 1.2.3"],
    ["\x00\x01garbage\x1b[31m....", ""],
  ];
  for (const [id, name] of names) assertEquals(clientName(utf8(id)), name, id);
});
