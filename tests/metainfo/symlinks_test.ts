import { assertEquals } from "@std/assert";
import { resolveLinks } from "../../src/metainfo/symlinks.ts";

/** Resolves `a` (a file), `a -> b` (a link), or `a = c -> b` (a link whose final path is `c`). */
function resolve(...lines: string[]): (string | null)[] {
  const entries = lines.map((line) => {
    const [names, target] = line.split(" -> ");
    const [path, finalPath] = names!.split(" = ").map((name) => name.split("/"));
    return { path: path!, finalPath: finalPath ?? path!, target: target?.split("/") ?? null };
  });
  return resolveLinks(entries).map((path) => path?.join("/") ?? null);
}

Deno.test("resolveLinks() takes links to files and folders", () => {
  assertEquals(resolve("r/a/b/bar", "r/l -> r/a/b/bar", "r/m -> r/a"), [null, "r/a/b/bar", "r/a"]);
  assertEquals(resolve("r/l -> r/x", "r/x"), ["r/x", null]);
});

Deno.test("resolveLinks() follows links through links, as a framework has them", () => {
  const lines = [
    "r/Headers -> r/Versions/Current/Headers",
    "r/Lib -> r/Versions/Current/Lib",
    "r/Versions/A/Headers/x.h",
    "r/Versions/A/Lib",
    "r/Versions/Current -> r/Versions/A",
  ];
  assertEquals(resolve(...lines), ["r/Versions/Current/Headers", "r/Versions/Current/Lib", null, null, "r/Versions/A"]);
});

Deno.test("resolveLinks() drops links that lead nowhere", () => {
  assertEquals(resolve("r/a", "r/l -> r/b", "r/m -> r/a/b", "r/n -> s/a", "r/o -> r/l"), [
    null,
    null,
    null,
    null,
    null,
  ]);
});

Deno.test("resolveLinks() drops links that go in circles", () => {
  assertEquals(resolve("r/a", "r/l -> r/l"), [null, null]);
  assertEquals(resolve("r/a", "r/l -> r/m", "r/m -> r/n", "r/n -> r/l", "r/o -> r/l"), [null, null, null, null, null]);
  assertEquals(resolve("r/a", "r/l -> r/m/x", "r/m -> r/l"), [null, null, null]);
});

Deno.test("resolveLinks() drops links to folders that hold them", () => {
  assertEquals(resolve("r/a", "r/l -> r"), [null, null]);
  assertEquals(resolve("r/d/e/a", "r/d/e/l -> r/d", "r/d/m -> r/d/e"), [null, null, "r/d/e"]);
});

Deno.test("resolveLinks() points to the name that a renamed file got", () => {
  assertEquals(resolve("r/A", "r/a = r/a.1", "r/l -> r/a", "r/m -> r/A"), [null, null, "r/a.1", "r/A"]);
  assertEquals(resolve("r/K/x", "r/k = r/k.1 -> r/K", "r/l -> r/k/x"), [null, "r/K", "r/k.1/x"]);
});

Deno.test("resolveLinks() lets a folder win over a link of its name", () => {
  assertEquals(resolve("r/x/a", "r/d = r/d.1 -> r/x", "r/d/a", "r/l -> r/d/a"), [null, "r/x", null, "r/d/a"]);
});

Deno.test("resolveLinks() follows as many links as the system would", () => {
  const chain = (length: number) => ["r/0", ...Array.from({ length }, (_, i) => `r/${i + 1} -> r/${i}`)];
  const links = resolve(...chain(50));
  assertEquals(links.findLastIndex((path) => path !== null), 40);
  const backwards = resolve(...chain(50).reverse()).reverse();
  assertEquals(backwards, links);
});
