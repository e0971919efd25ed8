import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { run } from "../../src/cli/main.ts";
import { reachableHosts, shareLink } from "../../src/cli/share_link.ts";
import { untilChanged } from "../../src/cli/share_watch.ts";
import type { SourceFile } from "../../src/session/create_torrent.ts";
import { startOnPort } from "../../src/cli/start_tracker.ts";
import { ShoalError } from "../../src/base/errors.ts";
import { parseMagnet, parseMetainfo } from "../../src/metainfo/mod.ts";
import { denoPlatform } from "../../src/platform/deno_platform.ts";
import type { FileInfo } from "../../src/platform/platform.ts";
import { settle, VirtualClock } from "../support/virtual_clock.ts";
import { FakeTerminal } from "../ui/fake_terminal.ts";
import { metaOf } from "./fake_engine.ts";

const QUIET = ["--no-dht", "--no-lsd", "--no-pex", "--no-port-map"];
/** Options that keep a run on this machine and apart from other runs. */
const HERE = ["--bind", "127.0.0.1", "-p", "0", "--tracker-port", "0", ...QUIET];

/** A run of the program on the real system. */
class Run {
  readonly terminal = new FakeTerminal({ env: {} });
  readonly code: Promise<number>;
  #wake = () => {};

  constructor(...args: string[]) {
    const { stdout } = this.terminal;
    const write = stdout.write.bind(stdout);
    stdout.write = (text) => {
      const written = write(text);
      this.#wake();
      return written;
    };
    this.code = run(args, { platform: denoPlatform, terminal: this.terminal });
  }

