import { assertEquals, assertRejects } from "@std/assert";
import { makeRoom } from "../../src/platform/descriptors.ts";
import { HandleBudget, OpenFiles } from "../../src/storage/open_files.ts";
import type { FileHandle } from "../../src/platform/platform.ts";

/** Handles that only record their calls. */
class Handles {
  readonly log: string[] = [];
  opens = 0;
  most = 0;
  failOpen = false;
  failClose = false;

  readonly open = async (file: number): Promise<FileHandle> => {
    await Promise.resolve();
    if (this.failOpen) throw new Error(`cannot open ${file}`);
    this.log.push(`open ${file}`);
    this.most = Math.max(this.most, ++this.opens);
    const unused = () => Promise.reject(new Error("not for this test"));
    return {
      read: unused,
      write: unused,
      truncate: unused,
      stat: unused,
      sync: unused,
      close: async () => {
        await Promise.resolve();
        this.opens--;
        this.log.push(`close ${file}`);
        if (this.failClose) throw new Error(`cannot close ${file}`);
      },
    };
  };
}

Deno.test("OpenFiles opens a file once for all who use it", async () => {
  const handles = new Handles();
  const open = new OpenFiles(handles.open, 2);
  assertEquals(open.tryAcquire(1), null);
  const [a, b] = await Promise.all([open.acquire(1), open.acquire(1)]);
  assertEquals(a === b && open.tryAcquire(1) === a, true);
  assertEquals(handles.log, ["open 1"]);
});

Deno.test("OpenFiles closes the file that was left alone for longest", async () => {
  const handles = new Handles();
  const open = new OpenFiles(handles.open, 2);
  for (const file of [1, 2, 1, 3]) {
    await open.acquire(file);
    open.release(file);
  }
  assertEquals(handles.log, ["open 1", "open 2", "close 2", "open 3"]);
});

Deno.test("OpenFiles never has more open than the limit, and everybody gets a turn", async () => {
  const handles = new Handles();
  const open = new OpenFiles(handles.open, 2);
  let done = 0;
  await Promise.all(Array.from({ length: 40 }, async (_, i) => {
    const file = (i * 7) % 10;
    await open.acquire(file);
    await Promise.resolve();
    open.release(file);
    done++;
  }));
  assertEquals([done, handles.most], [40, 2]);
  await open.closeAll();
  assertEquals(handles.opens, 0);
});

Deno.test("OpenFiles.exclusive() waits for the users, closes, and keeps new ones out", async () => {
  const handles = new Handles();
  const open = new OpenFiles(handles.open, 2);
  await open.acquire(1);
  const work = open.exclusive(1, async () => {
    await Promise.resolve();
    handles.log.push("work");
  });
  const later = open.acquire(1);
  assertEquals(open.tryAcquire(1), null);
  handles.log.push("release");
  open.release(1);
  await work;
  await later;
  assertEquals(handles.log, ["open 1", "release", "close 1", "work", "open 1"]);
});

Deno.test("OpenFiles tells each caller that a file can't be opened, and tries again", async () => {
  const handles = new Handles();
  const open = new OpenFiles(handles.open, 1);
  handles.failOpen = true;
  await Promise.all([
    assertRejects(() => open.acquire(1), Error, "cannot open 1"),
    assertRejects(() => open.acquire(1), Error, "cannot open 1"),
    assertRejects(() => open.acquire(2), Error, "cannot open 2"),
  ]);
  handles.failOpen = false;
  await open.acquire(2);
});

Deno.test("OpenFiles.closeAll() closes all although one fails", async () => {
  const handles = new Handles();
  const open = new OpenFiles(handles.open, 3);
  for (const file of [1, 2, 3]) {
    await open.acquire(file);
    open.release(file);
  }
  handles.failClose = true;
  await assertRejects(() => open.closeAll(), Error, "cannot close 1");
  assertEquals(handles.opens, 0);
});

Deno.test("OpenFiles of many torrents keep to one budget, and nobody waits for ever", async () => {
  const handles = new Handles();
  const budget = new HandleBudget(10);
  const torrents = Array.from({ length: 50 }, () => new OpenFiles(handles.open, 4, budget));
  await Promise.all(torrents.flatMap((open) =>
    [0, 1, 2, 3, 4, 5].map(async (file) => {
      await open.acquire(file);
      await Promise.resolve();
      open.release(file);
    })
  ));
  assertEquals([handles.most, handles.opens, budget.open], [10, 10, 10]);
  await Promise.all(torrents.map((open) => open.closeAll()));
  assertEquals([handles.opens, budget.open], [0, 0]);
});

Deno.test("OpenFiles close what nobody uses when descriptors are short, and fewer are open from then on", async () => {
  const handles = new Handles();
  const budget = new HandleBudget(60);
  const torrents = Array.from({ length: 60 }, () => new OpenFiles(handles.open, 4, budget));
  for (const open of torrents) await open.acquire(0);
  for (const open of torrents.slice(0, 50)) open.release(0);
  makeRoom();
  while (budget.open > 30) await Promise.resolve();
  await torrents[0]!.acquire(1);
  assertEquals(handles.opens, 30);
  for (const open of torrents.slice(50)) assertEquals(open.tryAcquire(0) !== null, true, "what is in use stays");
  torrents[0]!.release(1);
  for (const open of torrents.slice(50)) {
    open.release(0);
    open.release(0);
  }
  await Promise.all(torrents.map((open) => open.closeAll()));
  assertEquals(handles.opens, 0);
});

Deno.test("OpenFiles count nothing that could not be opened or closed", async () => {
  const handles = new Handles();
  const budget = new HandleBudget(1);
  const open = new OpenFiles(handles.open, 4, budget);
  handles.failOpen = true;
  await assertRejects(() => open.acquire(1));
  assertEquals(budget.open, 0);
  handles.failOpen = false;
  handles.failClose = true;
  await open.acquire(1);
  open.release(1);
  await open.acquire(2);
  open.release(2);
  await open.closeAll().catch(() => {});
  assertEquals(budget.open, 0);
});
