/**
 * The only door to the outside: every clock, timer, random byte, socket and file that Shoal uses comes through a
 * {@linkcode Platform}. The real one is `deno_platform.ts`; tests and simulations bring their own.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { PeerAddress } from "../base/address.ts";
import type { Reach } from "../base/networks.ts";

/** Everything outside. */
export interface Platform extends Clock {
  /** Starts a one-shot timer. */
  after(milliseconds: number, run: () => void): Timer;
  /** Settles when timers and sockets that are due have had their turn. */
  giveWay(): Promise<void>;
  /**
   * Frees what nobody uses any more, which takes tens of milliseconds: for after something large that was made of much that
   * is over. Absent where the engine decides that alone, as it does unless it was started with `--expose-gc`.
   */
  collectGarbage?(): void;
  /** Fills an array with random bytes and returns it. */
  randomBytes(length: number): Bytes;
  /** A random number, uniform in 0 (included) to 1 (excluded). */
  random(): number;
  /** The SHA-1 digest, computed away from the caller's thread. `data` must not change until the promise settles. */
  sha1(data: Bytes): Promise<Bytes>;
  /** A digest of data that comes in parts, computed on the caller's thread. */
  digest(algorithm: "sha1" | "sha256"): Digest;
  /**
   * Hashes files on as many threads as there are cores. Absent where everything happens on one thread, as in a
   * simulation.
   *
   * @returns Who does it, or `null` when a single core would gain nothing by it. Close it when there is no more to hash.
   */
  startFileHashers?(): FileHashers | null;
  /** TCP and UDP. */
  readonly net: Network;
  /** HTTP client and server. */
  readonly http: Http;
  /** Files. */
  readonly files: FileSystem;
  /**
   * Opens a database in a file, which is made when it is missing and is for the user alone (mode 0600). Absent where there is
   * none, and nothing is kept in one.
   *
   * @param path Of the file; what the database needs besides lies beside it.
   * @returns The database; close it.
   * @throws {DatabaseError} If it can't be used.
   */
  openDatabase?(path: string): Promise<Database>;
}

/** Two clocks. */
export interface Clock {
  /** Milliseconds on a clock that never jumps; its zero means nothing. */
  now(): number;
  /** Milliseconds since 1970, on the clock that users set. */
  wallClock(): number;
}

/** A digest in the making. */
export interface Digest {
  /** Takes the next bytes in. */
  update(bytes: Bytes): void;
  /** The digest of it all; nothing may be taken in afterwards. */
  digest(): Bytes;
}

/** Threads that read files and hash them; they start one by one as there is work for them. */
export interface FileHashers {
  /** How many batches should be under way, so that no thread ever waits for the next one. */
  readonly lanes: number;
  /**
   * Reads pieces that follow each other and hashes them.
   *
   * @returns Their SHA-1 digests, one behind the other.
   * @throws {Error} If a file can't be read, a thread has failed, or this was closed. No more is told: whoever wants to
   * know what is wrong with a file opens it.
   */
  hash(batch: HashBatch): Promise<Bytes>;
  /** Ends the threads, unless others use them too: then what was begun is finished. Harmless when called again. */
  close(): void;
}

/** Pieces that follow each other. */
export interface HashBatch {
  /** Where their bytes are, in order. */
  readonly segments: readonly FileSegment[];
  /** Bytes in every piece but the last, which has the rest. */
  readonly pieceLength: number;
}

/** Bytes in one file. */
export interface FileSegment {
  /** The file; `null` for zeros that are in none. */
  readonly path: string | null;
  /** First byte in the file. */
  readonly position: number;
  /** Bytes. */
  readonly length: number;
}

/** A timer that was started. */
export interface Timer {
  /** Stops it; harmless when it has run. */
  cancel(): void;
}

