/**
 * The contents of a file system in memory, and what a power failure leaves of them.
 *
 * @module
 */

import type { Bytes } from "../../src/base/bytes.ts";
import { FileError } from "../../src/platform/file_errors.ts";

/** A file. */
export interface FileNode {
  readonly kind: "file";
  /** Unique id. */
  readonly id: string;
  data: Bytes;
  modified: number;
  /** Data and time that survive a power failure. */
  synced: { readonly data: Bytes; readonly modified: number };
  /** Counts the changes. */
  version: number;
}

/** A file, folder or link. */
export type Node = FileNode | { readonly kind: "folder" } | { readonly kind: "link"; readonly target: string };

/**
 * What a power failure leaves.
 *
 * Shoal syncs no folder except the folder of the resume state, so other changes of names may be lost. `early` keeps the
 * changes before some moment, as a file system with a journal does. `any` keeps some changes and loses others, each as
 * a whole. In any case a synced file keeps the name that it had at the sync: POSIX doesn't promise this, but the file
 * systems of Linux do it.
 */
export interface PowerLoss {
  /** Random numbers that decide what is lost. */
  readonly random: () => number;
  /** Changes of names that survive. */
  readonly names: "all" | "early" | "any";
}

/** Unsynced data survives or is lost in units of this many bytes. */
const SECTOR = 64;
/** Part of the changes of names that `any` loses. */
const LOST = 0.25;

let lastId = 0;

/** Returns a new file that holds `data`, already synced. */
export function newFile(data: Uint8Array, modified: number): FileNode {
  const copy = new Uint8Array(data);
  return {
    kind: "file",
    id: `${++lastId}`,
    data: copy.slice(),
    modified,
    synced: { data: copy, modified },
    version: 0,
  };
}

/** Changes the size of a file. */
export function resize(node: FileNode, size: number): void {
  const data = new Uint8Array(size);
  data.set(node.data.subarray(0, size));
  node.data = data;
  node.version++;
}

/** Files, folders and links by absolute path. Folder `/` exists. */
export class MemoryTree {
  /** Nodes by path without links; changed only through {@linkcode MemoryTree.change}. */
  readonly nodes: ReadonlyMap<string, Node>;
  readonly #nodes: Map<string, Node>;
  /** Names that survive any power failure. */
  readonly #before: ReadonlyMap<string, Node>;
  /** Every change of names, in order. */
  readonly #changes: ((nodes: Map<string, Node>) => void)[] = [];

  constructor(nodes: Iterable<readonly [string, Node]> = [["/", { kind: "folder" }]]) {
    this.nodes = this.#nodes = new Map(nodes);
    this.#before = new Map(this.#nodes);
  }

  /** Makes one change of names, which survives a power failure as a whole or not at all. */
  change(make: (nodes: Map<string, Node>) => void): void {
    this.#changes.push(make);
    make(this.#nodes);
  }

  /** Makes a change of names that survives every power failure. */
  changeForGood(make: (nodes: Map<string, Node>) => void): void {
    make(this.#nodes);
    make(this.#before as Map<string, Node>);
  }

  /** Makes the data and the name of a file survive a power failure. */
  sync(node: FileNode): void {
    node.synced = { data: node.data.slice(), modified: node.modified };
    const path = [...this.#nodes].find(([, other]) => other === node)?.[0];
    if (path === undefined) return; // the file was removed while it was open
    this.changeForGood((nodes) => {
      for (const [name, other] of [...nodes]) if (other === node) nodes.delete(name);
      putWithFolders(nodes, path, node);
    });
  }

  /**
   * Returns a copy of what the next process finds after a kill or a power failure.
   *
   * @param power What the power failure leaves; everything is left when absent.
   */
  after(power?: PowerLoss): MemoryTree {
    const names = power === undefined || power.names === "all" ? this.#nodes : this.#namesLeft(power);
    const left = new Map<string, Node>();
    for (const [path, node] of names) {
      if (node.kind === "file") left.set(path, power === undefined ? copyOf(node, node) : dataLeft(node, power.random));
      else left.set(path, node);
    }
    return new MemoryTree(left);
  }

  #namesLeft({ random, names }: PowerLoss): Map<string, Node> {
    const end = names === "early" ? Math.floor(random() * (this.#changes.length + 1)) : this.#changes.length;
    const left = new Map(this.#before);
    for (const change of this.#changes.slice(0, end)) if (names === "early" || random() >= LOST) change(left);
    // The contents of a lost folder are lost with the folder.
    for (const path of [...left.keys()].sort()) {
      if (path !== "/" && left.get(parentOf(path))?.kind !== "folder") left.delete(path);
    }
    return left;
  }

  /** Resolves links in the folders above `path`, and in its last part if `followLast` is set. */
  resolve(path: string, followLast: boolean): string {
    if (!path.startsWith("/")) throw new Error(`MemoryFiles takes absolute paths, got "${path}"`);
    const todo = path.split("/").filter((part) => part !== "" && part !== ".");
    let real = "";
    for (let steps = 0; todo.length > 0; steps++) {
      if (steps > 100) throw new FileError("loop", { what: "cannot find", path });
      const part = todo.shift()!;
      if (part === "..") {
        real = real.slice(0, Math.max(0, real.lastIndexOf("/")));
        continue;
      }
      const node = this.#nodes.get(`${real}/${part}`);
      if (node?.kind === "link" && (todo.length > 0 || followLast)) {
        if (node.target.startsWith("/")) real = "";
        todo.unshift(...node.target.split("/").filter((name) => name !== "" && name !== "."));
        continue;
      }
      real = `${real}/${part}`;
    }
    return real === "" ? "/" : real;
  }

  /** Throws a {@linkcode FileError} if the folder of `real` doesn't exist. */
  needFolder(real: string, what: string): void {
    const node = this.#nodes.get(parentOf(real));
    if (!node) throw new FileError("missing", { what, path: real });
    if (node.kind !== "folder") throw new FileError("not-a-folder", { what, path: real });
  }
}

/** Puts a node at a path, and creates the folders above. */
export function putWithFolders(nodes: Map<string, Node>, path: string, node: Node): void {
  for (let at = path.indexOf("/", 1); at > 0; at = path.indexOf("/", at + 1)) {
    nodes.set(path.slice(0, at), { kind: "folder" });
  }
  nodes.set(path, node);
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}

function copyOf(node: FileNode, { data, modified }: { readonly data: Bytes; readonly modified: number }): FileNode {
  return { ...node, data: data.slice(), modified, synced: { data: data.slice(), modified } };
}

/** Keeps or loses each unsynced sector, the size and the time at random. */
function dataLeft(node: FileNode, random: () => number): FileNode {
  const { synced } = node;
  const data = node.data.slice(0, random() < 0.5 ? node.data.length : Math.min(node.data.length, synced.data.length));
  for (let at = 0; at < data.length; at += SECTOR) {
    if (random() < 0.5) continue;
    const end = Math.min(at + SECTOR, data.length);
    data.fill(0, at, end);
    if (at < synced.data.length) data.set(synced.data.subarray(at, end), at);
  }
  return copyOf(node, { data, modified: random() < 0.5 ? node.modified : synced.modified });
}
