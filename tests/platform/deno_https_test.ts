import { assertEquals, assertRejects } from "@std/assert";
import { denoHttp } from "../../src/platform/deno_http.ts";
import { HttpError } from "../../src/platform/platform.ts";
import { TEST_FLAGS } from "../support/from_source.ts";

const here = new URL("../support/tls/", import.meta.url);

/** A tracker over HTTPS that answers with the request. */
function serve(): { url: string; stop: () => Promise<void> } {
  const server = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    cert: Deno.readTextFileSync(new URL("server.pem", here)),
    key: Deno.readTextFileSync(new URL("server.key", here)),
    onListen() {},
  }, (request) => new Response(new URL(request.url).search));
  return { url: `https://127.0.0.1:${server.addr.port}/announce?info_hash=%ff`, stop: () => server.shutdown() };
}

Deno.test("denoHttp.request() speaks https where the certificate is trusted", async () => {
  const { url, stop } = serve();
  try {
    // Trusted certificates are fixed when a program starts, so this needs another program.
    const script = `import { denoHttp } from ${JSON.stringify(import.meta.resolve("../../src/platform/deno_http.ts"))};
      const { status, body } = await denoHttp.request({ url: Deno.args[0], trust: { by: "user" }, timeout: 30000, maxBytes: 100 });
      console.log(status, new TextDecoder().decode(body));`;
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["eval", ...TEST_FLAGS, "--cert", decodeURI(new URL("ca.pem", here).pathname), script, url],
      env: { NO_COLOR: "1" },
    }).output();
    assertEquals(new TextDecoder().decode(stdout), "200 ?info_hash=%ff\n", new TextDecoder().decode(stderr));
  } finally {
    await stop();
  }
});

Deno.test("denoHttp.request() refuses a certificate that nobody vouches for", async () => {
  const { url, stop } = serve();
  try {
    await assertRejects(
      () => denoHttp.request({ url, trust: { by: "user" }, timeout: 30_000, maxBytes: 100 }),
      HttpError,
      "certificate",
    );
  } finally {
    await stop();
  }
});
