/**
 * Every limit that defends us against a hostile peer, tracker, DHT node, gateway or web server, each with its reason.
 * Limits on torrent files are in `src/metainfo`. Values that only tune our own behaviour, such as the number of upload
 * slots, are next to the code that uses them.
 *
 * @module
 */

// Messages.

/** Largest extension message (BEP 10), in bytes. Metadata comes in parts of 16 KiB, and lists of peers are shorter. */
export const MAX_EXTENDED = 128 * 1024;
/** Largest extension handshake, in bytes. libtorrent's has 300, and parsing costs time. */
export const MAX_EXTENSION_HANDSHAKE = 16 * 1024;
/** Deepest nesting of a bencoded extension message. Real handshakes have two levels. */
export const MAX_EXTENSION_DEPTH = 8;
/** Largest message of unknown type, in bytes. Such a message is skipped, but has to be buffered for that. */
export const MAX_UNKNOWN = 64 * 1024;
/** Largest info dictionary taken from peers (BEP 9), in bytes: 1.6 million pieces. Only peers say how large it is. */
export const MAX_METADATA = 32 * 1024 * 1024;
/**
 * Most hashes of a Merkle tree (BEP 52) that we ask for, and so accept, in one message: 512, as libtorrent asks for. Their
 * proof has less hashes than a tree can have layers.
 */
export const MAX_HASHES = 512;
/** Most hashes that a peer may ask for in one message, as in libtorrent. */
export const MAX_HASHES_ASKED = 8192;
/**
 * Requests for hashes of a peer that we queue, and that a peer is asked at once. Further requests are rejected. Answers
 * to all of them have a mebibyte.
 */
export const MAX_HASH_REQUESTS = 64;
/** Bytes in the send buffer from which on no more requests for hashes are answered. */
export const MAX_HASHES_UNSENT = 256 * 1024;
/** Most hashes of a proof: a tree with more layers is above more bytes than a number can count. */
export const MAX_UNCLES = 53;
/** Largest bitfield in bytes while the piece count is unknown: all pieces that {@linkcode MAX_METADATA} can name. */
export const MAX_UNKNOWN_BITFIELD = Math.ceil(MAX_METADATA / 20 / 8);
/** Bytes of a peer's client name (`v`, BEP 10) that are kept and shown. */
export const MAX_CLIENT_NAME = 64;
/**
 * Longest block that a peer may request, in bytes. BEP 3 calls 16 KiB customary; some clients ask for 32 KiB, and
 * libtorrent refuses more than 128 KiB.
 */
export const MAX_REQUEST_LENGTH = 128 * 1024;
/**
 * Largest receive buffer of a connection, in bytes, unless a bitfield needs more: what one read can bring on a fast
 * connection. A hundred peers that fill theirs take 25 MiB.
 */
export const MAX_RECEIVE_BUFFER = 256 * 1024;

// One connection.

/** Requests of a peer that we queue, sent to the peer as `reqq`. Further requests are rejected. */
export const REQUEST_QUEUE_LIMIT = 512;
/** Requests that we keep outstanding with one peer, whatever `reqq` the peer offers: 32 MiB. */
export const MAX_OUTSTANDING = 2048;
/** Unrequested blocks and rejects after which a peer is disconnected. Some occur when messages cross. */
export const MAX_UNASKED_ANSWERS = 64;
/** Requests that a peer may reject in a row without choking us. A peer that serves nothing isn't worth asking. */
export const MAX_REJECTS_IN_A_ROW = 256;
/** Pieces that a peer may allow us while it chokes us (BEP 6). Further pieces are ignored; the BEP suggests ten. */
export const MAX_ALLOWED_FAST = 64;
/**
 * Bytes that may wait to be sent while a write is under way. Blocks stay far below this limit. Only replies to a peer's
 * own messages can pile up, when the peer doesn't read them.
 */
export const MAX_UNSENT = 2 * 1024 * 1024;
/** Milliseconds for a dial with its handshake, and for the handshake of an incoming connection. */
export const HANDSHAKE_MS = 10_000;
/**
 * Milliseconds for the encrypted handshake with a peer that we dial. After that the peer counts as one that doesn't
 * know encryption, and what is left of {@linkcode HANDSHAKE_MS} is for a plain handshake.
 */