/** TCP and UDP, as peers, trackers and the DHT need them. */
export interface Network {
  /**
   * Connects to a peer.
   *
   * @param address Where it listens.
   * @param options `bind`: local address to connect from. `signal`: gives up.
   * @throws {Error} If the connection fails.
   * @throws {ShoalError} Of kind `network` if no connection can be made from `bind`.
   */
  dial(address: PeerAddress, options: { readonly bind?: string; readonly signal: AbortSignal }): Promise<Connection>;
  /**
   * Listens for peers.
   *
   * @param options `host`: local address; `::` takes both families where the system has both. `port`: 0 for any.
   * @throws {ShoalError} Of kind `network` if the port is taken or may not be used.
   */
  listen(options: { readonly host: string; readonly port: number }): Listener;
  /**
   * Opens a socket for datagrams.
   *
   * @param options `host`: local address; `::` takes both families where the system has both. `port`: 0 for any.
   * @throws {ShoalError} Of kind `network` if the port is taken or may not be used.
   */
  openUdp(options: UdpOptions): UdpSocket;
  /**
   * The addresses of this machine, by which it is spoken to in each of its networks. Absent where there is but one network.
   *
   * @returns Them; none when the system doesn't let us know.
   */
  localAddresses?(): readonly LocalAddress[];
  /**
   * Looks up a host name.
   *
   * @param host A name, not a literal address.
   * @returns Literal IP addresses, at least one.
   * @throws {Error} If the name is not known.
   */
  resolve(host: string): Promise<string[]>;
}

/** An address of this machine. */
export interface LocalAddress {
  /** Literal address; one of a single link has its zone. */
  readonly host: string;
  /** Bits that name its network. */
  readonly prefix: number;
  /** Name of the interface. */
  readonly name: string;
}

/** One TCP connection. Reads and writes may be under way at the same time, but only one of each. */
export interface Connection {
  /** The other end. */
  readonly remote: PeerAddress;
  /** This end. */
  readonly local: PeerAddress;
  /** Reads at least one byte. @returns how many bytes, or `null` at the end of the stream. */
  read(into: Bytes): Promise<number | null>;
  /** Writes some bytes. @returns how many. */
  write(bytes: Bytes): Promise<number>;
  /** Closes both directions; pending reads and writes fail. Harmless when closed. */
  close(): void;
}

/** A listening socket. */
export interface Listener {
  /** Where it listens. */
  readonly address: PeerAddress;
  /** Waits for the next connection. @returns it, or `null` once the listener is closed. */
  accept(): Promise<Connection | null>;
  /** Stops listening. */
  close(): void;
}

/** How a socket for datagrams is opened. */
export interface UdpOptions {
  /** Local address. */
  readonly host: string;
  /** 0 for any. */
  readonly port: number;
  /** Whether other programs may share the port, as those do that listen to a multicast group. */
  readonly shared?: boolean;
}

/** A socket for datagrams. One receive at a time. */
export interface UdpSocket {
  /** Where it is bound. */
  readonly address: PeerAddress;
  /**
   * Sends a datagram. Nobody knows whether it arrives, so that one which the system refuses (no route, no room) counts as
   * lost and is no error.
   *
   * @param bytes What to send; must not change until the promise settles.
   * @param to Where to.
   */
  send(bytes: Bytes, to: PeerAddress): Promise<void>;
  /**
   * Waits for the next datagram.
   *
   * @param into Where it goes; what doesn't fit is lost.
   * @returns How many bytes came from whom, or `null` once the socket is closed.
   */
  receive(into: Bytes): Promise<{ readonly length: number; readonly from: PeerAddress } | null>;
  /**
   * Takes what is sent to a multicast group from now on.
   *
   * @param group Its address.
   * @param local An address of this machine; the group is joined in its network. The system chooses one when absent.
   * @throws {Error} If the system has no multicast of that family there.
   */
  join(group: string, local?: string): Promise<void>;
  /** Closes it. Harmless when closed. */
  close(): void;
}

