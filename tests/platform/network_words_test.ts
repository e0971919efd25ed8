import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { ShoalError } from "../../src/base/errors.ts";
import { denoNetwork } from "../../src/platform/deno_net.ts";
import { ListenError, listenError } from "../../src/platform/listen_error.ts";
import { networkFault } from "../../src/platform/network_words.ts";
import { WireError } from "../../src/wire/messages.ts";

function coded(message: string, code: string): Error {
  return Object.assign(new Error(message), { code });
}

Deno.test("networkFault() has plain words for what sockets of every kind throw, and leaves ours as they are", () => {
  const cases: [thrown: unknown, words: string][] = [
    [coded("Connection refused (os error 111)", "ECONNREFUSED"), "it refuses connections"],
    [coded("connect ECONNREFUSED 10.0.0.1:9 - Local (10.0.0.2:0)", "ECONNREFUSED"), "it refuses connections"],
    [coded("No route to host (os error 113)", "EHOSTUNREACH"), "there is no route to it"],
    [coded("Network is unreachable (os error 101)", "ENETUNREACH"), "there is no route to it"],
    [coded("write EBADF", "EBADF"), "the connection is closed"],
    [coded("This socket has been ended by the other party", "EPIPE"), "the connection is closed"],
    [coded("Cannot call write after a stream was destroyed", "ERR_STREAM_DESTROYED"), "the connection is closed"],
    [new Deno.errors.BadResource("Bad resource ID"), "the connection is closed"],
    [new Deno.errors.ConnectionReset("Connection reset by peer (os error 104)"), "it cut the connection off"],
    [new Deno.errors.TimedOut("Connection timed out (os error 110)"), "it does not answer"],
    [
      coded("Cannot assign requested address (os error 99)", "EADDRNOTAVAIL"),
      "this machine has no address from which to reach it",
    ],
    [new Error("Protocol wrong type for socket (os error 91)"), "Protocol wrong type for socket"],
    [new Error("no answer within 10 s"), "no answer within 10 s"],
    [new WireError("it sent a piece that was not asked for"), "protocol error: it sent a piece that was not asked for"],
    [new ShoalError("network", { what: "cannot listen", why: "because" }), "cannot listen: because"],
    ["odd", "odd"],
  ];
  for (const [thrown, words] of cases) assertEquals(networkFault(thrown), words);
});

Deno.test("networkFault() speaks of a connection that was closed while it was in use", async () => {
  const listener = denoNetwork.listen({ host: "127.0.0.1", port: 0 });
  const { signal } = new AbortController();
  for (const bind of [undefined, "127.0.0.1", "0.0.0.0", "::"]) {
    const connection = await denoNetwork.dial(listener.address, { signal, ...(bind !== undefined && { bind }) });
    const accepted = await listener.accept();
    connection.close();
    const error = await assertRejects(() => connection.write(new Uint8Array(1)));
    assertEquals(networkFault(error), "the connection is closed", `from ${bind}`);
    accepted!.close();
  }
  const { address } = listener;
  listener.close();
  const error = await assertRejects(() => denoNetwork.dial(address, { signal }));
  assertEquals(networkFault(error), "it refuses connections");
  const six = await assertRejects(() => denoNetwork.dial({ host: "::1", port: 1 }, { signal, bind: "0.0.0.0" }));
  assertEquals(networkFault(six), "only IPv4 addresses are connected to");
});

Deno.test("listenError() says what the problem is, and names the option of a port only where the port is the problem", () => {
  const address = { host: "192.0.2.1", port: 7 };
  const cases: [thrown: unknown, why: string, hint: string][] = [
    [new Deno.errors.AddrInUse(), "the port is in use", "choose another port with --stream, or 0 for any"],
    [
      new Deno.errors.PermissionDenied(),
      "the system does not allow this port",
      "choose another port with --stream, or 0 for any",
    ],
    [coded("bad thing (os error 1)", "EODD"), "bad thing", ""],
  ];
  for (const [thrown, why, hint] of cases) {
    const error = listenError(thrown, address);
    assertEquals([error.kind, error.where, error.why, error.hint], ["network", "192.0.2.1:7", why, ""]);
    assertEquals(error.withPortFlag("--stream").hint, hint);
  }
  const error = assertThrows(() => denoNetwork.listen({ host: "203.0.113.7", port: 0 }), ListenError);
  assertEquals([error.fault, error.why], ["no-address", "this machine does not have that address"]);
  assertStringIncludes(error.hint, "it has 127.0.0.1");
  assertEquals(error.withPortFlag("--port").hint, error.hint);
});