export const ENCRYPTED_HANDSHAKE_MS = 5_000;
/**
 * Largest payload in an incoming encrypted handshake, in bytes. The whole payload is held before it is known who sends
 * it. A BitTorrent handshake has 68 bytes, and some clients add their bitfield.
 */
export const MAX_FIRST_PAYLOAD = 16 * 1024;
/** Milliseconds for one message, from its first byte to its last: for a block that is 280 bytes a second. */
export const MESSAGE_MS = 60_000;
/** Milliseconds for which a peer may leave what we send unread. */
export const STALLED_MS = 60_000;
/** Milliseconds without a byte after which a peer counts as dead. Keep-alives come every two minutes (BEP 3). */
export const SILENCE_MS = 150_000;

// Messages that bring nothing: see src/peer/flood_limit.ts. A point is about a microsecond of our time.

/** Points that a peer starts with, and can have at most: thousands of messages in a burst. */
export const FLOOD_BURST = 5_000;
/** Points that a peer gets back every second: what we can bear from a hundred peers at the same time. */
export const FLOOD_PER_SECOND = 200;
/**
 * Points that a peer earns for 16 KiB of blocks in either direction. They pay for the request and the messages around
 * it. A block that arrives also pays for the reads that brought it, which are dozens on a line with small packets.
 */
export const FLOOD_PER_BLOCK = 40;
/** Points earned for each `have` in either direction, since each may change who is interested. */
export const FLOOD_PER_NEWS = 6;

// All connections.

/**
 * Incoming connections without a handshake at the same time. When there are more, the oldest connection of the network
 * with the most of them is closed.
 */
export const MAX_PENDING = 128;
/** Connections without a handshake from one network. Peers behind one address don't all connect in one second. */
export const MAX_PENDING_PER_HOST = 16;
/** Connections that one network may make in a burst: about as many as two clients have torrents in common. */
export const CONNECT_BURST = 100;
/** Connections a second from one network after {@linkcode CONNECT_BURST}. Further ones are closed unread. */
export const CONNECTS_PER_SECOND = 2;
/**
 * Connections that are accepted in a second; the rest waits in the system's queue. A connection costs a millisecond in
 * all, so a flood of them takes a tenth of our time.
 */
export const ACCEPTS_PER_SECOND = 100;
/** Connections accepted in a burst. With more, an overloaded machine would only accept, and never read. */
export const ACCEPT_BURST = 20;
/** Addresses whose behaviour is remembered. The address that was quiet for longest is forgotten first. */
export const MAX_REMEMBERED_HOSTS = 4096;
/** At most one refused connection of a network is reported in this time, however many are refused. */
export const TELL_AGAIN_MS = 60_000;
/**
 * Connections of a torrent to one network, on any ports, so that no host takes all of our connections and no list of
 * peers aims them at one host. The limit doesn't hold for this machine, where all programs share one address.
 */
export const MAX_PER_HOST = 4;
/** Part of a torrent's connections that incoming ones can't take while there are peers to dial. */
export const DIALLED_SHARE = 0.2;
/** Half-open connections of one torrent. */
export const MAX_HALF_OPEN = 30;
/**
 * Half-open connections of all torrents together, so that five hundred torrents don't fill a router's connection table
 * at once. With {@linkcode HALF_OPEN_MS} that is 33 a second.
 */
export const MAX_HALF_OPEN_IN_ALL = 100;
/**
 * Milliseconds after which as many dials again may start although {@linkcode MAX_HALF_OPEN} are under way. A tracker
 * may name a hundred dead addresses, which must not hold up the others until their dials time out.
 */
export const HALF_OPEN_MS = 3_000;
/** Peer addresses that a torrent remembers. The least promising address is dropped for a new one. */
export const MAX_CANDIDATES = 4000;
/**
 * Part of {@linkcode MAX_CANDIDATES} that is kept for each source of addresses when other sources name more than their
 * part. Addresses from PEX or the DHT cost an attacker nothing and must not displace those of a tracker.
 */
