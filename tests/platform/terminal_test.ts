import { assertEquals, assertRejects } from "@std/assert";
import { fromUtf8, utf8 } from "../../src/base/bytes.ts";
import { ShoalError } from "../../src/base/errors.ts";
import { type ByteSink, readWhole, TextOutput, windowSize } from "../../src/platform/deno_terminal.ts";
import type { Loss } from "../../src/platform/terminal.ts";

/** Accepts at most `step` bytes per write, and fails as the test says. */
class Sink implements ByteSink {
  readonly taken: number[] = [];
  calls = 0;
  failures: unknown[] = [];

  constructor(readonly step = 3) {}

  write(bytes: Uint8Array): Promise<number> {
    this.calls++;
    const failure = this.failures.shift();
    if (failure !== undefined) return Promise.reject(failure);
    const part = bytes.subarray(0, this.step);
    this.taken.push(...part);
    return Promise.resolve(part.length);
  }

  terminal = false;

  isTerminal(): boolean {
    return this.terminal;
  }

  get text(): string | null {
    return fromUtf8(Uint8Array.from(this.taken));
  }
}

Deno.test("TextOutput writes everything, in order, through a sink that takes a little at a time", async () => {
  const sink = new Sink();
  const output = new TextOutput(sink, "standard output");
  void output.write("first, with \u00fcml\u00e4uts\n");
  const last = output.write("second\n");
  assertEquals(output.busy, true);
  await last;
  assertEquals(sink.text, "first, with \u00fcml\u00e4uts\nsecond\n");
  assertEquals(output.busy, false);
});

/** Returns an output over a sink that fails once, and the losses that it reports. */
async function lost(failure: unknown, terminal = false): Promise<{ sink: Sink; output: TextOutput; told: Loss[] }> {
  const sink = new Sink();
  sink.terminal = terminal;
  sink.failures = [failure];
  const output = new TextOutput(sink, "standard output");
  const told: Loss[] = [];
  output.onLoss((loss) => told.push(loss));
  output.onLoss((loss) => told.push(loss))();
  await output.write("a");
  await output.write("b");
  assertEquals(sink.calls, 1, "it tried again");
  return { sink, output, told };
}

Deno.test("TextOutput takes a reader that went away for one that has seen enough, and says so", async () => {
  const { output, told } = await lost(new Deno.errors.BrokenPipe());
  await output.flush();
  assertEquals(told, ["unread"]);
});

Deno.test("TextOutput tells of a device that is full, at once and by flush()", async () => {
  const { output, told } = await lost(new Error("No space left on device (os error 28)"));
  const error = await assertRejects(
    () => output.flush(),
    ShoalError,
    "cannot write (standard output): no space is left on the device",
  );
  assertEquals(error.kind, "storage");
  assertEquals(told, ["failed"]);
});

Deno.test("TextOutput takes a terminal that was closed for a reader that went away", async () => {
  const eio = Object.assign(new Error("Input/output error (os error 5)"), { code: "EIO" });
  const { output, told } = await lost(eio, true);
  await output.flush();
  assertEquals(told, ["unread"]);
  const file = await lost(eio);
  await assertRejects(() => file.output.flush(), ShoalError, "cannot write (standard output): the device failed");
});

Deno.test("TextOutput tries again when a terminal is not ready", async () => {
  const sink = new Sink(100);
  sink.failures = [new Deno.errors.WouldBlock()];
  const output = new TextOutput(sink, "standard output");
  await output.write("late");
  assertEquals(sink.text, "late");
});

Deno.test("windowSize() asks the system, then COLUMNS and LINES, then falls back to 80 by 24", () => {
  const unknown = () => {
    throw new Error("not a terminal");
  };
  const env = (values: Record<string, string>) => (name: string) => values[name];
  assertEquals(windowSize(() => ({ columns: 120, rows: 50 }), env({ COLUMNS: "9" })), { columns: 120, rows: 50 });
  assertEquals(windowSize(unknown, env({ COLUMNS: "99", LINES: "33" })), { columns: 99, rows: 33 });
  assertEquals(windowSize(unknown, env({ COLUMNS: "wide", LINES: "-1" })), { columns: 80, rows: 24 });
  assertEquals(windowSize(() => ({ columns: 0, rows: 0 }), env({})), { columns: 80, rows: 24 });
});

Deno.test("readWhole() joins the parts and refuses more than it may take", async () => {
  const stream = () => ReadableStream.from([utf8("ab"), utf8("cd")]);
  assertEquals(await readWhole(stream(), 4), utf8("abcd"));
  await assertRejects(() => readWhole(stream(), 3), ShoalError, "it is longer than 3 bytes");
});
