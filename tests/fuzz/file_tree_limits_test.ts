import { assertThrows } from "@std/assert";
import { utf8 } from "../../src/base/bytes.ts";
import { MAX_FOLDERS } from "../../src/base/defences.ts";
import { MAX_FILES } from "../../src/metainfo/files.ts";
import { MetainfoError, parseMetainfo } from "../../src/metainfo/mod.ts";

Deno.test("parseMetainfo() refuses more folders and files than there may be, in little time", () => {
  const torrent = (entry: string, count: number) => {
    const names = Array.from({ length: count }, (_, i) => `5:${i.toString(36).padStart(5, "0")}${entry}`).join("");
    return utf8(`d4:infod9:file treed${names}e12:meta versioni2e4:name1:n12:piece lengthi16384eee`);
  };
  assertThrows(() => parseMetainfo(torrent("de", MAX_FOLDERS + 1)), MetainfoError, `more than ${MAX_FOLDERS} folders`);
  assertThrows(() => parseMetainfo(torrent("d0:d6:lengthi0eee", MAX_FILES + 1)), MetainfoError, `${MAX_FILES} files`);
});
