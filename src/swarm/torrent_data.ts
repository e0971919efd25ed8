/**
 * The data of one torrent, from the check of the disk to completion, and its loss.
 *
 * @module
 */

import { hasLayers, infoHashesOf, type Metainfo } from "../metainfo/mod.ts";
import type { Block } from "../peer/mod.ts";
import type { StartMode } from "../storage/mod.ts";
import { Content } from "./content.ts";
import { folderToOpen } from "./incomplete_folder.ts";
import { failureOf, nothingToSeed, partlySeeded } from "./torrent_failure.ts";
import { isOver } from "./torrent_state.ts";
import type { TorrentCore } from "./torrent_core.ts";

/** What becomes of a torrent's data. */
export class TorrentData {
  readonly #core: TorrentCore;
  /** Blocks that could not be read and are still to be handled, at most one per piece. */
  readonly #lost = new Map<number, Block>();

  /** @param core The torrent. */
  constructor(core: TorrentCore) {
    this.#core = core;
  }

  /** Makes the content of the torrent, which is not opened yet. */
  newContent(meta: Metainfo): Content {
    const { shared, limits } = this.#core.options;
    const add = this.#core.add;
    // Events of a content that was replaced, or that only moves files, are ignored.
    const isOurs = () => this.#core.attached && this.#core.content === content;
    const content: Content = new Content({
      peers: () => this.#core.swarm.peers,
      hostOf: (connection) => this.#core.swarm.hostOf(connection),
      ban: (host, reason) => this.#core.swarm.ban(host, reason),
      pieceDone: (index) => {
        if (!isOurs()) return;
        this.#core.reading.readers.arrived(index);
        this.#core.swarm.pieceDone(index);
      },
      blocksReadable: (index) => {
        if (isOurs()) this.#core.reading.readers.readable(index);
      },
      allDone: () => {
        if (isOurs()) this.#allDone();
      },
      unreadable: (block) => {
        if (isOurs()) this.#unreadable(block);
      },
      failed: (error) => {
        if (isOurs()) this.#core.fail(error);
      },
      tell: (event) => this.#core.tell(event),
    }, {
      ...shared,
      meta,
      limits,
      folder: this.#core.folder,
      files: this.#core.selection?.files,
      sequential: add.sequential ?? false,
      priorities: this.#core.priorities,
      readOnly: add.seedOnly ?? false,
      webSeeds: this.#core.moreWebSeeds,
      blockHashes: hasLayers(meta) ? this.#core.swarm.blockHashes : null,
      onWarning: (error) => this.#core.warn(error),
    });
    return content;
  }

  replaceContent(old: Content): void {
    this.#core.replacedDownloaded += old.downloaded;
    this.#core.content = this.newContent(old.meta);
  }

