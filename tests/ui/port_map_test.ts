import { assertEquals } from "@std/assert";
import type { PortMapEvent } from "../../src/session/session_events.ts";
import { eventLine } from "../../src/ui/json_lines.ts";
import { LogLines } from "../../src/ui/log_lines.ts";

const MAPPED: PortMapEvent = {
  event: "port_map",
  infohash: null,
  status: "ok",
  protocol: "tcp",
  external: "9.9.9.9:6881",
  message: "UPnP gateway 192.168.1.1",
};
const FAILED: PortMapEvent = { ...MAPPED, status: "error", protocol: null, external: null, message: "nobody answers" };

Deno.test("LogLines tells of port mapping with -v only, and never as a warning", () => {
  for (const event of [MAPPED, FAILED]) assertEquals(new LogLines(0).of(event), null);
  const log = new LogLines(1);
  assertEquals(log.of(MAPPED), {
    level: "note",
    text: "others reach us at 9.9.9.9:6881, TCP, through the UPnP gateway 192.168.1.1",
  });
  assertEquals(log.of(FAILED), { level: "note", text: "others may not reach us: no port mapping: nobody answers" });
});

Deno.test("eventLine() has every field of a port mapping", () => {
  const { event, infohash, status, protocol, external, message } = MAPPED;
  const line = { event, time: "1970-01-01T00:00:00.000Z", infohash, status, protocol, external, message };
  assertEquals(eventLine(MAPPED, 0), line);
});
