import { assert, assertEquals } from "@std/assert";
import { testWith } from "../support/requirements.ts";

/** Runs in its own network namespace with a public address, a private address and the loopback interface. */
const SCRIPT = `
import { makeHttp } from ${JSON.stringify(import.meta.resolve("../../src/platform/deno_http.ts"))};
const [PUBLIC, PRIVATE] = ["http://203.0.113.7:8000", "http://192.168.7.1:8000"];
const hits = [];
Deno.serve({ hostname: "::", port: 8000, onListen() {} }, (request) => {
  const { host, pathname, search } = new URL(request.url);
  if (pathname === "/go") return new Response(null, { status: 302, headers: { location: request.headers.get("x-to") } });
  hits.push(host + pathname + search);
  return new Response("secret");
});
let answers = [];
const http = makeHttp((host) => Promise.resolve(host === "changing.example" ? answers.shift() : ["203.0.113.7", "127.0.0.1"]));
async function ask(url, trust, to) {
  const headers = to === undefined ? {} : { "x-to": to };
  try {
    await http.request({ url, trust, headers, timeout: 5000, maxBytes: 1000 });
    return "asked";
  } catch (error) {
    return error.name === "HttpError" ? "refused" : String(error);
  }
}
const NEAR = ["127.0.0.1", "192.168.7.1", "0.0.0.0", "2130706433", "0177.0.0.1", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]", "both.example"];
const tracker = (named) => ({ by: "tracker", named });
const told = {};
for (const trust of [{ by: "user" }, { by: "file" }, tracker(PUBLIC + "/go")]) {
  for (const host of NEAR) (told.redirects ??= []).push(await ask(PUBLIC + "/go", trust, "http://" + host + ":8000/announce"));
}
told.private = await ask(PRIVATE + "/go", { by: "file" }, "http://127.0.0.1:8000/x");
for (const host of NEAR) (told.queries ??= []).push(await ask("http://" + host + ":8000/x?do=it", { by: "file" }));
for (const host of NEAR) {
  const named = "http://" + host + ":8000/reboot";
  (told.trackers ??= []).push(await ask(named + "?info_hash=x", tracker(named)));
}
told.gateway = await ask(PRIVATE + "/go", { by: "gateway" }, PRIVATE + "/x");
answers = [["203.0.113.7"], ["127.0.0.1"]];
told.changing = await ask("http://changing.example:8000/x?public", { by: "file" });
told.lookups = 2 - answers.length;
told.stray = hits.splice(0);
told.fine = [
  await ask(PUBLIC + "/go", { by: "file" }, PUBLIC + "/1?x"),
  await ask(PRIVATE + "/go", { by: "file" }, PUBLIC + "/2"),
  await ask(PRIVATE + "/3", { by: "file" }),
  await ask("http://127.0.0.1:8000/announce?info_hash=x", tracker("http://127.0.0.1:8000/announce")),
  await ask("http://127.0.0.1:8000/5?x", { by: "user" }),
];
told.asked = hits;
console.log(JSON.stringify(told));
Deno.exit();
`;

testWith(
  "makeHttp() refuses local addresses that an untrusted URL or a redirect leads to",
  ["ip", "root"],
  async () => {
    const setUp = "ip link set lo up && ip addr add 203.0.113.7/32 dev lo && ip addr add 192.168.7.1/32 dev lo";
    const { code, stdout, stderr } = await new Deno.Command("unshare", {
      args: ["-n", "sh", "-c", `${setUp} && exec "$0" eval "$1"`, Deno.execPath(), SCRIPT],
      env: { NO_COLOR: "1" },
    }).output();
    assertEquals(code, 0, new TextDecoder().decode(stderr));
    const told = JSON.parse(new TextDecoder().decode(stdout));
    for (const kind of ["redirects", "queries", "trackers"]) {
      assert(told[kind].length >= 9);
      assertEquals(new Set(told[kind]), new Set(["refused"]), kind);
    }
    assertEquals([told.private, told.gateway], ["refused", "refused"]);
    // The name is resolved once, and the connection goes to that address, even if the name resolves differently later.
    assertEquals([told.changing, told.lookups], ["asked", 1]);
    assertEquals(told.stray, ["changing.example:8000/x?public"]);
    assertEquals(new Set(told.fine), new Set(["asked"]));
    assertEquals(told.asked, [
      "203.0.113.7:8000/1?x",
      "203.0.113.7:8000/2",
      "192.168.7.1:8000/3",
      "127.0.0.1:8000/announce?info_hash=x",
      "127.0.0.1:8000/5?x",
    ]);
  },
);