export const CANDIDATE_SHARES = { user: 0.1, tracker: 0.4, lsd: 0.05, dht: 0.2, pex: 0.2, incoming: 0.05 } as const;
/** Ports of one network that are remembered. Clients may share an address, but a long list is a port scan. */
export const MAX_PORTS_PER_HOST = 8;
/** Ports of this machine that are remembered. No third party is scanned here, and a test swarm may run here. */
export const MAX_PORTS_OF_THIS_MACHINE = 32;
/** A connection where neither end is interested may be closed after this time to make room for another peer. */
export const NOT_INTERESTED_MS = 20_000;
/**
 * Rate of peers that connect while there is no room, above which connections where neither end is interested are closed
 * sooner than {@linkcode NOT_INTERESTED_MS}. It stops an attacker from keeping peers out with connections that say
 * nothing. Each address counts once.
 */
export const ARRIVALS_PER_SECOND = 5;
/**
 * Milliseconds that an incoming connection has to become interesting when more than {@linkcode ARRIVALS_PER_SECOND}
 * peers arrive. Until bitfields and interest have crossed, which takes a round trip or two, neither end looks
 * interested. With a longer time, an attacker that fills all places would keep peers out for longer.
 */
export const ARRIVALS_NOT_INTERESTED_MS = 1_000;
/**
 * Like {@linkcode ARRIVALS_NOT_INTERESTED_MS}, for a connection that we dialled. An attacker can't choose whom we dial,
 * so a slow line gets more time.
 */
export const ARRIVALS_MUTE_DIALLED_MS = 3_000;
/** Milliseconds without payload after which a connection may be closed when other peers wait. */
export const USELESS_MS = 120_000;
/** At most one such connection is closed in this time, since a peer may just wait for its turn to be unchoked. */
export const TURNOVER_MS = 60_000;
/**
 * Milliseconds without payload after which a connection may be closed in favour of a torrent with far fewer
 * connections. Such a connection is of no use now, but may be again.
 */
export const FAIR_QUIET_MS = 20_000;
/** At most one connection is closed in favour of another torrent in this time, so that replacements can be found. */
export const FAIR_TURNOVER_MS = 1_000;
/** Protocol violations that ban a network for {@linkcode SHUT_OUT_MS}. A single one may be a bug or a network error. */
export const MAX_OFFENCES = 3;
/** Duration of a ban for {@linkcode MAX_OFFENCES}. Other peers may share the address; only wrong data bans for good. */
export const SHUT_OUT_MS = 10 * 60_000;

// Torrents: see src/metainfo/files.ts. A parsed torrent takes a few times the bytes of its file.

/** Names in the paths of all files together. libtorrent takes as many values of any kind in a torrent. */
export const MAX_PATH_PARTS = 3_000_000;
/** Folders of a torrent: about as many as libtorrent can read when each file has a folder of its own. */
export const MAX_FOLDERS = 400_000;

// Blocklists: the user chooses the file, but other people write it.

/** Largest blocklist in bytes, unpacked. Public lists have about 300,000 ranges, which take 16 MB with their names. */
export const MAX_BLOCKLIST = 64 * 1024 * 1024;
/** Ranges of the longest blocklist, as sorting more would delay the start. */
export const MAX_BLOCKLIST_RANGES = 2_000_000;

// Wrong data: see src/swarm/pieces/smart_ban.ts.

/** Failed pieces that are remembered. The oldest is forgotten first. */
export const MAX_SUSPECTS = 256;
/** Failed attempts at one piece that are remembered. The latest are kept. */
export const MAX_ATTEMPTS = 8;
/**
 * Milliseconds for which an unproven peer has a piece alone; with the interval between two checks, at most 3 s. After
 * that other peers may send blocks of the piece. A piece that has failed goes to a peer that is at least as trusted.
 */
