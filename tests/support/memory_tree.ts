/**
 * What is where in a file system in memory, and what a loss of power leaves of it.
 *
 * @module
 */

import type { Bytes } from "../../src/base/bytes.ts";
import { FileError } from "../../src/platform/file_errors.ts";

/** A file. */
export interface FileNode {
  readonly kind: "file";
  /** Differs from every other's. */
  readonly id: string;
  data: Bytes;
  modified: number;
  /** Data and time that a loss of power leaves for sure. */
  synced: { readonly data: Bytes; readonly modified: number };
  /** Goes up with every change. */
  version: number;
}

/** What is at a path. */
export type Node = FileNode | { readonly kind: "folder" } | { readonly kind: "link"; readonly target: string };

/**
 * What a loss of power leaves.
 *
 * Shoal syncs no folders but that of the resume state, so that other changes of names may be lost: of those `early` leaves
 * the ones before some moment, as a file system with a journal does; `any` leaves some and takes others, each whole. In
 * any case a file that was synced has the name that it had then: POSIX doesn't say so, but the file systems of Linux do it.
 */
export interface PowerLoss {
  /** Decides what is lost. */
  readonly random: () => number;
  /** Which changes of names are there afterwards. */
  readonly names: "all" | "early" | "any";
}

/** Of data that wasn't synced, each so many bytes are there or not. */
const SECTOR = 64;
/** The part of the changes of names that is lost where any may be. */
const LOST = 0.25;

let lastId = 0;

/** @returns A new file that holds `data`, safely. */
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

/** Gives a file another size. */
export function resize(node: FileNode, size: number): void {
  const data = new Uint8Array(size);
  data.set(node.data.subarray(0, size));
  node.data = data;
  node.version++;
}

/** Absolute paths with `/`; folder `/` is there. */
export class MemoryTree {
  /** By path without links. Change it through {@linkcode MemoryTree.change} only. */
  readonly nodes: ReadonlyMap<string, Node>;
  readonly #nodes: Map<string, Node>;
  /** How the names were when the file system was made. */
  readonly #before: ReadonlyMap<string, Node>;
  /** Every change of names since. */
  readonly #changes: ((nodes: Map<string, Node>) => void)[] = [];

  /** @param nodes What is there at the start. */
  constructor(nodes: Iterable<readonly [string, Node]> = [["/", { kind: "folder" }]]) {
    this.nodes = this.#nodes = new Map(nodes);
    this.#before = new Map(this.#nodes);
  }

  /** Makes one change of names, which happens whole or not at all. */
  change(make: (nodes: Map<string, Node>) => void): void {
    this.#changes.push(make);
    make(this.#nodes);
  }

  /** Makes a change of names that no loss of power undoes. */
  changeForGood(make: (nodes: Map<string, Node>) => void): void {
    make(this.#nodes);
    make(this.#before as Map<string, Node>);
  }

  /** Makes a file safe as it is, with its name. */
  sync(node: FileNode): void {
    node.synced = { data: node.data.slice(), modified: node.modified };
    const path = [...this.#nodes].find(([, other]) => other === node)?.[0];
    if (path === undefined) return; // it was removed while it was open
    this.changeForGood((nodes) => {
      for (const [name, other] of [...nodes]) if (other === node) nodes.delete(name);
      putWithFolders(nodes, path, node);
    });
  }

  /**
   * What the next process finds when this one is killed, or when the power fails.
   *
   * @param power What that leaves; when absent, everything is left.
   * @returns A tree of its own.
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
    // What lies in a folder that is lost is lost with it.
    for (const path of [...left.keys()].sort()) {
      if (path !== "/" && left.get(parentOf(path))?.kind !== "folder") left.delete(path);
    }
    return left;
  }

  /** Follows links in the folders above `path`, and in its last part if asked to. */
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

  /** Complains when the folder of `real` isn't there. */
  needFolder(real: string, what: string): void {
    const node = this.#nodes.get(parentOf(real));
    if (!node) throw new FileError("missing", { what, path: real });
    if (node.kind !== "folder") throw new FileError("not-a-folder", { what, path: real });
  }
}

/** Puts something at a path, and folders above it. */
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

/** Of what wasn't synced each sector, the size and the time are there or not, as chance has it. */
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
