/**
 * Interface to the outside: every clock, timer, random byte, socket and file that Shoal uses comes through a
 * {@linkcode Platform}. The real one is in `deno_platform.ts`; tests and simulations have their own.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { PeerAddress } from "../base/address.ts";
import type { DataMemory } from "../base/data_memory.ts";
import type { PieceHashing } from "../base/piece_verifier.ts";
import type { Reach } from "../base/networks.ts";

/** Access to everything outside the program. */
export interface Platform extends Clock {
  /** Starts a one-shot timer. */
  after(milliseconds: number, run: () => void): Timer;
  /** Settles after due timers and socket events were handled. */
  yieldToEventLoop(): Promise<void>;
  /**
   * Collects garbage, which takes tens of milliseconds. Called after a large object was built from many temporary ones.
   * Absent unless the engine was started with `--expose-gc`.
   */
  collectGarbage?(): void;
  /** Returns random bytes. */
  randomBytes(length: number): Bytes;
  /** Returns a uniform random number from 0 (included) to 1 (excluded). */
  random(): number;
  /** Computes a SHA-1 digest on another thread. `data` must not change until the promise settles. */
  sha1(data: Bytes): Promise<Bytes>;
  /**
   * Computes the SHA-256 digests of the 16 KiB blocks of data, and the root of the Merkle tree above them (BEP 52), on
   * another thread. `data` must not change until the promise settles.
   *
   * @param data At least one byte. The last block may be shorter.
   * @param leaves Leaves of the tree, a power of two, at least one for each block. The others are 32 zeros.
   * @param options See {@linkcode BlockHashOptions}.
   */
  blockHashes(data: Bytes, leaves: number, options?: BlockHashOptions): Promise<BlockHashes>;
  /** Starts a digest of data that arrives in parts, computed on the caller's thread. */
  digest(algorithm: "sha1" | "sha256"): Digest;
  /**
   * Opens memory for data, on which other threads work where it lies: digests by {@linkcode Platform.sha1} and
   * {@linkcode Platform.blockHashes} and the transfers of a {@linkcode FileHandle} don't copy it. Absent where everything runs on one thread.
   *
   * @param bytes Bytes that will be in use at most, besides the buffers of connections.
   * @returns The memory, which has to be closed.
   */
  openMemory?(bytes: number): DataMemory;
  /**
   * Settles the promises of work that other threads have done. Called after each read from a socket, which saves those
   * threads the waking of this one.
   */
  collectResults?(): void;
  /**
   * Starts hashing files on one thread per core. Absent where everything runs on one thread, as in a simulation.
   *
   * @returns The hashers, which have to be closed, or `null` where a single core would gain nothing.
   */
  startFileHashers?(): FileHashers | null;
  /**
   * Starts hashing files for v2 torrents (BEP 52) on the same threads. Absent where everything runs on one thread.
   *
   * @returns The hashers, which have to be closed, or `null` where a single core would gain nothing.
   */
  startTreeHashers?(): TreeHashers | null;
  /** TCP and UDP. */
  readonly net: Network;
  /** HTTP client and server. */
  readonly http: Http;
  /** Files. */
  readonly files: FileSystem;
  /**
   * Opens a database in a file, which is created if missing, for the user alone (mode 0600). Absent on a platform
   * without databases, where nothing is kept in one.
   *
   * @param path Path of the file. SQLite's other files lie beside it.
   * @returns The database, which has to be closed.
   * @throws {DatabaseError} If the database can't be used.
   */
  openDatabase?(path: string): Promise<Database>;
}

/** Monotonic and wall clock. */
export interface Clock {
  /** Returns milliseconds on a monotonic clock, whose zero is arbitrary. */
  now(): number;
  /** Returns milliseconds since 1970 on the system clock, which may be set. */
  wallClock(): number;
}

/** Incremental digest. */
export interface Digest {
  /** Adds the next bytes. */
  update(bytes: Bytes): void;
  /** Returns the digest. Nothing may be added afterwards. */
  digest(): Bytes;
}

/** Options for {@linkcode Platform.blockHashes}. */
export interface BlockHashOptions {
  /** Zeros behind the data that a SHA-1 digest covers as well; no SHA-1 digest is computed when `null` or absent. */
  readonly sha1Padding?: number | null;
}

