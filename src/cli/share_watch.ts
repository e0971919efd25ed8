/**
 * Detects changes of shared files after they were hashed. Changed data would fail every peer's hash check.
 *
 * @module
 */

import { ShoalError } from "../base/errors.ts";
import { plural } from "../base/plural.ts";
import { FileError } from "../platform/file_errors.ts";
import type { Platform, Timer } from "../platform/platform.ts";
import type { SourceFile } from "../session/create_torrent.ts";
import type { Watch } from "./seed_goals.ts";

/** Milliseconds between two checks of all files. */
const LOOK_MS = 5_000;

/**
 * Checks files periodically until one has changed or can't be checked.
 *
 * @param files The files as they were before hashing.
 * @param platform Timers and files.
 * @returns A wait for the error to exit with, of kind `storage`.
 */
export function untilChanged(
  files: readonly SourceFile[],
  platform: Pick<Platform, "after" | "files">,
): Watch<ShoalError> {
  let timer: Timer | undefined;
  let isOver = false;
  const done = new Promise<ShoalError>((resolve) => {
    const look = async (): Promise<void> => {
      for (const file of files) {
        const error = await changeOf(file, platform.files);
        if (isOver) return;
        if (error !== null) return resolve(error);
      }
      timer = platform.after(LOOK_MS, () => void look());
    };
    void look();
  });
  const cancel = (): void => {
    isOver = true;
    timer?.cancel();
  };
  return { done, cancel };
}

async function changeOf(file: SourceFile, files: Pick<Platform["files"], "stat">): Promise<ShoalError | null> {
  try {
    const now = await files.stat(file.source);
    if (now?.kind !== "file") return changed(file, now === null ? "it is gone" : "it is no file any more");
    if (now.id !== file.id) return changed(file, "another file is in its place");
    if (now.size !== file.length) return changed(file, `it has ${plural(now.size, "byte")}, and had ${file.length}`);
    if (now.modified !== file.modified) return changed(file, "it was written to");
    return null;
  } catch (error) {
    return changed(file, error instanceof FileError ? error.why : String(error));
  }
}

function changed({ source }: SourceFile, why: string): ShoalError {
  return new ShoalError("storage", {
    what: "what is shared has changed",
    where: source,
    why,
    hint: "share it again: the link will be another one; --exclude leaves out what goes on changing",
  });
}