  /** Checks the disk, attaches the content and goes to work. */
  async check(mode: StartMode, signal: AbortSignal): Promise<void> {
    if (this.#core.state !== "checking") this.#core.enter("checking");
    if (!this.#core.isPlaced) {
      await this.#place();
      signal.throwIfAborted();
    }
    // The content of a torrent that failed is closed; a new one opens the same files.
    if (this.#core.content!.closed) this.replaceContent(this.#core.content!);
    const content = this.#core.content!;
    await content.open(mode, signal);
    signal.throwIfAborted();
    await this.judgeSeed(content, signal);
    this.#core.attached = true;
    this.#core.swarm.attach(content);
    this.#core.reading.readers.checked();
    await this.checked(signal);
  }

  /** Finds out in which folder the data is. */
  async #place(): Promise<void> {
    const { folder, incomplete = folder } = this.#core.add;
    const { platform: { files } } = this.#core.options.shared;
    const infoHash = infoHashesOf(this.#core.meta!).onWire[0]!;
    const place = await folderToOpen(this.#core.meta!, { files, infoHash, folder, incomplete });
    this.#core.isPlaced = true;
    if (place === this.#core.folder) return;
    await this.#core.content!.close("its data is elsewhere");
    this.#core.folder = place;
    this.replaceContent(this.#core.content!);
  }

  /** `true` if the data has to be moved from the folder for unfinished data when it is complete. */
  get #isAway(): boolean {
    return this.#core.folder !== this.#core.add.folder;
  }

  /** Moves complete data to its folder. */
  async #moveHome(content: Content): Promise<void> {
    if (!this.#isAway) return;
    const { folder } = this.#core.add;
    await content.move(folder, { signal: this.#core.abort.signal });
    this.movedTo(folder);
  }

  /**
   * Warns if the torrent may only be seeded and pieces are missing.
   *
   * @throws {ShoalError} If there is none.
   * @throws The signal's reason, when it is aborted.
   */
  async judgeSeed(content: Content, signal: AbortSignal): Promise<void> {
    const { have, meta } = content;
    const { seedOnly, folder } = this.#core.add;
    if (!seedOnly || content.verified === content.size) return;
    const where = `${meta.name} in ${folder}`;
    if (!have.isEmpty) return this.#core.tell({ event: "warning", message: partlySeeded(have), where });
    const searched = await content.searched();
    signal.throwIfAborted();
    throw nothingToSeed(where, searched);
  }

  /** Called when the state on disk is known. */
  async checked(signal: AbortSignal): Promise<void> {
    if (this.#core.content!.complete) {
      await this.#core.content!.flush();
      signal.throwIfAborted();
      await this.#moveHome(this.#core.content!);
      signal.throwIfAborted();
      return this.#completed();
    }
    this.#isUnfinished();
    this.#core.enterWanted();
  }

  /** Called when every wanted byte is verified and under its final name. */
  #completed(): void {
    if (this.#core.state === "error" || isOver(this.#core.state)) return;
    this.#core.enterWanted();
    // A torrent that may only be seeded is complete with what is there, which may not be all that is wanted.
    const { verified, size } = this.#core.content!;
    if (this.#core.isFinished || verified < size) return;
    this.#core.isFinished = true;
    const seconds = (this.#core.options.shared.platform.now() - this.#core.startedAt) / 1000;
    const bytes = this.#core.downloaded;
    const rate = seconds > 0 ? bytes / seconds : 0;
    const paths = this.#core.content!.finalPaths(this.#core.wantedFiles);
    const downloading = this.#core.downloading / 1000;
    this.#core.tell({ event: "completed", name: this.#core.name, seconds, bytes, rate, downloading, paths });
    this.#core.finish.resolve();
  }

  /** Called when the wanted pieces or the pieces on disk have changed. */
  async settle(): Promise<void> {
    const { complete, settled } = this.#core.content!;
    this.#core.reading.readers.checked();
    if (!complete) this.#isUnfinished();
    else if (!this.#core.isFinished) this.#core.swarm.complete();
    if (this.#core.state === "checking" || this.#core.state === "error") return;
    if (complete && !settled) await this.#finishFiles();
    else this.#core.enterWanted();
  }

  /** Called when pieces are missing again: `finished` becomes a new promise. */
  #isUnfinished(): void {
    // Useless peers were dropped at completion even if the last file was still being flushed.
    this.#core.swarm.wantsMore();
    if (!this.#core.isFinished) return;
    this.#core.renewFinished();
    this.#core.finder.needPeers();
  }

  /** Counts verified pieces that can't be read any more as missing. All other pieces are still served. */
  #unreadable(block: Block): void {
    const isFirst = this.#lost.size === 0;
    this.#lost.set(block.index, block);
    if (!isFirst) return;
    void this.#core.doInTurn(async (signal) => {
      const blocks = [...this.#lost.values()];
      this.#lost.clear();
      if (!this.#core.attached) return;
      const { pieces, error } = await this.#core.content!.readAgain(blocks);
      signal.throwIfAborted();
      if (pieces.length === 0) return;
      const which = pieces.length === 1 ? `piece ${pieces[0]}` : `${pieces.length} pieces`;
      const { message, where } = failureOf(error);
      const words = `${which} can't be read and counts as missing: ${message}`;
      this.#core.tell({ event: "warning", message: words, where, loses: true });
      await this.#core.content!.forget(pieces);
      signal.throwIfAborted();
      // The disk may be unmounted: nothing can be served without it.
      if (this.#core.add.seedOnly && this.#core.have.isEmpty) throw error;
      await this.settle();
    });
  }

  /** Called when every wanted piece is verified. The last of them may not be flushed yet. */
  #allDone(): void {
    // A partial download is no completion (BEP 21). Trackers hear of it with the next announce.
    if (this.#core.have.isFull) this.#core.finder.completed();
    else this.#core.finder.needPeers();
    this.#core.swarm.complete();
    if (this.#isAway) void this.#core.doInTurn(() => this.#finishFiles());
    else void this.#finishFiles();
  }

  #finishFiles(): Promise<void> {
    const content = this.#core.content!;
    const { signal } = this.#core.attempt;
    // A check that has begun meanwhile reports the completion itself.
    const isDone = () => !signal.aborted && this.#core.state !== "checking" && content.settled;
    const finish = async (): Promise<void> => {
      await content.flush();
      if (isDone()) await this.#moveHome(content);
      if (isDone()) this.#completed();
    };
    return finish().catch((error) => {
      if (!signal.aborted) this.#core.fail(error);
    });
  }

  /** Called when all data is in another folder, and stays there. */
  movedTo(folder: string): void {
    const { incomplete: _, ...add } = this.#core.add;
    this.#core.add = { ...add, folder };
    this.#core.folder = folder;
    this.#core.changed("folder");
  }
}