/** Result of {@linkcode Platform.blockHashes}. */
export interface BlockHashes {
  /** SHA-256 digests of the blocks, one after the other. */
  readonly blocks: Bytes;
  /** Root of the tree. */
  readonly root: Bytes;
  /** SHA-1 digest of the data and the padding behind it, if it was wanted. */
  readonly sha1?: Bytes;
}

/** Threads that read files and hash them. They are started one by one as needed. */
export interface FileHashers {
  /** Batches that should be under way so that no thread ever waits for the next one. */
  readonly lanes: number;
  /**
   * Reads consecutive pieces and hashes them.
   *
   * @returns Digests of the pieces, one after the other.
   * @throws {Error} If a file can't be read, a thread has failed, or the hashers were closed. The error has no details;
   * opening the file gives the reason.
   */
  hash(batch: HashBatch): Promise<Bytes>;
  /** Ends the threads, or leaves them running while other users have not closed them. Harmless when closed. */
  close(): void;
}

/** Threads that read files and hash them for v2 torrents (BEP 52). */
export interface TreeHashers {
  /** Batches that should be under way so that no thread ever waits for the next one. */
  readonly lanes: number;
  /**
   * Reads consecutive pieces of a file and hashes them.
   *
   * @returns For each piece its hash of 32 bytes in the layer, and if there is `padding` its SHA-1 digest.
   * @throws {Error} As {@linkcode FileHashers.hash}.
   */
  hashTree(batch: TreeBatch): Promise<Bytes>;
  /** Ends the threads, or leaves them running while other users have not closed them. Harmless when closed. */
  close(): void;
}

/** What is wanted of consecutive pieces of a file. */
export interface TreePieces {
  /** Bytes of every piece but the last, which has the rest. A multiple of 16 KiB. */
  readonly pieceLength: number;
  /** Layer of the hash of a piece; 0 for the blocks of 16 KiB. */
  readonly layer: number;
  /** Zeros behind the last piece that its SHA-1 digest covers as well; `null` if no SHA-1 digests are wanted. */
  readonly padding: number | null;
}

/** Consecutive pieces of a file to hash for a v2 torrent. */
export interface TreeBatch extends TreePieces, FileSegment {
  /** Path of the file. */
  readonly path: string;
}

/** Consecutive pieces to hash. */
export interface HashBatch {
  /** Parts of files with the data of the pieces, in order. */
  readonly segments: readonly FileSegment[];
  /** Bytes of every piece but the last, which has the rest. */
  readonly pieceLength: number;
  /** How each piece is hashed. */
  readonly hashing: PieceHashing;
}

/** Part of a file. */
export interface FileSegment {
  /** Path of the file; `null` for zeros that are in no file. */
  readonly path: string | null;
  /** Offset of the first byte in the file. */
  readonly position: number;
  /** Bytes. */
  readonly length: number;
}

/** A started timer. */
export interface Timer {
  /** Stops the timer. Harmless after it has run. */
  cancel(): void;
}

/** Options for {@linkcode Network.dial}. */
export interface TcpDialOptions {
  /** Local address to connect from; chosen by the system by default. */
  readonly bind?: string;
  /** Aborts the attempt. */
  readonly signal: AbortSignal;
}

/** Options for {@linkcode Network.listen}. */
export interface TcpListenOptions {
  /** Local address. `::` listens on both families where the system has both. */
  readonly host: string;
  /** Port; 0 for any. */
  readonly port: number;
}

