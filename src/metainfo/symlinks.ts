/**
 * Resolves the symbolic links of a torrent (BEP 47) before they are created.
 *
 * @module
 */

/** A file or symbolic link of the torrent. Padding is left out. */
export interface LinkEntry {
  /** Safe path before collisions were resolved, as links refer to it. */
  readonly path: readonly string[];
  /** Path that the file or link will have on disk. */
  readonly finalPath: readonly string[];
  /** Safe target path of a link; `null` for a file. */
  readonly target: readonly string[] | null;
}

/** Maximum number of links in one path, as in Linux. */
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
  /** Final target once `done`; `null` if the link leads nowhere. */
  end: Folder | File | null;
  /** Number of links followed to the final target, this link included. */
  hops: number;
}
type Node = Folder | File | Link;

/** Progress of resolving one link. */
interface Walk {
  readonly link: Link;
  node: Folder | File;
  step: number;
}

/**
 * Resolves the targets of links. A link is valid if it leads, directly or through other links, to a file or folder of
 * the torrent that does not contain the link itself. Any other link would dangle, loop, or lead out of the download
 * folder.
 *
 * @returns For each entry the target to write, relative to the download folder; `null` for a file or an invalid link.
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
  // Where names collide the first entry counts, and a folder takes precedence over a file, as on disk.
  if (!folder.entries.has(name)) folder.entries.set(name, node);
  return node;
}

/** Resolves a link. Not recursive, since a torrent can contain a chain of any length. Each link is resolved once. */
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

/** Advances until the walk ends, or returns a link that has to be resolved first. */
function advance(walk: Walk): Link | null {
  const { link } = walk;
  const target = link.entry.target!;
  for (; walk.step < target.length; walk.step++) {
    let next: Node | undefined = walk.node.kind === "folder" ? walk.node.entries.get(target[walk.step]!) : undefined;
    if (next?.kind === "link") {
      if (next.state === "new") return next;
      link.hops += next.hops;
      next = next.state === "done" && next.end ? next.end : undefined; // an open link leads back to itself
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

/** Returns `true` if a path leads through a folder. */
function holds(root: Folder, folder: Folder, path: readonly string[]): boolean {
  let node: Node | undefined = root;
  for (const name of path) {
    if (node === folder) return true;
    node = node?.kind === "folder" ? node.entries.get(name) : undefined;
  }
  return false;
}

/** Returns a valid target with the names that files and links have on disk. Folders are never renamed. */
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