/** HTTP as trackers and web seeds need it. */
export interface Http {
  /**
   * One request, redirects followed, body decoded and read whole.
   *
   * @throws {HttpError} If there is no answer, it comes too late, or the body is too large.
   */
  request(request: HttpRequest): Promise<HttpResponse>;
  /**
   * One `GET`, redirects followed, whose body comes in parts as it is read: what isn't read stays with the server. The body is
   * asked for without compression, and comes as it was sent, whatever it is labelled as.
   *
   * @returns The answer, whatever its status. Read it to its end, or cancel it.
   * @throws {HttpError} If there is no answer, or it comes too late.
   */
  stream(request: HttpStreamRequest): Promise<HttpStream>;
  /**
   * Room for a connection that is kept from one {@linkcode Http.stream} to the next. Absent where connections cost nothing.
   *
   * @returns The room; close it when no more is to be asked for.
   */
  keep?(): KeptConnection;
  /**
   * Serves HTTP/1.1 until closed, whatever clients do: connections that are silent, slow or too many are closed, and a shortage of
   * file descriptors is waited out. An answer without `content-length` whose body isn't there at once goes out in chunks; bodies are
   * asked for as the client takes them.
   *
   * @throws {ShoalError} Of kind `network` if the port is taken or may not be used.
   */
  serve(options: HttpServeOptions, handle: HttpHandler): HttpServer;
}

/**
 * Answers a request. What it throws is answered with status 500.
 *
 * @param request The request.
 * @param from Who made the connection.
 */
export type HttpHandler = (request: HttpServerRequest, from: PeerAddress) => HttpAnswer | Promise<HttpAnswer>;

/** What a request is answered with. */
export type HttpAnswer = Response | ShortHttpAnswer;

/** An answer that is here as bytes. It costs half as much as a `Response`, whose body is a stream. */
export interface ShortHttpAnswer {
  /** Status of HTTP. */
  readonly status: number;
  /** Header fields; how long it is, is said by the server. */
  readonly headers: Iterable<readonly [name: string, value: string]>;
  /** The body. */
  readonly content: Bytes;
}

/** How HTTP is served. */
export interface HttpServeOptions {
  /** Local address to listen on. */
  readonly host: string;
  /** Port to listen on; 0 for any. */
  readonly port: number;
  /** Bytes of the longest body of a request that is taken; 1 MiB when absent. */
  readonly maxBody?: number;
  /** Whether many clients are behind an address, so that it may have more connections; this machine alone when absent. */
  readonly isRoomy?: (host: string) => boolean;
  /** Is told, for the user, when connections can't be taken for now, and when they are again. */
  readonly warn?: (message: string) => void;
}

/**
 * A request that came to us: what a `Request` has of it. The URL has path and query as they came. A body is read while it comes.
 * The signal fires when the client goes away.
 */
export type HttpServerRequest =
  & Pick<
    Request,
    "method" | "url" | "headers" | "body" | "signal" | "text" | "arrayBuffer"
  >
  & {
    /** The body as JSON. */
    json(): Promise<unknown>;
  };

/**
 * Who named a URL, which decides where a request may go; see `http_guard.ts`.
 *
 * - `user`: typed by the user; goes wherever it leads.
 * - `file`: from a torrent or a magnet link, and leads to a file.
 * - `tracker`: from a torrent or a magnet link, and leads to a tracker. `named`: the URL as it stands there, before anything was
 *   added to it.
 * - `gateway`: a router's own word; goes to a private network, and is redirected nowhere.
 */
export type UrlTrust =
  | { readonly by: "user" | "file" | "gateway" }
  | { readonly by: "tracker"; readonly named: string };

/** A request. */
export interface HttpRequest {
  /** Absolute `http:` or `https:` URL. */
  readonly url: string;
  /** Who named it; `file` when absent. */
  readonly trust?: UrlTrust;
  /** `GET` when absent. */
  readonly method?: "GET" | "POST";
  /** Header fields. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent with `POST`. */
  readonly body?: string;
  /** Gives a redirect that would make a `GET` of a `POST` (301, 302, 303) as the answer, instead of following it. */
  readonly keepMethod?: boolean;
  /** Gives a redirect to a magnet link as the answer, in its `magnet`, instead of refusing it. */
  readonly takesMagnet?: boolean;
  /** Is told of bytes of the body, decoded, before they are held; may abort `signal`. */
  readonly hold?: (bytes: number) => void;
  /** Milliseconds until the whole answer must be there. */
  readonly timeout: number;
  /** Largest body accepted, in bytes after decoding. */
  readonly maxBytes: number;
  /** Gives up early. */
  readonly signal?: AbortSignal;
  /** Local address to connect from. */
  readonly bind?: string;
}

