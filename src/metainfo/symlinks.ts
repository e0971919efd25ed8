/**
 * Symbolic links of a torrent (BEP 47), followed before they are made.
 *
 * @module
 */

/** An entry of the torrent that takes part: files and links, no padding. */
export interface LinkEntry {
  /** Its safe path as the torrent names it, before collisions were resolved. */
  readonly path: readonly string[];
  /** The path that it will have. */
  readonly finalPath: readonly string[];
  /** For a link, the safe path that it points to; `null` for a file. */
  readonly target: readonly string[] | null;
}

/** As many links as Linux follows in one path. */
const MAX_HOPS = 40;

interface Folder {
  readonly kind: "folder";
  readonly entries: Map<string, Node>;
}
interface File {
  readonly kind: "file";
  readonly finalPath: readonly string[];
}
interface Link {
  readonly kind: "link";
  readonly entry: LinkEntry;
  state: "new" | "open" | "done";
  /** Where it leads in the end, once `done`; `null` when it leads nowhere. */
  end: Folder | File | null;
  /** How many links are followed to get there, this one included. */
  hops: number;
}
type Node = Folder | File | Link;

/** How far the target of one link has been followed. */
interface Walk {
  readonly link: Link;
  node: Folder | File;
  step: number;
}

/**
 * Checks where links lead. A link is good when following it, through other links if need be, ends at a file or folder of the torrent
 * that does not contain the link itself. Others would dangle, loop or, where the system follows them out of the folder, do harm.
 *
 * @param entries Files and links.
 * @returns For each entry the target to write, as a path from the download folder on, or `null` for a file or a bad link.
 */
export function resolveLinks(entries: readonly LinkEntry[]): (readonly string[] | null)[] {
  if (!entries.some((entry) => entry.target)) return entries.map(() => null);
  const root: Folder = { kind: "folder", entries: new Map() };
  const nodes = entries.map((entry) => addEntry(root, entry));
  return nodes.map((node) => {
    if (node?.kind !== "link") return null;
    follow(root, node);
    const { end, entry } = node;
    if (!end || (end.kind === "folder" && holds(root, end, entry.path))) return null;
    return finalTarget(root, entry.target!);
  });
}

function addEntry(root: Folder, entry: LinkEntry): Node | null {
  let folder = root;
  for (const name of entry.path.slice(0, -1)) {
    let next = folder.entries.get(name);
    if (next?.kind !== "folder") {
      next = { kind: "folder", entries: new Map() };
      folder.entries.set(name, next);
    }
    folder = next;
  }
  const name = entry.path.at(-1)!;
  const node: Node = entry.target
    ? { kind: "link", entry, state: "new", end: null, hops: 0 }
    : { kind: "file", finalPath: entry.finalPath };
  // Where names collide the first one is meant, and a folder before a file, as it is on disk.
  if (!folder.entries.has(name)) folder.entries.set(name, node);
  return node;
}

/** Follows a link without recursion, since a torrent can hold a chain of any length; what was followed once is known. */
function follow(root: Folder, first: Link): void {
  const walks: Walk[] = [];
  const open = (link: Link): void => {
    link.state = "open";
    link.hops = 1;
    walks.push({ link, node: root, step: 0 });
  };
  if (first.state === "new") open(first);
  for (let walk = walks.at(-1); walk; walk = walks.at(-1)) {
    const next = advance(walk);
    if (next) open(next);
    else walks.pop();
  }
}

/** Goes on with one walk until it ends or needs a link that has not been followed; returns that one. */
function advance(walk: Walk): Link | null {
  const { link } = walk;
  const target = link.entry.target!;
  for (; walk.step < target.length; walk.step++) {
    let next: Node | undefined = walk.node.kind === "folder" ? walk.node.entries.get(target[walk.step]!) : undefined;
    if (next?.kind === "link") {
      if (next.state === "new") return next;
      link.hops += next.hops;
      next = next.state === "done" && next.end ? next.end : undefined; // one that is open leads back to itself
    }
    if (!next || link.hops > MAX_HOPS) {
      link.state = "done";
      return null;
    }
    walk.node = next;
  }
  link.state = "done";
  link.end = walk.node;
  return null;
}

/** Whether a path goes through a folder. */
function holds(root: Folder, folder: Folder, path: readonly string[]): boolean {
  let node: Node | undefined = root;
  for (const name of path) {
    if (node === folder) return true;
    node = node?.kind === "folder" ? node.entries.get(name) : undefined;
  }
  return false;
}

/** A target that leads somewhere, with the names that its files and links got if they had to be renamed; folders never are. */
function finalTarget(root: Folder, target: readonly string[]): readonly string[] {
  const path: string[] = [];
  let node: Folder | File | null = root;
  for (const name of target) {
    const next: Node | undefined = node?.kind === "folder" ? node.entries.get(name) : undefined;
    if (next?.kind === "file") path.push(next.finalPath.at(-1)!);
    else if (next?.kind === "link") path.push(next.entry.finalPath.at(-1)!);
    else path.push(name);
    node = next?.kind === "link" ? next.end : next ?? null;
  }
  return path;
}