export const HOLD_MS = 2_500;
/** Milliseconds after which an idle peer may send blocks of a piece that another peer has alone. */
export const IDLE_HOLD_MS = 1_000;
/** Pieces that an unproven peer may have alone: enough not to wait for a hash, and few to refetch if they are wrong. */
export const MAX_EXCLUSIVE_PIECES = 2;
/** Blocks that an unproven peer may have alone in any case, in any number of small pieces. */
export const SMALL_BLOCKS = 32;
/**
 * Blocks that an unproven peer is asked for first, of a piece with more than twice as many, while a proven peer can
 * send the rest. If the blocks are wrong, only they are fetched again.
 */
export const TRIAL_BLOCKS = 4;
/** An unproven peer waits this long for the result of its first trial, so that an honest one loses next to nothing. */
export const TRIAL_MS = 1_500;
/** Urgent and failed pieces are left to proven peers for this long while these send anything. */
export const PROVEN_MS = 3_000;
/** Failed pieces remembered for each source. Far fewer already keep it from sharing pieces with other sources. */
export const MAX_FAILURES_REMEMBERED = 16;

// Metadata from peers: see src/swarm/metadata/metadata_scheduler.ts.

/**
 * Bytes for the info dictionaries that all torrents of a session are fetching: half for one of the largest size, half
 * for all others. Memory is lent as parts arrive, not by the size that a peer claims.
 */
export const MAX_METADATA_MEMORY = 2 * MAX_METADATA;
/** Bytes of {@linkcode MAX_METADATA_MEMORY} that a torrent keeps while parts arrive. Real dictionaries are smaller. */
export const LEAST_METADATA_SHARE = 1024 * 1024;
/** A large dictionary may be slow for this long while others wait. A third of 32 MiB arrives in it at 370 KB/s. */
export const METADATA_TURN_MS = 30_000;
/** Milliseconds until an attempt that got no memory tries again. */
export const METADATA_ROOM_MS = 1_000;
/** Concurrent attempts at one dictionary: one per claimed size, or per peer once their parts were wrong together. */
export const MAX_METADATA_ATTEMPTS = 4;
/** Parts requested at once from a peer that answers quickly: 1.3 MB/s at 100 ms. Some clients drop further requests. */
export const MAX_METADATA_WINDOW = 8;
/** Milliseconds after which a part of 16 KiB is requested from one peer more. Real peers take far less. */
export const METADATA_HEDGE_MS = 2_000;
/** Like {@linkcode METADATA_HEDGE_MS}, when the peer that was asked has sent no part yet and the other peer has. */
export const METADATA_EARLY_MS = 500;
/** Milliseconds after which a peer that doesn't answer is asked again if there is no other peer. Doubled each time. */
export const METADATA_AGAIN_MS = 8_000;
/** A peer that rejects a part isn't asked again for this long, doubled each time. It may still lack the part itself. */
export const METADATA_REFUSAL_MS = 2_000;
/** An attempt without a part for this long has stalled: others get its place and, if need be, its memory. */
export const METADATA_STALL_MS = 2_500;
/** Milliseconds for which an attempt that lost its memory waits. Doubled for each time that it had stalled before. */
export const METADATA_EVICTED_MS = 5_000;
/** Parts are kept this long after all peers that named their size have gone, as these may have to be redialled. */
export const METADATA_FORGET_MS = 60_000;
/** Wrong dictionaries that get a network banned even if it has other peers, which may be honest ones behind a NAT. */
export const MAX_WRONG_METADATA = 3;
// Hashes of Merkle trees from peers, and to them (BEP 52): see src/swarm/hashes.

/** Hashes that a peer is asked for at once: 256 KiB, in at most {@linkcode MAX_HASH_REQUESTS} messages. */
export const HASHES_AT_ONCE = 8192;
/** Milliseconds after which another peer is asked for hashes too. 16 KiB take far less. */
export const HASHES_LATE_MS = 4_000;
/** Like {@linkcode HASHES_LATE_MS}, for the hashes of blocks, for which a download or a player may wait. */
export const URGENT_HASHES_LATE_MS = 1_500;
/** Milliseconds after which a hybrid torrent goes on without piece layers, by its v1 hashes. */
export const HYBRID_HASHES_MS = 2_000;
/** Milliseconds after which a download goes on without the hashes of a piece's blocks. */
export const BLOCK_HASHES_MS = 6_000;
/** Milliseconds after which a peer that rejected a request for hashes may be asked again. It may get them itself. */
export const HASH_REFUSAL_MS = 5_000;
/** Requests for hashes that a peer may reject in a row. After that it is left alone for a while. */
export const HASH_REFUSALS_ALLOWED = 8;
/** Milliseconds for which such a peer is left alone, doubled with each further reject up to a minute. */
export const HASH_SULK_MS = 1_000;
/**
 * Work that one peer's requests for hashes may cause, in blocks of 16 KiB that are read and hashed: in a second, and in a
 * burst. 16 MiB a second are a hundredth of what a core hashes. A peer that wants more waits.
 */
