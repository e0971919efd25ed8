import { assertEquals } from "@std/assert";
import { Bitfield } from "../../src/base/bitfield.ts";
import { InfoHash } from "../../src/base/info_hash.ts";
import { denoPlatform } from "../../src/platform/deno_platform.ts";
import { ResumeKeeper } from "../../src/storage/resume_keeper.ts";
import type { ResumeState } from "../../src/storage/resume_state.ts";
import { MemoryFiles } from "../support/memory_files.ts";
import { settle } from "../support/virtual_clock.ts";

/** Notes how many states are being written at a time. */
class WatchedFiles extends MemoryFiles {
  writes = 0;
  most = 0;
  #now = 0;

  override async writeFile(...args: Parameters<MemoryFiles["writeFile"]>): Promise<void> {
    this.writes++;
    this.most = Math.max(this.most, ++this.#now);
    await settle();
    await super.writeFile(...args);
    this.#now--;
  }
}

Deno.test("ResumeKeeper writes one state at a time, also while files are being moved", async () => {
  const files = new WatchedFiles();
  const infoHash = new InfoHash(new Uint8Array(20).fill(1));
  const state: ResumeState = {
    infoHash,
    folder: "/dl",
    saved: 1,
    clean: false,
    pieces: new Bitfield(8),
    unsynced: new Bitfield(8),
    files: [],
  };
  const keeper = new ResumeKeeper({
    platform: { after: denoPlatform.after, files, sha1: denoPlatform.sha1 },
    stateFolder: "/state",
    infoHash,
    isAlone: () => true,
    isOwn: () => true,
    prepare: () => Promise.resolve(),
    snapshot: () => state,
    onTick() {},
    onWarning(error) {
      throw error;
    },
  });
  await keeper.load({ pieceCount: 8, fileCount: 0 }, { folder: "/dl" });
  const other = { ...state, folder: "/other" };
  await Promise.all([keeper.put(state), keeper.save(), keeper.put(other), keeper.save(), keeper.put(state)]);
  assertEquals([files.writes, files.most], [5, 1]);
});