  /** Waits for a line of standard output. */
  async line(matches: (line: string) => boolean): Promise<string> {
    for (;;) {
      const found = this.terminal.stdout.lines.find(matches);
      if (found !== undefined) return found;
      const ended = await Promise.race([this.code, new Promise<null>((resolve) => this.#wake = () => resolve(null))]);
      if (ended !== null) throw new Error(`it ended with ${ended}: ${this.terminal.stderr.text}`);
    }
  }

  async leave(): Promise<void> {
    this.terminal.leave();
    assertEquals(await this.code, 130, this.terminal.stderr.text);
    assertEquals(this.terminal.requests.size, 0);
  }
}

async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "shoal-test-" });
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Returns the error line of a run that fails. */
async function failure(args: readonly string[], code: number): Promise<string> {
  const run = new Run("share", ...HERE, ...args);
  assertEquals([await run.code, run.terminal.stdout.text], [code, ""], run.terminal.stderr.text);
  return run.terminal.stderr.text;
}

Deno.test("share hands out a folder, links and all, under another name to whoever has the link", async () => {
  await withFolder(async (folder) => {
    await Deno.mkdir(`${folder}/original/sub`, { recursive: true });
    await Deno.writeTextFile(`${folder}/original/it's.txt`, "a".repeat(40_000));
    await Deno.writeTextFile(`${folder}/original/sub/b.txt`, "b".repeat(5));
    await Deno.writeTextFile(`${folder}/original/sub/b.tmp`, "left out");
    await Deno.symlink("it's.txt", `${folder}/original/link.txt`);
    await Deno.symlink("sub", `${folder}/original/twin`);
    const more = ["--name", "it's new!", "--exclude", "*.tmp", "-o", `${folder}/out.torrent`, "--json"];
    const share = new Run("share", `${folder}/original`, ...more, ...HERE, "-t", "http://127.0.0.1:1/announce");
    const told = JSON.parse(await share.line((line) => line.includes('"share"')));
    assertEquals([told.event, told.name, told.size, told.files], ["share", "it's new!", 80_010, 4]);
    assertEquals(told.command, `shoal download "${told.magnet}"`);
    assert(!/["'!`$\\()*]/.test(told.magnet), told.magnet);
    const meta = parseMetainfo(await Deno.readFile(`${folder}/out.torrent`), { source: "out.torrent" });
    assertEquals([meta.name, meta.infoHash.hex], ["it's new!", told.infohash]);
    assertEquals(meta.trackers.flat().toSorted(), told.trackers.toSorted());
    assertEquals(parseMagnet(told.magnet).peers.map(({ host, port }) => `${host}:${port}`), told.peers);

    // Peers are found by x.pe, and by each tracker alone.
    const bare = `magnet:?xt=urn:btih:${told.infohash}`;
    const [http, udp] = told.trackers;
    assertMatch(`${http} ${udp}`, /^http:\S+:(\d+)\/announce udp:\S+:\1\/announce$/);
    for (const [i, link] of [told.magnet, `${bare}&tr=${http}`, `${bare}&tr=${udp}`].entries()) {
      const copy = `${folder}/copy${i}`;
      const download = new Run("download", link, "-o", copy, "-q", "--bind", "127.0.0.1", "-p", "0", ...QUIET);
      assertEquals(await download.code, 0, download.terminal.stderr.text);
      assertEquals(await Deno.readTextFile(`${copy}/it's new!/twin/b.txt`), "bbbbb");
      assertEquals((await Deno.readTextFile(`${copy}/it's new!/link.txt`)).length, 40_000);
    }
    await share.leave();
    assertEquals(share.terminal.stdout.lines.map((line) => JSON.parse(line).event).at(-1), "stopped");
  });
});

for (const version of ["--v2", "--hybrid"]) {
  Deno.test(`share ${version} hands out a folder with files of all sizes, by either info-hash`, async () => {
    await withFolder(async (folder) => {
      await Deno.mkdir(`${folder}/original/sub`, { recursive: true });
      await Deno.writeTextFile(`${folder}/original/a.txt`, "a".repeat(40_000));
      await Deno.writeTextFile(`${folder}/original/b`, "");
      await Deno.writeTextFile(`${folder}/original/sub/\u00e9`, "c".repeat(65_536));
      await Deno.writeTextFile(`${folder}/original/z`, "z".repeat(5));
      const more = [version, "--piece-length", "64K", "--name", "new"];
      const share = new Run("share", `${folder}/original`, ...more, ...HERE, "--json");
      const told = JSON.parse(await share.line((line) => line.includes('"share"')));
      const { infoHash, infoHashV1, infoHashV2, trackers } = parseMagnet(told.magnet);
      assertEquals([told.files, told.size], [4, 105_541]);
      assertEquals([told.infohash, told.infohash_v2], [infoHash.hex, infoHashV2!.hex]);
      assertEquals(infoHashV1 === null, version === "--v2");
      const tracker = `&tr=${encodeURIComponent(trackers[0]![0]!)}`;
      const links = [told.magnet, `magnet:?xt=urn:btmh:1220${infoHashV2!.hex}${tracker}`];
      if (infoHashV1 !== null) links.push(`magnet:?xt=urn:btih:${infoHashV1.hex}${tracker}`);
      for (const [i, link] of links.entries()) {
        const copy = `${folder}/copy${i}`;
        const download = new Run("download", link, "-o", copy, "-q", "--bind", "127.0.0.1", "-p", "0", ...QUIET);
        assertEquals(await download.code, 0, download.terminal.stderr.text);
        for (const path of ["a.txt", "b", "sub/\u00e9", "z"]) {
          assertEquals(
            await Deno.readTextFile(`${copy}/new/${path}`),
            await Deno.readTextFile(`${folder}/original/${path}`),
          );
        }
      }
      await share.leave();
    });
  });
}

Deno.test("a download by both links of a hybrid, which nothing says are one, goes on as one", async () => {
  await withFolder(async (folder) => {
    await Deno.mkdir(`${folder}/original`);
    await Deno.writeTextFile(`${folder}/original/a`, "a".repeat(40_000));
    await Deno.writeTextFile(`${folder}/original/b`, "b".repeat(5));
    const share = new Run("share", `${folder}/original`, "--hybrid", ...HERE, "--json");
    const { magnet } = JSON.parse(await share.line((line) => line.includes('"share"')));
    const { infoHashV1, infoHashV2, trackers } = parseMagnet(magnet);
    const links = [infoHashV1!.hex, infoHashV2!.hex];
    const more = ["-t", trackers[0]![0]!, "-o", `${folder}/copy`, "--bind", "127.0.0.1", "-p", "0", ...QUIET];
    const download = new Run("download", ...links, ...more);
    assertEquals(await download.code, 0, download.terminal.stderr.text);
    assertEquals(await Deno.readTextFile(`${folder}/copy/original/b`), "bbbbb");
    assertStringIncludes(download.terminal.stderr.text, "it is the same torrent as original, which goes on for both");
    assertEquals(download.terminal.stdout.text.match(/gave nothing back|before the metadata/g), ["gave nothing back"]);
    await share.leave();
  });
});

Deno.test("share tells people the link and the command, with -q the link alone", async () => {
  await withFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/a.txt`, "hello");
    const quiet = new Run("share", `${folder}/a.txt`, ...HERE, "-q", "--host", "me.test", "--host", "[2001:db8::1]");
    const link = await quiet.line(() => true);
    await quiet.leave();
    assertEquals([quiet.terminal.stdout.text, quiet.terminal.stderr.text], [`${link}\n`, ""]);
    const { peers, trackers } = parseMagnet(link);
    assertEquals(peers.map(({ host }) => host), ["me.test", "2001:db8::1"]);
    assertEquals(trackers.flat().map((url) => new URL(url).hostname), [
      ...["me.test", "me.test", "[2001:db8::1]", "[2001:db8::1]"],
    ]);
    const plain = new Run("share", `${folder}/a.txt`, ...HERE);
    const command = await plain.line((line) => line.includes("shoal download"));
    await plain.line((line) => line === "The link works on this machine only: --bind 127.0.0.1 keeps all others out.");
    const { lines } = plain.terminal.stdout;
    assertStringIncludes(plain.terminal.stdout.text, "Sharing a.txt (5 B in 1 file) until Ctrl-C.");
    assert(lines.includes(`  ${/"(.*)"/.exec(command)![1]}`));
    await plain.leave();
    const named = new Run("share", `${folder}/a.txt`, ...HERE, "--host", "127.0.0.1");
    await named.line((line) =>
      line.includes("works on this machine only: --host 127.0.0.1 leads no other machine here.")
    );
    await named.leave();
  });
});

Deno.test("share says in one line what it can't share", async () => {
  await withFolder(async (folder) => {
    await Deno.mkdir(`${folder}/empty`);
    await Deno.writeTextFile(`${folder}/a.txt`, "hello");
    assertMatch(
      await failure([`${folder}/empty`], 2),
      /^shoal: error: cannot make a torrent \(.*\): there are no files\n$/,
    );
    assertMatch(await failure([`${folder}/none`], 4), /^shoal: error: .*none.*\n$/);
    assertMatch(await failure([`${folder}/a.txt`, "-o", `${folder}/a.txt`], 4), /a file of that name already/);
    assertMatch(await failure([`${folder}/a.txt`, "-o", "-"], 2), /^shoal: error: bad value \(--output -\)/);
    assertMatch(await failure([`${folder}/a.txt`, "--host", "x:5"], 2), /^shoal: error: bad value \(--host x:5\)/);
    const first = new Run("share", `${folder}/a.txt`, ...HERE, "--json");
    const { trackers } = JSON.parse(await first.line((line) => line.includes('"share"')));
    const { port } = new URL(trackers[0]);
    assertMatch(
      await failure([`${folder}/a.txt`, "-q", "--tracker-port", port], 6),
      /^shoal: error: cannot listen .* choose another port with --tracker-port,/,
    );
    await first.leave();
  });
});

Deno.test("startOnPort() takes the first port that is free, and says so when there is none", () => {
  const busy = new ShoalError("network", { what: "cannot listen", where: "x", why: "in use" });
  const tried: number[] = [];
  const start = (free: number) => (port: number): never => {
    tried.push(port);
    if (port === free) throw port;
    throw busy;
  };
  const outcome = (body: () => unknown): unknown => {
    try {
      return body();
    } catch (error) {
      return error;
    }
  };
  assertEquals(outcome(() => startOnPort(start(6971), { port: undefined, flag: "--p" })), 6971);
  assertEquals(tried, [6969, 6970, 6971]);
  const error = outcome(() => startOnPort(start(0), { port: undefined, flag: "--p" }));
  assertStringIncludes(`${error}`, "none of the ports 6969 to 6979 is free");
  assertEquals(outcome(() => startOnPort(start(0), { port: 7, flag: "--p" })), busy);
});

Deno.test("reachableHosts() takes the addresses that others can use, and one of each network", () => {
  const address = (host: string, name = "eth0") => ({ host, prefix: 24, name });
  assertEquals(reachableHosts([]), ["127.0.0.1"]);
  assertEquals(reachableHosts([address("127.0.0.1", "lo"), address("::1", "lo"), address("fe80::1%eth0")]), [
    "127.0.0.1",
  ]);
  assertEquals(
    reachableHosts([
      address("2001:470::1"),
      address("2001:470::2"), // a temporary address
      address("fd00::5"),
      address("172.17.0.1", "docker0"),
      address("9.9.9.9", "ppp0"),
      address("192.168.1.5"),
    ]),
    ["192.168.1.5", "9.9.9.9", "2001:470::1", "fd00::5"],
  );
  assertEquals(reachableHosts([address("172.17.0.1", "docker0")]), ["172.17.0.1"], "better than none");
  assertEquals(reachableHosts([1, 2, 3, 4, 5, 6].map((n) => address(`10.0.${n}.1`))).length, 4);
});

Deno.test("shareLink() leaves peers as they are, since some clients decode nothing there", () => {
  const link = shareLink({ ...metaOf("a"), name: "a'b!(c)*d" }, {
    trackers: ["http://[2001:db8::1]:6969/announce"],
    peers: [{ host: "2001:db8::1", port: 5 }, { host: "x.test", port: 6 }],
  });
  assertEquals(
    link,
    `magnet:?xt=urn:btih:${"61".repeat(20)}&dn=a%27b%21%28c%29%2Ad` +
      "&tr=http%3A%2F%2F%5B2001%3Adb8%3A%3A1%5D%3A6969%2Fannounce&x.pe=[2001:db8::1]:5&x.pe=x.test:6",
  );
});

/** Changes of a file, and the reason in the message. */
const CHANGES: readonly (readonly [now: Partial<FileInfo> | null, why: string])[] = [
  [null, "it is gone"],
  [{ kind: "folder" }, "it is no file any more"],
  [{ size: 6 }, "it has 6 bytes, and had 5"],
  [{ modified: 8 }, "it was written to"],
  [{ id: "other" }, "another file is in its place"],
];

for (const [now, why] of CHANGES) {
  Deno.test(`untilChanged() tells of a file: ${why}`, async () => {
    const clock = new VirtualClock();
    const file: SourceFile = { source: "/x", length: 5, modified: 7, id: "i", executable: false };
    let info: FileInfo | null = { kind: "file", size: 5, modified: 7, id: "i" };
    const files = { stat: () => Promise.resolve(info) };
    const watch = untilChanged([file, file], { after: clock.after.bind(clock), files: files as never });
    let error: ShoalError | null = null;
    void watch.done.then((found) => error = found);
    await settle();
    clock.advance(5_000);
    await settle();
    assertEquals([error, clock.pending], [null, 1]);
    info = now && { ...info, ...now };
    clock.advance(5_000);
    await settle();
    assertMatch(`${error}`, new RegExp(`what is shared has changed \\(/x\\): ${why}`));
    watch.cancel();
    assertEquals(clock.pending, 0);
  });
}

Deno.test("share ends with exit code 4 when what it shares changes", async () => {
  await withFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/a.txt`, "hello");
    const clock = new VirtualClock();
    const terminal = new FakeTerminal({ env: {} });
    const platform = {
      ...denoPlatform,
      now: () => clock.now(),
      wallClock: () => clock.wallClock(),
      after: (milliseconds: number, run: () => void) => clock.after(milliseconds, run),
    };
    const code = run(["share", `${folder}/a.txt`, "--json", ...HERE], { platform, terminal });
    // Before that, the seeder itself would notice the change, because it checks the sizes when it starts.
    const isSeeding = () => terminal.stdout.lines.some((line) => line.includes('"completed"'));
    let ended: number | null = null;
    void code.then((value) => ended = value);
    while (!isSeeding()) {
      assertEquals(ended, null, terminal.stderr.text);
      await settle();
    }
    await Deno.writeTextFile(`${folder}/a.txt`, "hello, world");
    while (ended === null) {
      clock.advance(500);
      await settle();
    }
    assertEquals(await code, 4, terminal.stderr.text);
    assertMatch(terminal.stderr.text, /shared has changed \(.*a\.txt\): it has 12 bytes, and had 5; share it again/);
    const events = terminal.stdout.lines.map((line) => JSON.parse(line));
    assertEquals(events.find(({ event }) => event === "error")?.code, "storage");
  });
});
