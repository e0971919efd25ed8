import { assert, assertEquals, assertFalse } from "@std/assert";
import { redact, secretsIn } from "../../src/base/secrets.ts";
import { fc } from "../support/property.ts";

const KEY = "0123456789abcdef0123456789abcdef";

Deno.test("redact() leaves enough of a URL to know which, and no secret", () => {
  for (
    const [text, shown] of [
      [`http://t.test:8080/${KEY}/announce`, "http://t.test:8080/0123***/announce"],
      [`http://t.test/announce/${KEY}`, "http://t.test/announce/0123***"],
      ["http://t.test/hunter2/announce.php", "http://t.test/h***/announce.php"],
      [`udp://t.test:6969/announce?passkey=${KEY}&auth=ab`, "udp://t.test:6969/announce?passkey=0123***&auth=***"],
      [`https://t.test/announce?${KEY}`, "https://t.test/announce?0123***"],
      ["https://user:pass@t.test/files/a.bin", "https://t.test/files/a.bin"],
      ["https://token@t.test/", "https://t.test/"],
      ["socks5://user:p:a:s:s@[2001:db8::1]:1080", "socks5://[2001:db8::1]:1080"],
      [
        `http://w.test/dl/${KEY}/Some.Film.2020.1080p.x264-GROUP.mkv`,
        "http://w.test/dl/0123***/Some.Film.2020.1080p.x264-GROUP.mkv",
      ],
      ["http://w.test/6c84fb90-12c4-11e1-840d-7b25c5ee775a/x", "http://w.test/6c84***/x"],
      [`http://t.test/announce#${KEY}`, "http://t.test/announce#0123***"],
      ["http://t.test/announce", "http://t.test/announce"],
      ["http://user:hun/ter/2@t.test/x", "http://t.test/x"],
      ["udp://[::1]:6969", "udp://[::1]:6969"],
      [
        "[http://[::1]:80/an 'http://t.test/it's[se]c(ret)/announce'",
        "[http://[::1]:80/an 'http://t.test/it'***/announce'",
      ],
      ["no URL, but http and a // in it", "no URL, but http and a // in it"],
      [
        `cannot fetch (http://a:b@t.test/x?k=${KEY}): no "http://t.test/${KEY}/announce".`,
        `cannot fetch (http://t.test/x?k=0123***): no "http://t.test/0123***/announce".`,
      ],
      [
        `magnet:?xt=urn:btih:${KEY}01234567&dn=a&tr=http%3A%2F%2Ft.test%2F${KEY}%2Fannounce`,
        `magnet:?xt=urn:btih:${KEY}01234567&dn=a&tr=http%3A%2F%2Ft.test%2F0123***%2Fannounce`,
      ],
      [
        `not a magnet link (magnet:?dn=a&tr=http%3A%2F%2Ft.test%2F${KEY}%2Fannounce): it names no torrent`,
        `not a magnet link (magnet:?dn=a&tr=http%3A%2F%2Ft.test%2F0123***%2Fannounce): it names no torrent`,
      ],
    ] as const
  ) {
    assertEquals(redact(text), shown);
    assertEquals(redact(shown), shown);
  }
});

Deno.test("redact() takes out what a server repeats of a URL", () => {
  const known = secretsIn(`http://us%20er:secret@t.test/${KEY}/announce?auth=a%2Bb%2Bc%2Bd`);
  assertEquals(
    redact(`${KEY} is not a+b+c+d, nor a%2Bb%2Bc%2Bd of us er, secret`, known),
    "0123*** is not a***, nor a%2*** of us er, s***",
  );
  assertEquals(secretsIn("http://t.test/announce?compact=1"), []);
});

Deno.test("no secret survives redact(), wherever it stands in a URL and whatever is around it", () => {
  const secret = fc.stringMatching(/^[a-z0-9]{6,40}$/).filter((text) => !/^(announce|scrape)/.test(text));
  const places = [
    (key: string) => `http://${key}:x@t.test/`,
    (key: string) => `http://x:${key}@t.test/`,
    (key: string) => `http://t.test/a/${key}/announce`,
    (key: string) => `http://t.test/announce/${key}`,
    (key: string) => `udp://t.test:1/announce?k=${key}`,
    (key: string) => `http://[::1]:1/f.bin?a=1&${key}`,
    (key: string) => `magnet:?xt=x&tr=${encodeURIComponent(`http://t.test/${key}/announce`)}`,
  ];
  fc.assert(fc.property(secret, fc.nat(places.length - 1), fc.string(), fc.string(), (key, place, before, after) => {
    const around = [before, after].map((text) => text.replaceAll(key, ""));
    const shown = redact(`${around[0]} ${places[place]!(key)} ${around[1]}`);
    assertFalse(shown.includes(key), shown);
    assert(shown.includes("t.test") || shown.includes("[::1]"), shown);
  }));
});