/** TCP, UDP and name resolution. */
export interface Network {
  /**
   * Connects to a peer.
   *
   * @param address Address of the peer.
   * @param options See {@linkcode TcpDialOptions}.
   * @throws {Error} If the connection fails.
   * @throws {ShoalError} Of kind `network` if no connection can be made from `bind`.
   */
  dial(address: PeerAddress, options: TcpDialOptions): Promise<Connection>;
  /**
   * Listens for peers.
   *
   * @param options See {@linkcode TcpListenOptions}.
   * @throws {ShoalError} Of kind `network` if the port is taken or not permitted.
   */
  listen(options: TcpListenOptions): Listener;
  /**
   * Opens a UDP socket.
   *
   * @param options See {@linkcode UdpOptions}.
   * @throws {ShoalError} Of kind `network` if the port is taken or not permitted.
   */
  openUdp(options: UdpOptions): UdpSocket;
  /** Returns this machine's address in each of its networks, or none without permission. Absent with one network. */
  localAddresses?(): readonly LocalAddress[];
  /**
   * Resolves a host name.
   *
   * @param host A name, not a literal address.
   * @returns Literal IP addresses, at least one.
   * @throws {Error} If the name is unknown.
   */
  resolve(host: string): Promise<string[]>;
}

/** Address of this machine. */
export interface LocalAddress {
  /** Literal address. A link-local one has its zone. */
  readonly host: string;
  /** Prefix length of its network in bits. */
  readonly prefix: number;
  /** Name of the network interface. */
  readonly name: string;
}

/** TCP connection. One read and one write may be under way at the same time. */
export interface Connection {
  /** Address of the other end. */
  readonly remote: PeerAddress;
  /** Address of this end. */
  readonly local: PeerAddress;
  /** Reads at least one byte. Returns the number of bytes, or `null` at the end of the stream. */
  read(into: Bytes): Promise<number | null>;
  /** Writes some bytes and returns how many. */
  write(bytes: Bytes): Promise<number>;
  /** Closes both directions. Pending reads and writes fail. Harmless when closed. */
  close(): void;
}

/** A listening socket. */
export interface Listener {
  /** Address that the socket listens on. */
  readonly address: PeerAddress;
  /** Waits for the next connection. Returns `null` once the listener is closed. */
  accept(): Promise<Connection | null>;
  /** Stops listening. */
  close(): void;
}

/** Options for {@linkcode Network.openUdp}. */
export interface UdpOptions {
  /** Local address. `::` binds to both families where the system has both. */
  readonly host: string;
  /** Port; 0 for any. */
  readonly port: number;
  /** Lets other programs use the same port, as needed for a multicast group. `false` by default. */
  readonly shared?: boolean;
}

/** UDP socket. Only one receive may be under way at a time. */
export interface UdpSocket {
  /** Address that the socket is bound to. */
  readonly address: PeerAddress;
  /**
   * Sends a datagram. A datagram that the system refuses (no route, no buffer space) counts as lost on the way and is
   * not an error.
   *
   * @param bytes Data, which must not change until the promise settles.
   * @param to Receiver.
   */
  send(bytes: Bytes, to: PeerAddress): Promise<void>;
  /**
   * Waits for the next datagram.
   *
   * @param into Buffer for the data. What doesn't fit is lost.
   * @returns Length and sender, or `null` once the socket is closed.
   */
  receive(into: Bytes): Promise<{ readonly length: number; readonly from: PeerAddress } | null>;
  /**
   * Joins a multicast group.
   *
   * @param group Address of the group.
   * @param local Address of this machine in the network where the group is joined; chosen by the system by default.
   * @throws {Error} If the network has no multicast of that family.
   */
  join(group: string, local?: string): Promise<void>;
  /** Closes the socket. Harmless when closed. */
  close(): void;
}

/** HTTP for trackers and web seeds, and HTTP servers. */
export interface Http {
  /**
   * Sends a request, follows redirects, and reads and decodes the whole body.
   *
   * @throws {HttpError} If there is no response in time, or the body is too large.
   */
  request(request: HttpRequest): Promise<HttpResponse>;
  /**
   * Sends a `GET`, follows redirects, and returns a response whose body is read in parts. Data that isn't read stays
   * with the server. The request asks for no compression, and the body is not decoded, whatever its label.
   *
   * @returns The response with any status. It has to be read to its end or cancelled.
   * @throws {HttpError} If there is no response in time.
   */
  stream(request: HttpStreamRequest): Promise<HttpStream>;
  /**
   * Makes room for a connection that is kept from one {@linkcode Http.stream} to the next. Absent where connections
   * cost nothing.
   *
   * @returns The room, which has to be closed.
   */
  keep?(): KeptConnection;
  /**
   * Serves HTTP/1.1 until closed, whatever clients do: silent, slow and excess connections are closed, and a shortage
   * of file descriptors is waited out. A response without `content-length` whose body is not available at once is sent
   * in chunks. Bodies are read as fast as the client takes them.
   *
   * @throws {ShoalError} Of kind `network` if the port is taken or not permitted.
   */
  serve(options: HttpServeOptions, handle: HttpHandler): HttpServer;
}