/** An answer. */
export interface HttpResponse {
  /** Status code. */
  readonly status: number;
  /** Header fields. */
  readonly headers: Headers;
  /** The body, decoded. */
  readonly body: Bytes;
  /** The URL that answered, after redirects. */
  readonly url: string;
  /** How far the addresses reach to which the request was made; absent where a proxy has made it. */
  readonly reach?: Reach;
  /** The magnet link that it redirects to; there if it does. */
  readonly magnet?: string;
}

/** A connection that is kept between requests, for the next one to the same server. */
export interface KeptConnection {
  /** Ends it, if there is one. */
  close(): void;
}

/** A request whose answer may be long. */
export interface HttpStreamRequest {
  /** Absolute `http:` or `https:` URL. */
  readonly url: string;
  /** Who named it; `file` when absent. */
  readonly trust?: UrlTrust;
  /** Header fields. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Milliseconds until the answer must begin, redirects included; how long its body may take is up to the reader. */
  readonly timeout: number;
  /** Gives up early, be it the request or the reading of its body. */
  readonly signal?: AbortSignal;
  /** Local address to connect from. */
  readonly bind?: string;
  /** Keeps the connection of an answer that was read to its end, and uses it again; see {@linkcode Http.keep}. */
  readonly kept?: KeptConnection;
}

/** An answer whose body comes in parts. */
export interface HttpStream {
  /** Status code. */
  readonly status: number;
  /** Header fields. */
  readonly headers: Headers;
  /** The URL that answered, after redirects. */
  readonly url: string;
  /**
   * Reads on.
   *
   * @returns The next bytes of the body, at least one, to be used before the next call; `null` at its end.
   * @throws {HttpError} If the connection is cut off, or the request was given up.
   */
  read(): Promise<Bytes | null>;
  /** Ends it early. Harmless when it has ended. */
  cancel(): void;
}

/** A running HTTP server. */
export interface HttpServer {
  /** Where it listens. */
  readonly address: PeerAddress;
  /** Stops it; settles when it has stopped. */
  close(): Promise<void>;
}

/** Why an HTTP request came to nothing. */
export class HttpError extends Error {
  /** The name of the class, as errors show it. */
  override name = "HttpError";
}

/**
 * How a file is opened. `read`: to read, must be there. The others are to read and write: `write` makes the file when
 * it is missing, `create` makes it and fails when anything is there, even a link to nothing, and `update` never makes
 * it.
 */
export type OpenMode = "read" | "write" | "create" | "update";

/** Who may see a file or a folder. */
export interface Secrecy {
  /**
   * Whether it is for the user alone: it is made with the mode 0600, a folder 0700, and a file that was there and may be read
   * by others gets that mode. `false` when absent. Windows has no such modes; there the rights of the folder above count.
   */
  readonly secret?: boolean;
}

/** How a small file is written. */
export interface WriteFileOptions extends Secrecy {
  /** Whether nobody else writes that file; then a draft of it that a crash has left is used again. `false` when absent. */
  readonly alone?: boolean;
}

