import { assert, assertEquals, assertFalse, assertMatch } from "@std/assert";
import { environment, OFFLINE } from "../support/binary.ts";
import { Job } from "../support/job.ts";
import { makeFile } from "../support/payload.ts";
import { testWith } from "../support/requirements.ts";
import { withScratch } from "../support/scratch.ts";
import { commandFor, Stage, together } from "../support/stage.ts";

/** Secrets that must not be in the program's output, each in a different part of URLs. */
const SECRETS = {
  passkey: "0123456789abcdef0123456789abcdef",
  word: "hunter2trackers",
  query: "queryAuth77",
  user: "us3rname99",
  password: "passw0rd99",
  token: "9f8e7d6c5b4a39281706",
  moved: "fedcba98765432100123456789abcdef",
  hook: "hookPassw0rd",
} as const;
const { passkey, word, query, user, password, token, moved, hook } = SECRETS;

/** Serves trackers that fail in different ways, some of which repeat secrets of the request, and one web seed. */
function serveAll(data: Uint8Array<ArrayBuffer>): Deno.HttpServer<Deno.NetAddr> {
  const failure = (text: string) => new Response(`d14:failure reason${text.length}:${text}e`);
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === `/${passkey}/announce`) return failure(`the passkey ${passkey} is unknown`);
    if (pathname === `/${word}/announce`) return failure(`${word} with ${query} at http://x.test/?key=${query} is not`);
    if (pathname === "/ftp/announce") return redirect(`ftp://x.test/${moved}/announce`);
    if (pathname === "/moved/announce") return redirect(`http://127.0.0.1:1/${moved}/announce?key=${query}`);
    if (pathname !== `/${token}/file.bin`) return new Response(null, { status: 403 });
    const [, first, last] = /bytes=(\d+)-(\d+)/.exec(request.headers.get("range") ?? "") ?? [];
    if (first === undefined) return new Response(data);
    const part = data.slice(Number(first), Number(last) + 1);
    const headers = { "content-range": `bytes ${first}-${last}/${data.length}` };
    return new Response(part, { status: 206, headers });
  });
}

function redirect(location: string): Response {
  return new Response(null, { status: 302, headers: { location } });
}

function assertSilent(output: string, what: string): void {
  for (const [name, secret] of Object.entries(SECRETS)) {
    assertFalse(output.includes(secret), `the ${name} is in the output of ${what}:\n${output}`);
  }
}

