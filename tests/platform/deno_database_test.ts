import { assertEquals, assertInstanceOf, assertStrictEquals, assertThrows } from "@std/assert";
import { DatabaseError, isDatabaseFault } from "../../src/platform/database_error.ts";
import { IN_MEMORY, openDatabase } from "../../src/platform/deno_database.ts";
import { denoPlatform } from "../../src/platform/deno_platform.ts";
import type { Database } from "../../src/platform/platform.ts";
import { withScratch } from "../support/scratch.ts";

function assertFault(work: () => unknown, fault: string): DatabaseError {
  const error = assertThrows(work);
  assertInstanceOf(error, DatabaseError);
  assertEquals([error.fault, error.kind], [fault, "storage"], error.message);
  return error;
}

function withTable(database: Database): Database {
  database.exec("CREATE TABLE things (name TEXT PRIMARY KEY, bytes BLOB, size INTEGER) STRICT");
  return database;
}

Deno.test("Database.prepare() makes each statement ready once", () => {
  const database = openDatabase(IN_MEMORY);
  database.exec("CREATE TABLE numbers (number INTEGER)");
  const insert = database.prepare("INSERT INTO numbers VALUES (?)");
  insert.run(1);
  assertStrictEquals(database.prepare("INSERT INTO numbers VALUES (?)"), insert);
  database.exec("ALTER TABLE numbers ADD COLUMN square INTEGER DEFAULT 4");
  database.prepare("INSERT INTO numbers (number) VALUES (?)").run(2);
  const select = () => database.prepare("SELECT * FROM numbers ORDER BY number").all().map((row) => ({ ...row }));
  assertEquals(select(), [{ number: 1, square: 4 }, { number: 2, square: 4 }]);
  database.exec("DELETE FROM numbers WHERE number = 1");
  assertEquals(select(), [{ number: 2, square: 4 }]);
  database.close();
  assertThrows(() => select(), DatabaseError);
});

Deno.test("Database keeps values as they are, and gives rows by the names of their columns", () => {
  const database = withTable(openDatabase(IN_MEMORY));
  const insert = database.prepare("INSERT INTO things VALUES (?, ?, ?)");
  assertEquals(insert.run("a", new Uint8Array([1, 2]), 2 ** 52), 1);
  assertEquals(insert.run("\u00e4", null, null), 1);
  const select = database.prepare("SELECT * FROM things WHERE name = ?");
  assertEquals({ ...select.get("a") }, { name: "a", bytes: new Uint8Array([1, 2]), size: 2 ** 52 });
  assertEquals(select.get("b"), null);
  assertEquals(database.prepare("SELECT name FROM things ORDER BY name").all().map(({ name }) => name), [
    "a",
    "\u00e4",
  ]);
  database.close();
  database.close();
});

Deno.test("Database.transaction() does all or nothing, and tells what went wrong", () => {
  const database = withTable(openDatabase(IN_MEMORY));
  const insert = database.prepare("INSERT INTO things VALUES (?, NULL, NULL)");
  const count = () => database.prepare("SELECT count(*) AS n FROM things").get()?.["n"];
  assertEquals(database.transaction(() => insert.run("a") + insert.run("b")), 2);
  assertFault(() => database.transaction(() => insert.run("c") + insert.run("a")), "other");
  assertThrows(() =>
    database.transaction(() => {
      insert.run("d");
      throw new RangeError("no more");
    }), RangeError);
  assertEquals(count(), 2);
  database.close();
});

Deno.test("Database says why it can't be used: locked, full, read-only, closed", async () => {
  await withScratch(async (folder) => {
    const path = `${folder}/x.db`;
    const one = withTable(await denoPlatform.openDatabase!(path));
    const two = await denoPlatform.openDatabase!(path);
    one.transaction(() => {
      assertEquals(assertFault(() => two.transaction(() => {}), "locked").where, path);
      assertEquals(two.prepare("SELECT * FROM things").all(), []); // reading needs no lock
    });
    one.exec("PRAGMA max_page_count = 3");
    const insert = one.prepare("INSERT INTO things VALUES ('a', zeroblob(100000), NULL)");
    assertFault(() => one.transaction(() => insert.run()), "full");
    assertEquals(two.transaction(() => two.prepare("SELECT * FROM things").all()), [], "nothing is half written");
    two.exec("PRAGMA query_only = 1");
    assertFault(() => two.prepare("INSERT INTO things VALUES ('a', NULL, NULL)").run(), "read-only");
    one.close();
    two.close();
    assertEquals(isDatabaseFault(assertThrows(() => one.exec("SELECT 1")), "locked"), false);
    assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name), ["x.db"]);
  });
});

Deno.test("openDatabase() refuses what is no database, and leaves it as it is", async () => {
  await withScratch((folder) => {
    const text = "no database at all, but long enough to be taken for one".repeat(100);
    Deno.writeTextFileSync(`${folder}/text`, text);
    assertFault(() => openDatabase(`${folder}/text`), "corrupt");
    assertEquals(Deno.readTextFileSync(`${folder}/text`), text);
    Deno.mkdirSync(`${folder}/folder`);
    assertFault(() => openDatabase(`${folder}/folder`), "no-access");
    assertThrows(() => openDatabase(`${folder}/missing/x.db`), Error, "there is no such file or folder");
    return Promise.resolve();
  });
});

Deno.test({
  name: "openDatabase() keeps its files from other users, those that were there, too",
  ignore: Deno.build.os === "windows",
  async fn() {
    await withScratch((folder) => {
      const path = `${folder}/x.db`;
      withTable(openDatabase(path)).close();
      Deno.chmodSync(path, 0o644);
      const database = openDatabase(path);
      database.prepare("INSERT INTO things VALUES ('secret', NULL, NULL)").run();
      const modes = ["", "-wal", "-shm"].map((suffix) => Deno.statSync(path + suffix).mode! & 0o777);
      assertEquals(modes, [0o600, 0o600, 0o600]);
      database.close();
      return Promise.resolve();
    });
  },
});

Deno.test("SQLite is loaded only by who opens a database", async () => {
  const importers: string[] = [];
  for await (const { name } of Deno.readDir(new URL("../../src/platform", import.meta.url))) {
    const source = await Deno.readTextFile(new URL(`../../src/platform/${name}`, import.meta.url));
    if (/from "(?:node:sqlite|\.\/deno_database\.ts)"/.test(source)) importers.push(name);
  }
  assertEquals(importers, ["deno_database.ts"]);
});
