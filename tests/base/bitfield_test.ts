import { assert, assertEquals, assertFalse, assertThrows } from "@std/assert";
import { Bitfield } from "../../src/base/bitfield.ts";
import { fc } from "../support/property.ts";

Deno.test("Bitfield.set() puts piece 0 into the highest bit of the first byte", () => {
  const field = new Bitfield(10);
  assert(field.set(0));
  assert(field.set(9));
  assertFalse(field.set(9));
  assertEquals(field.toBytes(), Uint8Array.of(0b1000_0000, 0b0100_0000));
  assertEquals(field.count, 2);
});

Deno.test("Bitfield.clear() tells whether the bit was set", () => {
  const field = new Bitfield(3);
  field.set(1);
  assert(field.clear(1));
  assertFalse(field.clear(1));
  assert(field.isEmpty);
});

Deno.test("Bitfield.has() is false outside, set() and clear() throw there", () => {
  const field = new Bitfield(8);
  field.setAll();
  assertFalse(field.has(-1));
  assertFalse(field.has(8));
  for (const index of [-1, 8, 1.5, NaN]) {
    assertThrows(() => field.set(index), RangeError, String(index));
    assertThrows(() => field.clear(index), RangeError, String(index));
  }
});

Deno.test("Bitfield.setAll() leaves the spare bits clear", () => {
  for (let length = 0; length <= 17; length++) {
    const field = new Bitfield(length);
    field.setAll();
    assert(field.isFull);
    assertEquals(field.count, length);
    assertEquals(Bitfield.fromBytes(field.toBytes(), length)?.count, length);
    field.clearAll();
    assert(field.isEmpty);
  }
});

Deno.test("Bitfield.fromBytes() refuses another length and spare bits that are set", () => {
  assertEquals(Bitfield.fromBytes(Uint8Array.of(0xff), 9), null);
  assertEquals(Bitfield.fromBytes(Uint8Array.of(0xff, 0x80, 0), 9), null);
  assertEquals(Bitfield.fromBytes(Uint8Array.of(0xff, 0xc0), 9), null);
  assertEquals(Bitfield.fromBytes(Uint8Array.of(0xff, 0x80), 9)?.isFull, true);
  assertEquals(Bitfield.fromBytes(new Uint8Array(0), 0)?.isFull, true);
});

Deno.test("new Bitfield() refuses a length that is no count", () => {
  for (const length of [-1, 1.5, NaN]) assertThrows(() => new Bitfield(length), RangeError, String(length));
});

Deno.test("Bitfield behaves as a set of numbers", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 70 }), fc.array(fc.tuple(fc.nat(69), fc.boolean())), (length, steps) => {
      const field = new Bitfield(length);
      const model = new Set<number>();
      for (const [value, on] of steps) {
        const index = value % length;
        if (on) assertEquals(field.set(index), !model.has(index));
        else assertEquals(field.clear(index), model.has(index));
        if (on) model.add(index);
        else model.delete(index);
      }
      const sorted = [...model].sort((a, b) => a - b);
      assertEquals([...field], sorted);
      assertEquals(field.count, model.size);
      assertEquals(field.isFull, model.size === length);
      assertEquals([...(Bitfield.fromBytes(field.toBytes(), length) ?? [])], sorted);
      const copy = field.clone();
      copy.clearAll();
      assertEquals(field.count, model.size);
    }),
  );
});

Deno.test("Bitfield.addAll() sets what the other has and tells what was new", () => {
  const one = Bitfield.fromBytes(Uint8Array.of(0b10100000, 0b10000000), 9)!;
  const other = Bitfield.fromBytes(Uint8Array.of(0b11000001, 0b10000000), 9)!;
  assertEquals(one.addAll(other), [1, 7]);
  assertEquals([[...one], one.count], [[0, 1, 2, 7, 8], 5]);
  assertEquals(one.addAll(other), []);
  assertThrows(() => one.addAll(new Bitfield(10)), RangeError, "9 and 10 bits");
});

Deno.test("Bitfield.firstShared() finds the first bit that two have in common", () => {
  const a = Bitfield.fromBytes(Uint8Array.of(0b1010_0000, 0b0000_0110, 0), 24)!;
  const b = Bitfield.fromBytes(Uint8Array.of(0b0101_0000, 0b0000_0011, 0b1000_0000), 24)!;
  assertEquals(a.firstShared(b), 14);
  assertEquals(b.firstShared(b), 1);
  assertEquals(a.firstShared(new Bitfield(24)), -1);
});
