import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { fromUtf8Lossy, utf8 } from "../../src/base/bytes.ts";
import { InfoHash } from "../../src/base/info_hash.ts";
import { run } from "../../src/cli/main.ts";
import { statisticsLine } from "../../src/cli/tracker.ts";
import { parseMetainfo } from "../../src/metainfo/mod.ts";
import { denoPlatform } from "../../src/platform/deno_platform.ts";
import { Announcer, type TrackerReport } from "../../src/tracker/announcer.ts";
import { TrackerWay } from "../support/udp_world.ts";
import { hybrid, LIST } from "../support/v2_torrents.ts";
import { FakeTerminal } from "../ui/fake_terminal.ts";
import { VirtualClock } from "../support/virtual_clock.ts";

const HASH = new InfoHash(new Uint8Array(20).fill(9));

/** A run of the command with real sockets and virtual time. */
class Stage {
  readonly clock = new VirtualClock();
  readonly terminal = new FakeTerminal();
  readonly platform = {
    ...denoPlatform,
    now: () => this.clock.now(),
    wallClock: () => this.clock.wallClock(),
    after: (milliseconds: number, run: () => void) => {
      const timer = this.clock.after(milliseconds, run);
      this.#wake();
      return timer;
    },
  };
  readonly ended: Promise<number>;
  #wake = () => {};

  constructor(...args: string[]) {
    const { stdout } = this.terminal;
    const write = stdout.write.bind(stdout);
    stdout.write = (text) => {
      const written = write(text);
      this.#wake();
      return written;
    };
    this.ended = run(["tracker", ...args], { platform: this.platform, terminal: this.terminal });
  }

  /** Waits for a line of standard output. */
  async line(number: number): Promise<string> {
    await this.until(() => this.terminal.stdout.lines.length > number);
    return this.terminal.stdout.lines[number]!;
  }

