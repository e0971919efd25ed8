import { assertEquals, assertThrows } from "@std/assert";
import fixtures from "webtorrent-fixtures";
import { toHex } from "../../src/base/bytes.ts";
import { type Metainfo, MetainfoError, parseMetainfo, pieceHash, pieceSize } from "../../src/metainfo/mod.ts";

/** A torrent as WebTorrent's own parser reads it. */
interface Parsed {
  infoHash: string;
  name: string;
  length: number;
  pieceLength: number;
  lastPieceLength: number;
  pieces: string[];
  private?: boolean;
  announce: string[];
  urlList: string[];
  createdBy?: string;
  files: { path: string; length: number; offset: number }[];
}
interface Fixture {
  torrent: Uint8Array;
  content?: Uint8Array<ArrayBuffer>;
  parsedTorrent: Parsed;
}
const TORRENTS = fixtures as unknown as Record<string, Fixture>;

const HASHES: Record<string, string> = {
  leaves: "d2474e86c95b19b8bcfdb92bc12c9d44667cfa36",
  alice: "722fe65b2aa26d14f35b4ad627d20236e481d924",
  folder: "b88da2caac6648e6c7d7687e3f89085f7e230e6b",
  numbers: "89d97c2261a21b040cf11caa661a3ba7233bb7e6",
  lotsOfNumbers: "114ead6243792ba56297edbb9a78dfba84d4fc00",
  bunny: "af8f10f30bf9aefecf3686922bfa0d5bd290a395",
  sintel: "c334138ef5bfc2d568ea7324e0e2a3a7ec229bdd",
  leavesMetadata: "d2474e86c95b19b8bcfdb92bc12c9d44667cfa36",
};

Deno.test("the sample torrents of WebTorrent are all tested here", () => {
  const names = Object.keys(TORRENTS).filter((name) => TORRENTS[name]!.torrent);
  assertEquals(names.sort(), [...Object.keys(HASHES), "corrupt"].sort());
});

for (const [name, infoHash] of Object.entries(HASHES)) {
  Deno.test(`parseMetainfo() reads the sample torrent ${name} as WebTorrent does`, () => {
    const { torrent, parsedTorrent } = TORRENTS[name]!;
    const meta = parseMetainfo(torrent);
    assertEquals(meta.infoHash.hex, infoHash);
    assertEquals(summary(meta), {
      infoHash: parsedTorrent.infoHash,
      name: parsedTorrent.name,
      length: parsedTorrent.length,
      pieceLength: parsedTorrent.pieceLength,
      lastPieceLength: parsedTorrent.lastPieceLength,
      pieces: parsedTorrent.pieces,
      private: parsedTorrent.private ?? false,
      announce: parsedTorrent.announce,
      urlList: parsedTorrent.urlList,
      createdBy: parsedTorrent.createdBy ?? null,
      files: parsedTorrent.files.map(({ path, length, offset }) => ({ path, length, offset })),
    });
  });
}

function summary(meta: Metainfo) {
  return {
    infoHash: meta.infoHash.hex,
    name: meta.name,
    length: meta.totalLength,
    pieceLength: meta.pieceLength,
    lastPieceLength: pieceSize(meta, meta.pieceCount - 1),
    pieces: Array.from({ length: meta.pieceCount }, (_, i) => toHex(pieceHash(meta, i))),
    private: meta.private,
    announce: meta.trackers.flat(),
    urlList: meta.webSeeds,
    createdBy: meta.createdBy,
    files: meta.files.map(({ path, length, offset }) => ({ path: path.join("/"), length, offset })),
  };
}

Deno.test("parseMetainfo() refuses the sample torrent corrupt, which has no name", () => {
  const error = assertThrows(() => parseMetainfo(TORRENTS["corrupt"]!.torrent), MetainfoError);
  assertEquals(error.message, "not a valid torrent (info.name): it is missing");
});

for (const name of ["leaves", "alice"]) {
  Deno.test(`pieceHash() and pieceSize() fit the content of the sample torrent ${name}`, async () => {
    const { torrent, content } = TORRENTS[name]!;
    const meta = parseMetainfo(torrent);
    assertEquals(content!.length, meta.totalLength);
    for (let index = 0; index < meta.pieceCount; index++) {
      const start = index * meta.pieceLength;
      const piece = content!.subarray(start, start + pieceSize(meta, index));
      const digest = await crypto.subtle.digest("SHA-1", piece);
      assertEquals(toHex(new Uint8Array(digest)), toHex(pieceHash(meta, index)));
    }
  });
}