export const HASH_WORK = { perSecond: 1024, burst: 16_384 } as const;
/** Hashes that are sent, or computed from two others, that count as much as the reading of a block. */
export const HASHES_PER_WORK = 32;
/** Hashes that are computed for the peers of a torrent before other work gets a turn: some five milliseconds. */
export const HASHES_A_TURN = 2048;
/** Milliseconds from one such turn to the next. */
export const HASH_TURN_MS = 20;
/** Bytes of block hashes that a torrent keeps for further requests. Those of a piece of 16 MiB have 32 KiB. */
export const MAX_BLOCK_HASHES_KEPT = 512 * 1024;

/** Bytes of all torrent files being read, unpacked and unparsed: the largest accepted torrent. Other reads wait. */
export const MAX_METAINFO_READS = 64 * 1024 * 1024;
/** Redirects from one magnet link to the next that are followed when a magnet link's torrent file is fetched. */
export const MAX_MAGNET_HOPS = 2;
/** Torrent files (`xs`) of a magnet link that are tried. A link with more wants to use us against a server. */
export const MAX_EXACT_SOURCES = 16;
/** Torrent files of one magnet link that are fetched at the same time. */
export const EXACT_SOURCES_AT_ONCE = 4;
/** Fetches older than this don't count towards {@linkcode EXACT_SOURCES_AT_ONCE}: a dead server may say nothing. */
export const EXACT_SOURCE_HEDGE_MS = 3_000;
/** Milliseconds for the torrent file that a magnet link names (`xs`). Peers and other servers are asked meanwhile. */
export const EXACT_SOURCE_MS = 60_000;

// HTTP client: any server may answer.

/**
 * Bytes of an HTTP response that aren't payload: interim responses, the head, chunk sizes and trailers. A head has a
 * few hundred bytes, and payload makes room for more. Endless overhead would keep us busy until the timeout.
 */
export const MAX_REPLY_OVERHEAD = 64 * 1024;
/** Header fields of an HTTP response. Servers behind three proxies send thirty. */
export const MAX_REPLY_FIELDS = 256;
/** Redirects of one request. More are a loop or an abuse. */
export const MAX_HTTP_REDIRECTS = 5;
/** Addresses of a host that are tried. Big sites have eight. */
export const MAX_HTTP_ADDRESSES = 16;
/** Characters of a server's text, such as a redirect target, that are shown. */
export const MAX_HTTP_SHOWN = 100;

// Trackers.

/**
 * Trackers of a torrent that are asked at the same time, without those that have been silent for seconds. A magnet link
 * may name hundreds, and must neither use us against them nor fill a router's connection table.
 */
export const MAX_TRACKERS_AT_ONCE = 20;
/**
 * Requests to one HTTP tracker at the same time, from all torrents together. Each has a connection of its own, and
 * trackers take a flood of connections for an attack.
 */
export const MAX_REQUESTS_PER_TRACKER = 32;
/**
 * Milliseconds in which some data has to arrive after a tracker has named peers; otherwise the next tracker is asked
 * too, since all peers that the first one knows may be gone. A silent UDP tracker delays the next one for as long.
 */