/**
 * Answers a request. An exception is answered with status 500.
 *
 * @param request The request.
 * @param from Address of the client.
 */
export type HttpHandler = (request: HttpServerRequest, from: PeerAddress) => HttpAnswer | Promise<HttpAnswer>;

/** Response of an {@linkcode HttpHandler}. */
export type HttpAnswer = Response | ShortHttpAnswer;

/** A response whose body is available as bytes. It costs half as much as a `Response`, whose body is a stream. */
export interface ShortHttpAnswer {
  /** Status code. */
  readonly status: number;
  /** Header fields without `content-length`, which the server adds. */
  readonly headers: Iterable<readonly [name: string, value: string]>;
  /** Body. */
  readonly content: Bytes;
}

/** Options for {@linkcode Http.serve}. */
export interface HttpServeOptions {
  /** Local address to listen on. */
  readonly host: string;
  /** Port to listen on; 0 for any. */
  readonly port: number;
  /** Largest body of a request in bytes; 1 MiB by default. */
  readonly maxBody?: number;
  /** Returns `true` for addresses with many clients, which get more connections; by default only this machine. */
  readonly hasManyClients?: (host: string) => boolean;
  /** Called with a message for the user when no connections can be accepted for now, and when they can again. */
  readonly warn?: (message: string) => void;
}

/**
 * Request to one of our servers, like a `Request`. The URL has path and query as received. The body is read as it
 * arrives. The signal fires when the client goes away.
 */
export type HttpServerRequest =
  & Pick<
    Request,
    "method" | "url" | "headers" | "body" | "signal" | "text" | "arrayBuffer"
  >
  & {
    /** Parses the body as JSON. */
    json(): Promise<unknown>;
  };

/**
 * Who named a URL, which decides where a request may go; see `http_guard.ts`.
 *
 * - `user`: the user typed it, and it may lead anywhere.
 * - `file`: a torrent or a magnet link names it as the URL of a file.
 * - `tracker`: a torrent or a magnet link names it as a tracker. `named` is the URL as named, before anything was
 *   added.
 * - `gateway`: a router named it. It must lead to a private network, and redirects are refused.
 */
export type UrlTrust =
  | { readonly by: "user" | "file" | "gateway" }
  | { readonly by: "tracker"; readonly named: string };

/** Request for {@linkcode Http.request}. */
export interface HttpRequest {
  /** Absolute `http:` or `https:` URL. */
  readonly url: string;
  /** Who named the URL; `file` by default. */
  readonly trust?: UrlTrust;
  /** `GET` by default. */
  readonly method?: "GET" | "POST";
  /** Header fields. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Body of a `POST`. */
  readonly body?: string;
  /** Returns a redirect that makes a `GET` of a `POST` (301, 302, 303) instead of following it. `false` by default. */
  readonly keepMethod?: boolean;
  /** Returns a redirect to a magnet link, in `magnet`, instead of refusing it. `false` by default. */
  readonly takesMagnet?: boolean;
  /** Called with the number of decoded bytes of the body before they are held. May abort `signal`. */
  readonly hold?: (bytes: number) => void;
  /** Milliseconds for the whole response. */
  readonly timeout: number;
  /** Largest body in bytes, after decoding. */
  readonly maxBytes: number;
  /** Aborts the request. */
  readonly signal?: AbortSignal;
  /** Local address to connect from. */
  readonly bind?: string;
}

/** Response of {@linkcode Http.request}. */
export interface HttpResponse {
  /** Status code. */
  readonly status: number;
  /** Header fields. */
  readonly headers: Headers;
  /** Decoded body. */
  readonly body: Bytes;
  /** URL of the response, after redirects. */
  readonly url: string;
  /** Reach of the addresses that the request may have gone to. Absent if a proxy has made it. */
  readonly reach?: Reach;
  /** Magnet link that the response redirects to, if any. */
  readonly magnet?: string;
}

