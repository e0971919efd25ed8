/** Tests of what disk threads say about devices that take nothing. */

import { assertEquals, assertRejects } from "@std/assert";
import { DiskThreads } from "../../src/platform/disk_threads.ts";
import { toFileError } from "../../src/platform/file_errors.ts";

Deno.test({
  name: "DiskThreads passes on the system's errors with their codes (needs /dev/full)",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const memory = new WebAssembly.Memory({ initial: 16, maximum: 16, shared: true });
    const data = { arena: 0, bytes: new Uint8Array(memory.buffer as ArrayBuffer) };
    const threads = new DiskThreads(1);
    threads.addArena(0, memory.buffer);
    const { dev, ino } = Deno.statSync("/dev/full");
    const file = await threads.open("/dev/full", `${dev}:${ino}`);
    const writes = [1, 2, 3].map(() => file!.write(data, 0));
    for (const write of writes) {
      const error = toFileError(await assertRejects(() => write, Error), { what: "cannot write", path: "/x" });
      assertEquals(error.fault, "full", error.message);
    }
    file!.close();
    threads.end();
  },
});