export const PEERS_PROVE_MS = 5_000;
/** Largest tracker reply, in bytes. 2,000 peers in the long form take a quarter of it. */
export const MAX_TRACKER_REPLY = 2 ** 20;
/** Deepest nesting of a reply, which needs only a list in a dictionary in a list. Other clients skip deeper values. */
export const MAX_TRACKER_DEPTH = 50;
/** Peers that are taken from one tracker reply. */
export const MAX_TRACKER_PEERS = 2000;
/** Host names of peers resolved per reply. Some trackers of small networks send names; a long list is an abuse. */
export const MAX_NAMED_PEERS = 4;
/** Longest tracker id, in bytes. The id goes into URLs. */
export const MAX_TRACKER_ID = 512;
/** Characters of a tracker's message that are shown to the user. */
export const MAX_TRACKER_MESSAGE = 300;
/** Largest datagram received, in bytes: a UDP tracker's reply with 2,700 peers over IPv4, or 900 over IPv6. */
export const MAX_DATAGRAM = 16 * 1024;
/** Bytes of path and query sent to a UDP tracker (BEP 41). With more, an announce would not fit a packet. */
export const MAX_UDP_URL_DATA = 1024;
/** Torrents in one UDP scrape: about as many as fit a packet (BEP 15). */
export const MAX_UDP_SCRAPE = 74;
/** IPv6 peers of 18 bytes each in one UDP reply of our tracker: as many as fit a packet. */
export const MAX_UDP_PEERS6 = 70;
/**
 * Peers of one network (an IPv4 address or an IPv6 /64) that our tracker stores, over all torrents: enough for a
 * machine with thousands of torrents. A hundred such networks are needed to fill the tracker.
 */
export const MAX_TRACKED_PER_NETWORK = 2_000;
/** Peers of one network and torrent that our tracker stores: a house full of clients, but no made-up swarm. */
export const MAX_TRACKED_PER_SWARM = 100;
/**
 * Announces and scrapes of one network that our tracker answers. The burst is what a client with thousands of torrents
 * sends when it starts; the rate is many times what such a client needs later.
 */
export const TRACKER_RATE = { perSecond: 20, burst: 1_000 } as const;
/** Networks whose rate our tracker remembers, at a few hundred bytes each. */
export const MAX_TRACKER_RATES = 20_000;
/** Host names of UDP trackers whose addresses are remembered. The oldest is forgotten first. */
export const MAX_RESOLVED_TRACKERS = 512;
/** Addresses of UDP trackers that are in use or whose connection id is remembered. Idle ones are forgotten first. */
export const MAX_UDP_ENDPOINTS = 1024;

// The DHT: see src/dht. A node needs nothing but an address, and an attacker may have many addresses.

/** Largest DHT message that is read, in bytes. BEP 32 allows 1,024, and real ones fit one packet. */
export const MAX_DHT_MESSAGE = 2048;
/** Deepest nesting of a DHT message. A list in a dictionary in a dictionary is all that a message needs. */
export const MAX_DHT_DEPTH = 6;
/** Largest DHT message that we send, in bytes (BEP 32). */
export const MAX_DHT_REPLY = 1024;
/** Longest transaction id that is sent back, and longest token, in bytes. Real ones have up to 20. */
export const MAX_DHT_TOKEN = 64;
/** Nodes of a family that are taken from one response. 8 are customary, and some nodes send 16. */
export const MAX_DHT_NODES = 20;
/** Peers that are taken from one response: more than fit a packet beside the other fields. */
export const MAX_DHT_VALUES = 150;
/** Peers that one lookup returns. */
export const MAX_DHT_PEERS = 2000;
/** Nodes that one lookup queries. Among honest nodes it takes 20 to 60; lying nodes must not prolong it without end. */
export const MAX_DHT_ASKED = 200;
/** Nodes that one lookup remembers. The farthest are forgotten. */
export const MAX_DHT_CANDIDATES = 300;
/** Nodes of one public address that a lookup remembers, on any ports. Several nodes may be behind a NAT. */
export const MAX_DHT_CANDIDATES_PER_HOST = 2;
/** Nodes of one public /24 (IPv6: /48) in a bucket, so that one network can't fill the bucket. */
export const MAX_DHT_SUBNET_IN_BUCKET = 2;
/** Nodes of one public /24 or /48 in the table. Ids ever closer to ours would otherwise make a bucket for every bit. */
export const MAX_DHT_SUBNET_IN_TABLE = 8;
/** Queries of all nodes together that are answered in a second, at 20 to 40 microseconds each. */
export const DHT_ANSWERS_PER_SECOND = 1000;
/** Queries of one address that are answered in a second. Several nodes may be behind a NAT. */
export const DHT_ANSWERS_PER_HOST = 10;
/** Queries of one address answered in a burst, as when it looks up several torrents. More get no reply or error. */
export const DHT_ANSWER_BURST = 50;
/** Addresses whose query rate is remembered. The address that was quiet for longest is forgotten first. */
export const MAX_DHT_REMEMBERED_HOSTS = 4096;
/** Our queries that wait for their response or to be sent. Further queries fail. */
export const MAX_DHT_QUERIES = 2048;
/** Torrents whose peers our node stores. The torrent that was not announced for longest is dropped first. */
export const MAX_DHT_TORRENTS = 2000;
/** Peers stored for one torrent. More would not fit replies, and scrape filters count up to 6,000 (BEP 33). */
export const MAX_DHT_PEERS_PER_TORRENT = 500;
/** Peers of all torrents together that our node stores, in at most 10 MiB. */
export const MAX_DHT_STORED_PEERS = 40_000;
/** Torrents that one public address may announce to us. A client with more has most of them on other nodes. */
export const MAX_DHT_TORRENTS_PER_HOST = 200;
/** Nodes of a family in a saved routing table. */
export const MAX_DHT_SAVED_NODES = 400;