/** Files, by path. Every failure is a {@linkcode ShoalError} of kind `storage` that names the path. */
export interface FileSystem {
  /** Opens a file; see {@linkcode OpenMode}. */
  open(path: string, mode: OpenMode): Promise<FileHandle>;
  /** What is at a path, or `null` when nothing is. A symbolic link is not followed. */
  stat(path: string): Promise<FileInfo | null>;
  /** Moves a file; one that is at `to` is replaced. Fails with `other-device` when `to` is on another file system. */
  rename(from: string, to: string): Promise<void>;
  /** Makes a folder and those above it; harmless when it is there, and then its rights stay as they are. */
  makeFolder(path: string, options?: Secrecy): Promise<void>;
  /** Makes a symbolic link with the text `target`; refuses to replace anything. */
  link(target: string, path: string): Promise<void>;
  /** The text of a symbolic link. */
  readLink(path: string): Promise<string>;
  /** Removes a file or a folder with all it holds; harmless when it is not there. */
  remove(path: string): Promise<void>;
  /** Removes a folder if it is empty; harmless when it isn't, or is not there. @returns whether it is gone. */
  removeFolder(path: string): Promise<boolean>;
  /** Names in a folder, sorted. */
  list(path: string): Promise<string[]>;
  /** A small file, whole. Refuses one that is larger than `maxBytes`. */
  readFile(path: string, maxBytes: number, options?: Secrecy): Promise<Bytes>;
  /**
   * Writes a small file so that a reader, or a crash, sees the old or the new one, never a part. When it is done, the new
   * one is on the device.
   *
   * @param options See {@linkcode WriteFileOptions}.
   */
  writeFile(path: string, bytes: Bytes, options?: WriteFileOptions): Promise<void>;
  /** Writes a small file that every user of the machine may read. A crash may leave a part of it, or nothing. */
  writeNote(path: string, bytes: Bytes): Promise<void>;
  /**
   * Takes a lock that nobody else can have meanwhile, in this process or another. It ends with the process, whatever ends
   * that.
   *
   * @param path Of a file that stands for it; made when it is missing.
   * @param options `patience`: milliseconds to wait for somebody who has it; it may be more on an old runtime.
   * @returns The lock, or `null` when somebody else has it.
   */
  lock(path: string, options: { readonly patience: number }): Promise<FileLock | null>;
  /** The absolute path with every symbolic link resolved, of something that exists. */
  realPath(path: string): Promise<string>;
}

/** A lock that was taken. */
export interface FileLock {
  /** Gives it back, and removes its file. Never fails. */
  release(): Promise<void>;
}

/** What is at a path. */
export interface FileInfo {
  /** Kind of entry. */
  readonly kind: "file" | "folder" | "link" | "other";
  /** Bytes. */
  readonly size: number;
  /** Last modification, milliseconds since 1970. */
  readonly modified: number;
  /** Stays the same while the file is renamed, and differs for every other file there is; `null` when not known. */
  readonly id: string | null;
}

/** An open file. Calls may overlap; they take effect in the order in which they were made. */
export interface FileHandle {
  /** Reads up to `into.length` bytes at `position`. @returns how many, less only at the end of the file. */
  read(into: Bytes, position: number): Promise<number>;
  /** Writes all of `from` at `position`. */
  write(from: Bytes, position: number): Promise<void>;
  /** Sets the size; what is new reads as zeros and takes no room. */
  truncate(size: number): Promise<void>;
  /** What is open here, whatever has come to its path since. */
  stat(): Promise<FileInfo>;
  /** Waits until what was written is on the device. */
  sync(): Promise<void>;
  /** Closes it after the calls that are under way. */
  close(): Promise<void>;
}

/** What a database holds in a field. */
export type SqlValue = null | number | string | Uint8Array;

/** A row, by the names of its columns. */
export type SqlRow = Readonly<Record<string, SqlValue>>;

/**
 * A database of SQLite. Calls return when they are done, so they must be short; several processes may have the same file open.
 * Every failure is a {@linkcode ShoalError} of kind `storage`, a `DatabaseError`; one that is `locked` may be tried again.
 */
export interface Database {
  /** Runs statements that give nothing back. */
  exec(sql: string): void;
  /** Makes a statement ready, to be used any number of times. */
  prepare(sql: string): Statement;
  /**
   * Runs something all of which is in the file afterwards, or nothing, whatever ends the process.
   *
   * @param work What to run; what it throws undoes it all, and is thrown on.
   * @returns What `work` returned.
   */
  transaction<T>(work: () => T): T;
  /** Closes it. Harmless when closed. */
  close(): void;
}

/** A statement of a {@linkcode Database}. `?` in it stand for values, in their order. */
export interface Statement {
  /** Runs it. @returns how many rows were changed. */
  run(...values: readonly SqlValue[]): number;
  /** Runs it. @returns the first row, or `null` when there is none. */
  get(...values: readonly SqlValue[]): SqlRow | null;
  /** Runs it. @returns all rows. */
  all(...values: readonly SqlValue[]): SqlRow[];
}
