import { assertEquals } from "@std/assert";
import { LruMap } from "../../src/base/lru_map.ts";
import { fc } from "../support/property.ts";

Deno.test("LruMap replaces the entry that was set least recently", () => {
  const map = new LruMap<string, number>(3);
  for (const [value, key] of ["a", "b", "c"].entries()) map.set(key, value);
  map.set("a", 9);
  assertEquals(map.peek("b"), 1);
  map.set("d", 3); // reading b did not keep it
  assertEquals(map.keys(), ["c", "a", "d"]);
  assertEquals(map.values(), [2, 9, 3]);
  assertEquals([map.has("b"), map.peek("b"), map.size], [false, undefined, 3]);
});

Deno.test("LruMap of one entry keeps the latest", () => {
  const map = new LruMap<number, string>(1);
  map.set(1, "a");
  map.set(2, "b");
  assertEquals([map.keys(), map.values()], [[2], ["b"]]);
});

Deno.test("LruMap takes any text for a key", () => {
  const map = new LruMap<string, string>(8);
  const keys = ["__proto__", "constructor", "", "0", "hasOwnProperty"];
  for (const key of keys) assertEquals([map.has(key), map.peek(key)], [false, undefined]);
  for (const key of keys) map.set(key, `value of ${key}`);
  assertEquals(map.keys(), keys);
  for (const key of keys) assertEquals(map.peek(key), `value of ${key}`);
});

Deno.test("LruMap agrees with a list, and never holds more than its limit", () => {
  const step = fc.record({ key: fc.nat(9), value: fc.nat(99), remove: fc.boolean() });
  fc.assert(fc.property(fc.integer({ min: 1, max: 6 }), fc.array(step, { maxLength: 60 }), (limit, steps) => {
    const map = new LruMap<number, number>(limit);
    let list: [number, number][] = [];
    for (const { key, value, remove } of steps) {
      list = list.filter(([other]) => other !== key);
      if (remove) map.delete(key);
      else {
        map.set(key, value);
        list = [...list, [key, value] as [number, number]].slice(-limit);
      }
      assertEquals(map.size, list.length);
      assertEquals(map.keys(), list.map(([key]) => key));
      for (let key = 0; key < 10; key++) assertEquals(map.peek(key), list.find(([other]) => other === key)?.[1]);
    }
  }));
});