// Gateways: any host on the local network can pretend to be one. See src/nat.

/** Largest datagram from a gateway: 1,100 bytes with PCP (RFC 6887 section 7), a few hundred in a search. */
export const MAX_GATEWAY_DATAGRAM = 2048;
/** Largest device description or action response of a gateway, in bytes. Real ones have 4 to 20 KiB. */
export const MAX_GATEWAY_DOCUMENT = 128 * 1024;
/** Services in a device description that are looked at. Real ones have three to eight. */
export const MAX_GATEWAY_SERVICES = 32;
/** Gateways that are tried, so that a thousand responses to one search don't keep us busy. */
export const MAX_GATEWAYS = 4;
/** Characters of a gateway's error text that are shown. */
export const MAX_GATEWAY_MESSAGE = 200;
/**
 * Hosts of each family whose reports of our external address count. The least recent report makes room for a new one.
 */
export const MAX_ADDRESS_VOTERS = 64;

// Peer exchange.

/** Peers that one of our messages adds, and peers that it drops (BEP 11). */
export const MAX_PEX_SENT = 50;
/** Peers read from each list of a message. The first may name over 50 peers; most clients stay below 100. */
export const MAX_PEX_TAKEN = 200;
/** Milliseconds within which a second message of a peer is ignored. BEP 11 allows one a minute, and clocks differ. */
export const PEX_HEARD_GAP_MS = 30_000;
/** Addresses that are taken from one connection in all, so that one peer can't fill our list of candidates. */
export const MAX_PEX_FROM_ONE = 500;

// Local discovery.

/** Bytes of a message that are read. BEP 14 allows no more than 1400. */
export const MAX_LSD_MESSAGE = 2048;
/** Messages of all hosts together that are handled in a second. Each costs 20 microseconds. */
export const LSD_PER_SECOND = 50;
/** Messages of all hosts together that are handled in a burst. */
export const LSD_BURST = 500;
/** Messages in a burst from one host, then one a second. Some clients send one per torrent several times a minute. */
export const LSD_BURST_PER_HOST = 100;
/** Addresses of this machine from which announces are sent. A machine that runs containers can have hundreds. */
export const MAX_LSD_ADDRESSES = 16;

// Web seeds.