/** Connection that is kept between requests to the same server. */
export interface KeptConnection {
  /** Closes the connection, if there is one. */
  close(): void;
}

/** Request for {@linkcode Http.stream}. */
export interface HttpStreamRequest {
  /** Absolute `http:` or `https:` URL. */
  readonly url: string;
  /** Who named the URL; `file` by default. */
  readonly trust?: UrlTrust;
  /** Header fields. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Milliseconds until the response must begin, redirects included. The time for its body is up to the reader. */
  readonly timeout: number;
  /** Aborts the request, or the reading of its body. */
  readonly signal?: AbortSignal;
  /** Local address to connect from. */
  readonly bind?: string;
  /** Keeps the connection after the response was read to its end, and reuses it; see {@linkcode Http.keep}. */
  readonly kept?: KeptConnection;
}

/** Response whose body is read in parts. */
export interface HttpStream {
  /** Status code. */
  readonly status: number;
  /** Header fields. */
  readonly headers: Headers;
  /** URL of the response, after redirects. */
  readonly url: string;
  /**
   * Reads the next bytes of the body.
   *
   * @returns At least one byte, to be used before the next call; `null` at the end.
   * @throws {HttpError} If the connection breaks, or the request was aborted.
   */
  read(): Promise<Bytes | null>;
  /** Ends the response early. Harmless when it has ended. */
  cancel(): void;
}

/** A running HTTP server. */
export interface HttpServer {
  /** Address that the server listens on. */
  readonly address: PeerAddress;
  /** Stops the server. Settles when it has stopped. */
  close(): Promise<void>;
}

/** Thrown when an HTTP request fails. */
export class HttpError extends Error {
  /** Name of the class, as shown with the error. */
  override name = "HttpError";
}

/**
 * How a file is opened.
 *
 * - `read`: for reading. The file must exist.
 * - `write`: for reading and writing. A missing file is created.
 * - `create`: for reading and writing. Fails if anything exists at the path, even a dangling link.
 * - `update`: for reading and writing. The file must exist.
 */
export type OpenMode = "read" | "write" | "create" | "update";

/** Options for files and folders with private content. */
export interface Secrecy {
  /**
   * Gives access to the user alone: a new file gets mode 0600 and a folder 0700, and an existing file that others may
   * read gets mode 0600. `false` by default. Windows has no such modes; there the rights of the parent folder apply.
   */
  readonly secret?: boolean;
}

/** Options for {@linkcode FileSystem.writeFile}. */
export interface WriteFileOptions extends Secrecy {
  /** `true` if no other process writes the file. A draft left by a crash is then reused. `false` by default. */
  readonly alone?: boolean;
}

/** Options for {@linkcode FileSystem.lock}. */
export interface LockOptions {
  /** Milliseconds to wait for another holder. An old runtime may wait longer. */
  readonly patience: number;
}

