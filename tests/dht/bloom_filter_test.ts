import { assertEquals, assertLess } from "@std/assert";
import { toHex } from "../../src/base/bytes.ts";
import { BloomFilter } from "../../src/dht/bloom_filter.ts";
import { TestPlatform } from "./support.ts";

const platform = new TestPlatform();

Deno.test("BloomFilter agrees with BEP 33", () => {
  const filter = new BloomFilter();
  for (let i = 0; i <= 255; i++) filter.add(Uint8Array.of(192, 0, 2, i), platform.digest);
  const other = new BloomFilter();
  for (let i = 0; i <= 0x3e7; i++) {
    const ip = new Uint8Array(16);
    ip.set([0x20, 0x01, 0x0d, 0xb8]);
    ip.set([i >> 8, i & 255], 14);
    other.add(ip, platform.digest);
  }
  filter.join(other.bytes);
  const expected = "f6c3f5eaa07ffd91bde89f777f26fb2bff37bdb8fb2bbaa2fd3ddde7bacfff75ee7ccbae" +
    "fe5eedb1fbfaff67f6abff5e43ddbca3fd9b9ffdf4ffd3e9dff12d1bdf59db53dbe9fa5b" +
    "7ff3b8fdfcde1afb8bedd7be2f3ee71ebbbfe93bcdeefe148246c2bc5dbff7e7efdcf24f" +
    "d8dc7adffd8fffdfddfff7a4bbeedf5cb95ce81fc7fcff1ff4ffffdfe5f7fdcbb7fd79b3" +
    "fa1fc77bfe07fff905b7b7ffc7fefeffe0b8370bb0cd3f5b7f2bd93feb4386cfdd6f7fd5" +
    "bfaf2e9ebffffeecd67adbf7c67f17efd5d75eba6ffeba7fff47a91eb1bfbb53e8abfb57" +
    "62abe8ff237279bfefbfeef5ffc5febfdfe5adffadfee1fb737ffffbfd9f6aeffeee76b6fd8f72ef";
  assertEquals(toHex(filter.bytes), expected);
  assertLess(Math.abs(filter.estimate - 1224.9308), 0.0001);
  assertEquals(new BloomFilter().estimate, 0);
});