/** Web seeds of a torrent that are remembered. A torrent that names more is an attempt to use us against a server. */
export const MAX_WEB_SEEDS = 64;
/** Web seeds that a torrent uses at the same time. */
export const MAX_ACTIVE_WEB_SEEDS = 4;
/** Connections to one web seed. It serves all clients, and has no choker to protect it. */
export const MAX_WEB_CONNECTIONS = 2;
/** Milliseconds for the head of a response, redirects included. */
export const WEB_ANSWER_MS = 20_000;
/** Milliseconds of reading in which a web seed has to send {@linkcode WEB_WINDOW_BYTES}. */
export const WEB_WINDOW_MS = 20_000;
/** A web seed has to send one block in {@linkcode WEB_WINDOW_MS}, in bytes; less isn't worth a connection. */
export const WEB_WINDOW_BYTES = 16 * 1024;
/** Longest time that a web seed may put us off. A wish for more is noise, and the seed is asked again after this. */
export const MAX_RETRY_AFTER_MS = 60 * 60_000;
/** Invalid responses in a row after which a web seed is given up. */
export const MAX_WEB_FAULTS = 3;
/** Files in a row that a web seed may lack before it is given up. A torrent may have half a million files. */
export const MAX_WEB_MISSING = 16;
/** Redirected files of a web seed whose target is remembered. */
export const MAX_WEB_REDIRECTS = 1000;

// The user's own files.

/** Largest config file, in bytes: more than every option with a page of comment on each. */
export const MAX_CONFIG = 64 * 1024;
/** Deepest nesting of lists and tables in the config file. Three levels make sense. */
export const MAX_CONFIG_DEPTH = 8;

// Our HTTP servers, the tracker and the stream server: see src/platform/http_server.ts.

/** Connections of a server: half of the 1,024 descriptors of many systems. The rest is for peers and files. */
export const MAX_HTTP_CONNECTIONS = 512;
/** Connections of one IPv4 address or IPv6 /64: an office or a school, with short connections. */
export const MAX_HTTP_PER_NETWORK = 64;
/** Connections of this machine, or of a trusted reverse proxy, which carries the requests of all clients. */
export const MAX_HTTP_PER_PROXY = 384;
/** A connection without a request for this long is closed. Proxies keep theirs for 60 s, and open another. */
export const HTTP_IDLE_MS = 30_000;
/** Milliseconds from the first byte of a request's head to its last. On any line that works it takes one. */
export const HTTP_HEAD_MS = 10_000;
/** Largest head of a request, in bytes: a path of {@linkcode MAX_STREAM_PATH} and a browser's header fields. */
export const MAX_HTTP_HEAD = 32 * 1024;
/** Header fields of a request. A browser sends 20. */
export const MAX_HTTP_FIELDS = 100;
/** Largest body of a request, in bytes, unless a server sets another limit. */
export const MAX_HTTP_BODY = 2 ** 20;
/** Milliseconds for a request's body, in addition to the time for its bytes. */
export const HTTP_BODY_MS = 30_000;
/** Bytes of a request's body for which a client gets another second. */
export const HTTP_BODY_BYTES_PER_SECOND = 1024;
/** Bytes of a response that must be taken within {@linkcode HTTP_IDLE_MS}. Longer ones may be read slowly. */
export const SMALL_HTTP_ANSWER = 64 * 1024;
/**
 * A long response of which no byte was taken for this long may be cut off when other clients wait. A paused player
 * stops reading too, and asks for the rest when it goes on.
 */
export const HTTP_STALL_MS = 30_000;
/**
 * Like {@linkcode HTTP_STALL_MS}, for a short response, which no player reads in parts. 500 stalled ones kept all other
 * clients out for half a minute.
 */
export const HTTP_SHORT_STALL_MS = 5_000;
/** Milliseconds to wait when the system can't give us another connection. */
export const ACCEPT_PAUSE_MS = 200;

// Reading while downloading, and streaming over HTTP.

/**
 * Pieces that come before all others, for all readers of a torrent together. The list is searched whenever a peer can
 * take requests. 512 pieces of the smallest size are 8 MiB, which is more than any player reads ahead.
 */
export const MAX_URGENT_PIECES = 512;
/** Concurrent requests. A browser makes six and a player two; each that reads ahead takes bandwidth from the rest. */
export const MAX_STREAM_REQUESTS = 64;
/** Longest request path in characters: up to three for each of the 3,072 bytes of the longest file path. */
export const MAX_STREAM_PATH = 12_288;
/** Files that a page or a playlist lists. A torrent may have half a million. */
export const MAX_LISTED_FILES = 10_000;