/** Files, by path. Every failure is a {@linkcode ShoalError} of kind `storage` that names the path. */
export interface FileSystem {
  /** Opens a file; see {@linkcode OpenMode}. */
  open(path: string, mode: OpenMode): Promise<FileHandle>;
  /** Returns information about a path, or `null` if nothing exists there. A symbolic link is not followed. */
  stat(path: string): Promise<FileInfo | null>;
  /** Moves a file and replaces one at `to`. Fails with `other-device` if `to` is on another file system. */
  rename(from: string, to: string): Promise<void>;
  /** Creates a folder and its parents. An existing folder keeps its rights. */
  makeFolder(path: string, options?: Secrecy): Promise<void>;
  /** Creates a symbolic link with the text `target`. Never replaces anything. */
  link(target: string, path: string): Promise<void>;
  /** Returns the text of a symbolic link. */
  readLink(path: string): Promise<string>;
  /** Removes a file, or a folder with its contents. Harmless if nothing exists. */
  remove(path: string): Promise<void>;
  /** Removes a folder if it is empty. Returns `true` if the folder doesn't exist afterwards. */
  removeFolder(path: string): Promise<boolean>;
  /** Returns the names in a folder, sorted. */
  list(path: string): Promise<string[]>;
  /** Reads a small file whole. Refuses one that is larger than `maxBytes`. */
  readFile(path: string, maxBytes: number, options?: Secrecy): Promise<Bytes>;
  /**
   * Writes a small file atomically: a reader, or a crash, sees the old or the new content. Settles when the new content
   * is on the device.
   */
  writeFile(path: string, bytes: Bytes, options?: WriteFileOptions): Promise<void>;
  /** Writes a small file that every user of the machine may read. A crash may leave a part of it, or nothing. */
  writeNote(path: string, bytes: Bytes): Promise<void>;
  /**
   * Takes an exclusive lock, across processes and within this one. The lock is released however the process ends.
   *
   * @param path Path of the lock file, which is created if missing.
   * @param options See {@linkcode LockOptions}.
   * @returns The lock, or `null` if it is held elsewhere.
   */
  lock(path: string, options: LockOptions): Promise<FileLock | null>;
  /** Returns the absolute path of an existing file, with all symbolic links resolved. */
  realPath(path: string): Promise<string>;
  /** Returns the file system of an existing path; `null` if the system may not be asked. Absent if it can't be. */
  disk?(path: string): Promise<Disk | null>;
}

/** A file system. */
export interface Disk {
  /** Identity of the file system; empty if unknown. */
  readonly device: string;
  /** Bytes that the user may still write. */
  readonly free: number;
}

/** A lock that is held. */
export interface FileLock {
  /** Releases the lock and removes its file. Never fails. */
  release(): Promise<void>;
}

/** Information about a path. */
export interface FileInfo {
  /** Kind of entry. */
  readonly kind: "file" | "folder" | "link" | "other";
  /** Size in bytes. */
  readonly size: number;
  /** Last modification, milliseconds since 1970. */
  readonly modified: number;
  /** Identity of the file: unique, and unchanged when the file is renamed; `null` if unknown. */
  readonly id: string | null;
  /** Whether its owner may execute it; absent where files have no such permission. */
  readonly executable?: boolean;
}

/** An open file. Calls may overlap, and take effect in order. */
export interface FileHandle {
  /** Reads up to `into.length` bytes at `position`. Returns how many, which is fewer only at the end of the file. */
  read(into: Bytes, position: number): Promise<number>;
  /** Writes all of `from` at `position`. */
  write(from: Bytes, position: number): Promise<void>;
  /** Sets the size. An added part reads as zeros and takes no space. */
  truncate(size: number): Promise<void>;
  /** Returns information about the open file, whatever is at its path now. */
  stat(): Promise<FileInfo>;
  /** Waits until the written data is on the device. */
  sync(): Promise<void>;
  /** Closes the file after the calls under way. */
  close(): Promise<void>;
}

/** Value of a database field. */
export type SqlValue = null | number | string | Uint8Array;

/** A row by column name. */
export type SqlRow = Readonly<Record<string, SqlValue>>;

/**
 * SQLite database. Calls are synchronous, so they must be short. Several processes may have the same file open. Every
 * failure is a {@linkcode ShoalError} of kind `storage`, a `DatabaseError`; one that is `locked` may be tried again.
 */
export interface Database {
  /** Runs statements without a result. */
  exec(sql: string): void;
  /** Prepares a statement, which can be used any number of times. */
  prepare(sql: string): Statement;
  /**
   * Runs `work` in a transaction: all of its changes are stored, or none, however the process ends.
   *
   * @param work Makes the changes. An exception undoes them, and is rethrown.
   * @returns The result of `work`.
   */
  transaction<T>(work: () => T): T;
  /** Closes the database. Harmless when closed. */
  close(): void;
}

/** Prepared statement of a {@linkcode Database}. Each `?` in it stands for a value. */
export interface Statement {
  /** Runs the statement and returns the number of changed rows. */
  run(...values: readonly SqlValue[]): number;
  /** Runs the statement and returns the first row, or `null` if there is none. */
  get(...values: readonly SqlValue[]): SqlRow | null;
  /** Runs the statement and returns all rows. */
  all(...values: readonly SqlValue[]): SqlRow[];
}