testWith(
  "shoal download prints no password or passkey, and its messages identify URLs by masked text",
  ["binary"],
  () =>
    withScratch(async (folder) => {
      const payload = await makeFile(`${folder}/source`, { name: "file.bin", size: 300_000, seed: 5 });
      await using server = serveAll(await Deno.readFile(`${payload.folder}/file.bin`));
      const host = `127.0.0.1:${server.addr.port}`;
      const trackers = [
        `http://${host}/${passkey}/announce`,
        `http://${host}/${word}/announce?auth=${query}`,
        `http://${user}:${password}@${host}/announce`,
        `http://${host}/ftp/announce`,
        `http://${host}/moved/announce`,
        `udp://127.0.0.1:1/${passkey}/announce`,
        `wss://x.test/${passkey}/announce`,
      ];
      const seeds = [
        `http://${host}/${token}/file.bin`,
        `http://${host}/${token}/missing/file.bin`,
        // This web seed is refused with a message, since it is on the local network.
        `http://${user}:${password}@${host}/${token}/file.bin`,
      ];
      const run = async (args: readonly string[], { cwd = folder, shell = "" } = {}) => {
        const command = [...commandFor("compiled"), ...args];
        await using job = new Job(shell === "" ? command : ["sh", "-c", shell, "sh", ...command], {
          name: `shoal ${args[0]}`,
          cwd,
          env: { ...environment(cwd), TERM: "xterm-256color" },
        });
        const { code, stdout, stderr } = await job.exit(60);
        return { code, output: [...stdout, ...stderr].join("\n") };
      };
      const made = await run([
        ...["create", `${payload.folder}/file.bin`, "-o", "file.torrent"],
        ...trackers.flatMap((url) => ["-t", url]),
        ...seeds.flatMap((url) => ["--web-seed", url]),
      ]);
      assertEquals(made.code, 0, made.output);
      // `info` prints the URLs of a torrent in full.
      assert((await run(["info", "file.torrent"])).output.includes(passkey));

      const hooked = ["--on-complete", `http://${user}:${hook}@127.0.0.1:1/done/${token}?key=${query}`];
      const download = ["download", "../file.torrent", "-o", "out", "-p", "0", ...OFFLINE, ...hooked];
      const downloads = [
        { args: ["--json", "-v"], shell: "" },
        { args: ["-v", "-v"], shell: "" },
        // The live view on a terminal.
        { args: ["-v"], shell: `exec script -qec "$*" /dev/null` },
      ];
      await together(downloads.map(async ({ args, shell }, i) => {
        const cwd = `${folder}/${i}`;
        await Deno.mkdir(cwd);
        const { code, output } = await run([...download, ...args], { cwd, shell });
        assertEquals(code, 0, output);
        assertSilent(output, args.join(" "));
        if (shell !== "") return;
        for (const known of [`http://${host}/0123***/announce`, `http://${host}/hun***/announce?auth=qu***`]) {
          assert(output.includes(known), `${known} is not in\n${output}`);
        }
        assertMatch(output, /127\.0\.0\.1:1\/done\/9f8e\*\*\*\?key=qu\*\*\*/);
      }));

      const link = `magnet:?xt=urn:btih:${"0".repeat(40)}&tr=${encodeURIComponent(trackers[0]!)}`;
      const errors = [
        [`http://${user}:${password}@127.0.0.1:1/${token}/x.torrent?auth=${query}`],
        [`http://${user}:${password}@${host}/${token}/x.torrent?auth=${query}`, "--json"],
        [`ftp://${user}:${password}@${host}/${token}/x.torrent`],
        ["verify", link, "."],
        ["download", "file.torrent", "-t", `gopher://${user}:${password}@x.test/${passkey}/announce`],
        ["download", "file.torrent", "--on-complete", `gopher://${user}:${hook}@x.test/${token}`],
        ["download", "file.torrent", "--on-complete", `http://${user}:${hook}/@x.test/${token}`],
      ];
      await together(errors.map(async (args) => {
        const { code, output } = await run([...args, "-v", "-v", ...(args[0] === "verify" ? [] : OFFLINE)]);
        assert(code > 0, output);
        assertSilent(output, args.join(" "));
      }));
    }),
);

testWith("shoal download makes state files private regardless of the umask, and data files by the umask", [
  "binary",
], () =>
  Stage.with({}, async (stage) => {
    const act = await stage.act();
    await using job = act.shell(`umask 0; exec ${commandFor("compiled").join(" ")} ${act.download().join(" ")}`);
    await act.underWay(job);
    const modes: Record<string, string> = {};
    const look = async (path: string): Promise<void> => {
      for await (const { name, isDirectory } of Deno.readDir(`${act.folder}/${path}`)) {
        const mode = (await Deno.lstat(`${act.folder}/${path}/${name}`)).mode! & 0o777;
        modes[`${path}/${name}`.replace(/[0-9a-f-]{40,}/, "HASH")] = mode.toString(8);
        if (isDirectory) await look(`${path}/${name}`);
      }
    };
    await look("state");
    assert(Object.keys(modes).length >= 2, JSON.stringify(modes));
    for (const [path, mode] of Object.entries(modes)) {
      assertEquals(mode, path.includes(".") ? "600" : "700", `${path} of ${JSON.stringify(modes)}`);
    }
    assertEquals(((await Deno.stat(`${act.folder}/out/file.bin.part`)).mode! & 0o777).toString(8), "666");
    job.signal("SIGINT");
    assertEquals((await job.exit(20)).code, 130);
  }));
