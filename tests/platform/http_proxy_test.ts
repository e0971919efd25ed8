import { assertEquals, assertRejects } from "@std/assert";
import { fromUtf8 } from "../../src/base/bytes.ts";
import { makeHttp } from "../../src/platform/deno_http.ts";
import { proxyFor } from "../../src/platform/http_proxy.ts";
import { HttpError } from "../../src/platform/platform.ts";

function chosen(url: string, variables: Record<string, string>): string | null {
  return proxyFor(new URL(url), (name) => variables[name]);
}

Deno.test("proxyFor() reads the variables that other programs read", () => {
  const both = { HTTP_PROXY: "http://a:1", HTTPS_PROXY: "http://b:2" };
  assertEquals(chosen("http://tracker.example/announce", both), "http://a:1");
  assertEquals(chosen("https://tracker.example/announce", both), "http://b:2");
  assertEquals(chosen("http://tracker.example/", { http_proxy: "a:1" }), "http://a:1");
  assertEquals(chosen("http://tracker.example/", { ALL_PROXY: "socks5://a:1" }), "socks5://a:1");
  assertEquals(chosen("http://tracker.example/", { HTTP_PROXY: "", all_proxy: "http://a:1" }), "http://a:1");
  assertEquals(chosen("http://tracker.example/", { HTTPS_PROXY: "http://b:2" }), null);
  assertEquals(chosen("http://tracker.example/", {}), null);
});

Deno.test("proxyFor() leaves out this machine, and what NO_PROXY lists", () => {
  const own = [
    "http://127.0.0.1/",
    "http://localhost:80/",
    "http://a.localhost./",
    "http://[::1]/",
    "http://0x7f000001/",
  ];
  for (const url of own) assertEquals(chosen(url, { HTTP_PROXY: "http://a:1" }), null, url);
  const listed = (url: string, NO_PROXY: string) => chosen(url, { HTTP_PROXY: "http://a:1", NO_PROXY }) === null;
  for (const list of ["corp.example", ".corp.example", "*.corp.example", "x, CORP.example", "*"]) {
    assertEquals(listed("http://www.corp.example./", list), true, list);
  }
  assertEquals(listed("http://10.0.0.1/", "10.0.0.1"), true);
  assertEquals(listed("http://10.0.0.1/", "0.0.1, ,"), false);
  assertEquals(listed("http://notcorp.example/", "corp.example"), false);
});

/** A proxy that answers requests itself and records them. */
function scriptedProxy() {
  const asked: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    asked.push(request.url);
    const away = request.url.endsWith("/away");
    return new Response("hello", away ? { status: 302, headers: { location: "http://10.0.0.1/?x" } } : {});
  });
  const variables = (name: string) => name === "HTTP_PROXY" ? `127.0.0.1:${server.addr.port}` : undefined;
  const lookup = () => Promise.reject(new Error("nobody here knows that name"));
  return { asked, http: makeHttp(lookup, variables), [Symbol.asyncDispose]: () => server.shutdown() };
}

Deno.test("request() and stream() go through the proxy of the environment, which looks names up", async () => {
  await using proxy = scriptedProxy();
  const answer = await proxy.http.request({ url: "http://tracker.example/a?b", timeout: 10_000, maxBytes: 100 });
  assertEquals([fromUtf8(answer.body), "reach" in answer], ["hello", false]);
  const stream = await proxy.http.stream({ url: "http://seed.example/c", timeout: 10_000 });
  assertEquals(fromUtf8((await stream.read())!.slice()), "hello");
  assertEquals(await stream.read(), null);
  assertEquals(proxy.asked, ["http://tracker.example/a?b", "http://seed.example/c"]);
});

Deno.test("behind a proxy no redirect leads to the local network, and a gateway is asked without it", async () => {
  await using proxy = scriptedProxy();
  const request = { url: "http://index.example/away", timeout: 10_000, maxBytes: 100 };
  await assertRejects(() => proxy.http.request(request), HttpError, "is on the local network");
  const gateway = { ...request, url: "http://gateway.example/", trust: { by: "gateway" } as const };
  await assertRejects(() => proxy.http.request(gateway), HttpError, "no address is known");
  assertEquals(proxy.asked, ["http://index.example/away"]);
});