  /** Waits for a condition that depends on a line or a timer. */
  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) {
      const ended = await Promise.race([this.ended, new Promise<null>((resolve) => this.#wake = () => resolve(null))]);
      if (ended !== null) throw new Error(`it ended with ${ended}: ${this.terminal.stderr.text}`);
    }
  }

  async leave(): Promise<void> {
    this.terminal.leave();
    assertEquals(await this.ended, 130);
    assertEquals([this.clock.pending, this.terminal.requests.size], [0, 0]);
  }

  async announce(url: string): Promise<TrackerReport> {
    const way = new TrackerWay(this.platform);
    const { promise, resolve } = Promise.withResolvers<TrackerReport>();
    const announcer = new Announcer({
      platform: this.platform,
      tiers: [[url]],
      infoHash: HASH,
      peerId: utf8("-SH0100-abcdefghijkl"),
      port: 6881,
      udp: way.udp,
      progress: () => ({ uploaded: 0, downloaded: 0, left: 0 }),
      onPeers: () => {},
      onReport: resolve,
      wantedPeers: () => 0,
    });
    announcer.start();
    const report = await promise;
    await announcer.stop();
    way.close();
    return report;
  }
}

Deno.test("tracker says where it is, serves HTTP and UDP on one port, and counts", async () => {
  const stage = new Stage("-p", "0", "--bind", "127.0.0.1");
  const [, http, udp] = /^Tracker at (http:\S+) and (udp:\S+)$/.exec(await stage.line(0))!;
  assertEquals(new URL(http!).port, new URL(udp!).port);
  for (const url of [http!, udp!]) assertEquals((await stage.announce(url)).status, "ok");
  stage.clock.advance(10_000);
  const expected =
    "0 torrents, 0 peers (0 complete) of 0 addresses | 2 announces over HTTP, 2 over UDP | 0 scrapes | 0 refused";
  assertEquals(await stage.line(1), expected);
  stage.clock.advance(60_000);
  assertEquals(stage.terminal.stdout.lines.length, 2, "nothing new is no news");
  await stage.leave();
});

Deno.test("tracker --json tells the same to programs", async () => {
  const stage = new Stage("--port", "0", "--bind", "127.0.0.1", "--json", "--allow", HASH.hex, "--interval", "1m");
  const { event, http, udp } = JSON.parse(await stage.line(0));
  assertEquals(event, "listening");
  await stage.announce(http);
  await stage.leave();
  const [, statistics, stopped] = stage.terminal.stdout.lines.map((line) => JSON.parse(line));
  assertMatch(udp, /^udp:\/\/127\.0\.0\.1:\d+\/announce$/);
  assertEquals([statistics.event, statistics.announces], ["statistics", { http: 2, udp: 0 }]);
  assertEquals(stopped.event, "stopped");
});

Deno.test("tracker --allow takes v2 info-hashes and torrent files, and both info-hashes of a hybrid are one swarm", async () => {
  const folder = Deno.makeTempDirSync({ prefix: "shoal-test-" });
  const torrent = hybrid(LIST);
  Deno.writeFileSync(`${folder}/h.torrent`, torrent);
  const { infoHashV1, infoHashV2 } = parseMetainfo(torrent);
  const others = "12".repeat(32);
  const allowed = ["--allow", `${folder}/h.torrent`, "--allow", others];
  const stage = new Stage("--port", "0", "--bind", "127.0.0.1", "--json", ...allowed);
  const { http } = JSON.parse(await stage.line(0));
  const ask = async (infoHash: Uint8Array, port: number) => {
    const hash = Array.from(infoHash, (byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
    const url = `${http}?info_hash=${hash}&peer_id=${"p".repeat(17)}${port}&port=${port}&left=1&compact=1`;
    const { body } = await denoPlatform.http.request({ url, trust: { by: "user" }, timeout: 10_000, maxBytes: 1000 });
    return fromUtf8Lossy(body);
  };
  assertStringIncludes(await ask(infoHashV1!.bytes, 101), "5:peers0:");
  assertStringIncludes(await ask(infoHashV2!.truncated.bytes, 102), "5:peers6:");
  assertStringIncludes(await ask(new Uint8Array(20).fill(0x12), 103), "5:peers0:");
  assertStringIncludes(await ask(new Uint8Array(20), 104), "does not serve");
  await stage.leave();
  const missing = new Stage("--allow", `${folder}/missing.torrent`);
  assertEquals(await missing.ended, 2);
  Deno.removeSync(folder, { recursive: true });
});

Deno.test("tracker listens everywhere when no address is chosen, and says what that means", async () => {
  const stage = new Stage("-p", "0");
  assertMatch(await stage.line(0), /^Tracker at http:\/\/(\[::\]|0\.0\.0\.0):\d+\/announce/);
  assertStringIncludes(await stage.line(1), "every address");
  await stage.leave();
});

Deno.test("tracker --quiet says nothing", async () => {
  const stage = new Stage("-p", "0", "--bind", "127.0.0.1", "-q");
  await stage.until(() => stage.clock.pending === 2); // for expired peers, and for statistics
  await stage.leave();
  assertEquals([stage.terminal.stdout.text, stage.terminal.stderr.text], ["", ""]);
});

Deno.test("tracker says that a port is in use, with exit code 6", async () => {
  for (const bind of [["--bind", "127.0.0.1"], []]) {
    const first = new Stage("-p", "0", ...bind);
    const port = /:(\d+)\/announce/.exec(await first.line(0))![1]!;
    const second = new Stage("-p", port, ...bind);
    assertEquals(await second.ended, 6);
    assertMatch(
      second.terminal.stderr.text,
      /^shoal: error: cannot listen .*; choose another port with --port, or 0 for any/,
    );
    await first.leave();
  }
});

Deno.test("tracker refuses values that make no sense", async () => {
  for (
    const args of [
      ["--interval", "1s"],
      ["--allow", "abc"],
      ["--allow", "a".repeat(63)],
      ["--max-peers", "0"],
      ["--trust-ip", "here"],
      ["--trust-forwarded", "10.0.0.0/33"],
      ["--bind", "here"],
      ["--port", "x"],
    ]
  ) {
    const stage = new Stage(...args);
    assertEquals(await stage.ended, 2);
    assertMatch(stage.terminal.stderr.text, /^shoal: error: bad value/);
  }
});

Deno.test("statisticsLine() knows one from many", () => {
  const counts = { torrents: 1, peers: 1, seeders: 0, networks: 1, scrapes: 1, refused: 3 };
  const statistics = { ...counts, announces: { http: 1, udp: 0 } };
  assertEquals(
    statisticsLine(statistics),
    "1 torrent, 1 peer (0 complete) of 1 address | 1 announce over HTTP, 0 over UDP | 1 scrape | 3 refused",
  );
  assert(!statisticsLine({ ...statistics, peers: 2 }).includes("2 peer "));
});
