/**
 * What strangers may do to us, at most. Every limit that defends against a hostile peer or tracker is here, with its reason;
 * limits on torrent files are in `src/metainfo`, and what the program does of its own accord (how deep a pipeline, how many
 * upload slots) is tuned where it is done.
 *
 * @module
 */

// Messages.

/** Bytes of the longest extension message (BEP 10). Metadata comes in parts of 16 KiB, lists of peers are shorter. */
export const MAX_EXTENDED = 128 * 1024;
/** Bytes of the longest extension handshake: libtorrent's has 300, and parsing costs time. */
export const MAX_EXTENSION_HANDSHAKE = 16 * 1024;
/** Nesting of an extension handshake; real ones have two levels. */
export const MAX_EXTENSION_DEPTH = 8;
/** Bytes of the longest message of an unknown kind that is skipped rather than refused: it has to be held to be skipped. */
export const MAX_UNKNOWN = 64 * 1024;
/** Bytes of the largest info dictionary that is fetched from peers, who alone say how large it is: 1.6 million pieces. */
export const MAX_METADATA = 32 * 1024 * 1024;
/** Bytes of a bitfield while nobody knows how many pieces there are: a bit for each that such a dictionary can name. */
export const MAX_UNKNOWN_BITFIELD = Math.ceil(MAX_METADATA / 20 / 8);
/** Characters of a client's name that are kept and shown. */
export const MAX_CLIENT_NAME = 64;
/**
 * Bytes of the longest block that a request may name. BEP 3 calls 16 KiB customary; some clients ask for 32 KiB and
 * libtorrent refuses more than 128 KiB.
 */
export const MAX_REQUEST_LENGTH = 128 * 1024;
/**
 * Bytes of the largest receive buffer, unless a bitfield needs more: what one read can bring on a fast connection. A
 * hundred peers that fill theirs take 25 MiB.
 */
export const MAX_RECEIVE_BUFFER = 256 * 1024;

// One connection.

/** Requests that we hold for a peer, told as `reqq`; more are rejected. */
export const REQUEST_QUEUE_LIMIT = 512;
/** Requests that we keep outstanding with one peer, whatever it offers: 32 MiB. */
export const MAX_OUTSTANDING = 2048;
/** Answers to nothing after which a peer is sent away; a few come about when messages cross. */
export const MAX_UNASKED_ANSWERS = 64;
/** Requests in a row that a peer may turn down without choking us. Whoever serves nobody needn't be asked again and again. */
export const MAX_TURNED_DOWN_IN_A_ROW = 256;
/** Pieces that a peer may allow us while it chokes us; more are ignored. The BEP suggests ten. */
export const MAX_ALLOWED_FAST = 64;
/**
 * Bytes that may wait while a write is under way. Blocks keep far below it; only answers to what a peer says itself can
 * pile up, when it doesn't read them.
 */
export const MAX_UNSENT = 2 * 1024 * 1024;
/** Milliseconds for a dial and the handshake after it, or for the handshake of who dials us, from its first byte to its last. */
export const HANDSHAKE_MS = 10_000;
/**
 * Milliseconds of that for the encrypted handshake of a peer that we dialled, before it is taken for one that doesn't know
 * what to make of it: there has to be time for the plain one.
 */
export const ENCRYPTED_HANDSHAKE_MS = 5_000;
/**
 * Bytes of payload that may come with the encrypted handshake. It has to be held until it is whole, and nobody knows yet who
 * sends it; handshakes have 68, some clients add their bitfield.
 */
export const MAX_FIRST_PAYLOAD = 16 * 1024;
/** Milliseconds for one message, from its first byte to its last: 280 bytes a second for a block. */
export const MESSAGE_MS = 60_000;
/** Milliseconds for which a peer may leave what we send unread. */
export const STALLED_MS = 60_000;
/** Milliseconds without a byte after which a peer is taken for dead (keep-alives come every two minutes, BEP 3). */
export const SILENCE_MS = 150_000;

// Talk that brings nothing: see src/peer/flood_limit.ts. Points are about a microsecond of our time each.

/** Points that a peer has at first, and at most: thousands of messages, for whatever a decent client may do in a hurry. */
export const FLOOD_BURST = 5_000;
/** Points that it gets back every second: what we can bear from a hundred peers at the same time. */
export const FLOOD_PER_SECOND = 200;
/**
 * Points for 16 KiB of blocks, either way: they pay for the request and for what is said around them. A block that comes
 * pays for the reads that brought it beyond that, as many as they were: on a line with small packets there are dozens.
 */
export const FLOOD_PER_BLOCK = 40;
/** Points for a piece that the peer has now, or that we tell it of: both may change who is interested. */
export const FLOOD_PER_NEWS = 6;

// All connections.

/** Connections without a handshake at the same time; past that the oldest of whoever has most of them goes. */
export const MAX_PENDING = 128;
/** Connections without a handshake of one address. Behind one address there may be many, but they don't all come in one second. */
export const MAX_PENDING_PER_HOST = 16;
/** Connections that one address may make in a row: as many as the torrents that two programs share, say. */
export const CONNECT_BURST = 100;
/** Connections a second that one address may make after {@linkcode CONNECT_BURST}; more are turned away unheard. */
export const CONNECTS_PER_SECOND = 2;
/**
 * Connections that are accepted in a second; the rest waits in the system's queue. Each costs us a millisecond, all in all,
 * so that a flood of them takes a tenth of our time.
 */
export const ACCEPTS_PER_SECOND = 100;
/** Connections that are accepted in a row. With more, a machine that is behind would only accept, and never hear anybody out. */
export const ACCEPT_BURST = 20;
/** Addresses whose doings are remembered; the one that was quiet for longest is forgotten first. */
export const MAX_REMEMBERED_HOSTS = 4096;
/** Milliseconds between two lines about strangers from the same address: whoever knocks a thousand times is told once. */
export const TELL_AGAIN_MS = 60_000;
/**
 * Connections of a torrent to one address, on whatever ports, so that nobody takes all of ours or aims ours at somebody
 * else. Programs on this machine share one address, so for them it doesn't hold.
 */
export const MAX_PER_HOST = 4;
/** Part of a torrent's connections that is kept for peers that we dial, while there are some: others must not take them all. */
export const DIALLED_SHARE = 0.2;
/** Connections of a torrent that are being made at the same time. */
export const MAX_HALF_OPEN = 30;
/**
 * The same for all torrents together, so that five hundred of them don't fill a router's table at once. With {@linkcode HALF_OPEN_MS}
 * that is 33 a second.
 */
export const MAX_HALF_OPEN_IN_ALL = 100;
/**
 * Milliseconds after which as many more connections may be made although {@linkcode MAX_HALF_OPEN} are under way: addresses where
 * nobody answers, of which a tracker may name a hundred, must not hold up the others until they are given up.
 */
export const HALF_OPEN_MS = 3_000;
/** Addresses of a torrent that are remembered; the least promising makes room for the next. */
export const MAX_CANDIDATES = 4000;
/**
 * Part of them that is kept for each who names some, should others name more than theirs: what a peer or the DHT says costs
 * nobody anything and must not keep out what a tracker says.
 */
export const CANDIDATE_SHARES = { user: 0.1, tracker: 0.4, lsd: 0.05, dht: 0.2, pex: 0.2, incoming: 0.05 } as const;
/** Ports of one host that are remembered: several clients may share an address, but a long list is a scan of somebody. */
export const MAX_PORTS_PER_HOST = 8;
/** The same for this machine, where nobody else is scanned, and a swarm for trying things out may be. */
export const MAX_PORTS_OF_THIS_MACHINE = 32;
/** Milliseconds after which a connection that neither end wants anything from gives its place up when somebody else comes. */
export const MUTE_MS = 20_000;
/**
 * Peers a second that come when there is no room, past which such a connection gives its place up sooner: whoever fills all
 * places with connections that say nothing must not keep those out that would say something. Each address counts once.
 */
export const ARRIVALS_PER_SECOND = 5;
/**
 * Milliseconds that a connection which came to us has even in a crowd: until what each end has and wants has crossed, which takes a
 * round trip or two, it looks as if nobody wanted anything. With more, who fills all places would keep others out for longer.
 */
export const ARRIVALS_MUTE_MS = 1_000;
/** The same for a connection that we dialled: no crowd chooses whom we dial, so that a slow line may take its time. */
export const ARRIVALS_MUTE_DIALLED_MS = 3_000;
/** Milliseconds without any payload after which a connection may be dropped when others wait, at most one per {@linkcode TURNOVER_MS}. */
export const USELESS_MS = 120_000;
/** Milliseconds between two connections that are dropped for bringing no payload: whoever waits for its turn is not to blame. */
export const TURNOVER_MS = 60_000;
/**
 * Milliseconds without any payload after which a connection may be dropped for a torrent that has far fewer: it isn't of use just
 * now, but may be again.
 */
export const FAIR_QUIET_MS = 20_000;
/** Milliseconds between two connections that a torrent gives up like that, so that it can look for others. */
export const FAIR_TURNOVER_MS = 1_000;
/** Times that an address may break the protocol before it is shut out: once may be a bug, or a bad day of the network. */
export const MAX_OFFENCES = 3;
/** Milliseconds for which it is shut out. Others may share the address, so it isn't for good; for wrong data it is. */
export const SHUT_OUT_MS = 10 * 60_000;

// Torrents: see src/metainfo/files.ts. What is read of one takes a few times its own bytes.

/** Names in the paths of all files together: as many as libtorrent takes values of any kind in a torrent. */
export const MAX_PATH_PARTS = 3_000_000;
/** Folders of a torrent: about as many as libtorrent can read where each file has a folder of its own. */
export const MAX_FOLDERS = 400_000;

// A blocklist: the user's own, but made by others.

/** Bytes of the longest list, unpacked: 300,000 ranges with their names take 16 MB, and public lists have about as many. */
export const MAX_BLOCKLIST = 64 * 1024 * 1024;
/** Ranges of the longest list; sorting more would keep the start waiting. */
export const MAX_BLOCKLIST_RANGES = 2_000_000;

// Wrong data: see src/swarm/pieces/smart_ban.ts.

/** Failed pieces that are remembered; the oldest is forgotten first. */
export const MAX_SUSPECTS = 256;
/** Attempts at one piece that are remembered, the latest. */
export const MAX_ATTEMPTS = 8;
/**
 * Milliseconds for which somebody of whom nothing right is known has a piece alone; with the time between two looks no more than
 * 3 s. Others may send a part of it then, and one that failed before goes to whoever is at least as good.
 */
export const HOLD_MS = 2_500;
/** Milliseconds after which somebody who has nothing else to do may send a part of a piece that another peer has alone. */
export const IDLE_HOLD_MS = 1_000;
/** Pieces that an unproven peer has alone, unless they are small: enough not to wait for a hash, and little to be wrong. */
export const MOST_OWNED = 2;
/** Blocks that an unproven peer has alone in any case, in however many small pieces. */
export const SMALL_BLOCKS = 32;
/**
 * Blocks that an unproven peer is tried with, of a piece that has more than twice as many, while a proven one can send the rest of it:
 * if they are wrong, only they are fetched again.
 */
export const TRIAL_BLOCKS = 4;
/** Milliseconds that such a peer waits for the verdict, once; then it goes on alone, so that honest ones lose next to nothing. */
export const TRIAL_MS = 1_500;
/** Milliseconds for which what is waited for is left to those whose data was right so far, while they send anything. */
export const PROVEN_MS = 3_000;
/** Failed pieces that are remembered of each source; it isn't mixed with others long before. */
export const MAX_FAILURES_REMEMBERED = 16;

// Metadata from peers: see src/swarm/metadata/metadata_download.ts.

/**
 * Bytes for info dictionaries that are being fetched, of all torrents of a session together: half of it for one of the largest,
 * half for all others. They are lent as parts come, not by the size that somebody claims.
 */
export const MAX_METADATA_MEMORY = 2 * MAX_METADATA;
/** Bytes of that which a torrent need not give back for others as long as parts come; real dictionaries have less. */
export const LEAST_METADATA_SHARE = 1024 * 1024;
/** Milliseconds for which a large dictionary may be slow while others wait: 32 MiB at 370 KB/s are here after three times that. */
export const METADATA_TURN_MS = 30_000;
/** Milliseconds until somebody who found no memory tries again. */
export const METADATA_ROOM_MS = 1_000;
/** Attempts at one dictionary (of different sizes, or of peers that are believed one by one) that go on at the same time. */
export const MAX_METADATA_ATTEMPTS = 4;
/** Parts that a peer is asked for at the same time when it answers quickly: 1.3 MB/s at 100 ms. Some clients drop more. */
export const MAX_METADATA_WINDOW = 8;
/** Milliseconds for one part of 16 KiB, after which one peer more is asked for it. Real ones take far less. */
export const METADATA_HEDGE_MS = 2_000;
/** The same where the peer that was asked has given no part so far, and the other one has. */
export const METADATA_EARLY_MS = 500;
/** Milliseconds after which a peer that doesn't answer is asked again, if nobody else is there; doubled each time. */
export const METADATA_AGAIN_MS = 8_000;
/** Milliseconds for which a peer that turned a part down isn't asked again, doubled each time: it may not have it all itself. */
export const METADATA_REFUSAL_MS = 2_000;
/** Milliseconds without a part after which an attempt has come to a halt: others have its place, and its memory if need be. */
export const METADATA_STALL_MS = 2_500;
/** Milliseconds for which an attempt that lost its memory waits, doubled each time that it had come to a halt before. */
export const METADATA_EVICTED_MS = 5_000;
/** Milliseconds for which parts are kept when all that named their size are gone. They may have to be dialled again. */
export const METADATA_FORGET_MS = 60_000;
/** Wrong dictionaries from one address before it is shut out even if others there may be honest (they may share a NAT). */
export const MAX_METADATA_LIES = 3;
/**
 * Bytes of torrent files that are being read, all together, unpacked and before anybody knows what they are: the largest torrent
 * that is accepted. Those that don't fit wait.
 */
export const MAX_METAINFO_READS = 64 * 1024 * 1024;
/** Magnet links that one may lead to, one after the other, by redirects of the torrent files that they name. */
export const MAX_MAGNET_HOPS = 2;
/** Torrent files that a magnet link may name; a link with more of them wants to use us against somebody. */
export const MAX_EXACT_SOURCES = 16;
/** Torrent files of one magnet link that are fetched at the same time. */
export const EXACT_SOURCES_AT_ONCE = 4;
/** Milliseconds after which a fetch no longer counts among those: a server that is dead may say nothing at all. */
export const EXACT_SOURCE_HEDGE_MS = 3_000;
/** Milliseconds for the torrent file that a magnet link names (`xs`); peers and other servers are asked meanwhile. */
export const EXACT_SOURCE_MS = 60_000;

// HTTP: whoever answers may be anybody.

/**
 * Bytes of an answer that are no payload: interim answers and the head, and later, what is around chunks and after them. A head
 * has a few hundred; payload makes room for more. Endless ones would keep us busy until the time is up.
 */
export const MAX_REPLY_OVERHEAD = 64 * 1024;
/** Header fields of an answer; servers behind three proxies send thirty. */
export const MAX_REPLY_FIELDS = 256;
/** Times that one request may be sent elsewhere; more is a loop or a game. */
export const MAX_HTTP_REDIRECTS = 5;
/** Addresses of a host that are tried; big sites have eight. */
export const MAX_HTTP_ADDRESSES = 16;
/** Characters of what a server says, such as where it redirects to, that are shown. */
export const MAX_HTTP_SHOWN = 100;

// Trackers.

/**
 * Trackers of a torrent that are asked at the same time, those left out that have been silent for seconds: a link may name
 * hundreds, and is not to be used against them, or to fill a router's table of connections.
 */
export const MAX_TRACKERS_AT_ONCE = 20;
/**
 * Requests to one HTTP tracker at the same time, of all torrents together. Each has a connection of its own, and trackers take a flood
 * of them for an attack.
 */
export const MAX_REQUESTS_PER_TRACKER = 32;
/**
 * Milliseconds in which something has to come once a tracker has named peers, or the next tracker is asked, too: as long as one
 * that is silent over UDP holds up the next. All peers that an old tracker knows may be gone.
 */
export const PEERS_PROVE_MS = 5_000;
/** Bytes of the longest reply: 2,000 peers in the long form take a quarter of it. */
export const MAX_TRACKER_REPLY = 2 ** 20;
/** Nesting of a reply. A list in a dictionary in a list is all that it needs; other clients pass over what is deeper than that. */
export const MAX_TRACKER_DEPTH = 50;
/** Peers that are taken from one reply. */
export const MAX_TRACKER_PEERS = 2000;
/** Peers of one reply that are looked up by name: some trackers of small networks know no better, a long list is a trick. */
export const MAX_NAMED_PEERS = 4;
/** Bytes of a tracker id, which goes into URLs. */
export const MAX_TRACKER_ID = 512;
/** Characters of what a tracker tells the user. */
export const MAX_TRACKER_MESSAGE = 300;
/** Bytes of the longest datagram that is taken from anybody: what a tracker sends with 2,700 peers over IPv4, 900 over IPv6. */
export const MAX_DATAGRAM = 16 * 1024;
/** Bytes of path and query that are told to a UDP tracker (BEP 41): with more, an announce would not fit a packet. */
export const MAX_UDP_URL_DATA = 1024;
/** Torrents in one scrape over UDP: about as many as fit a packet (BEP 15). */
export const MAX_UDP_SCRAPE = 74;
/** Peers over IPv6 in one answer over UDP, of 18 bytes each: what fits a packet. */
export const MAX_UDP_PEERS6 = 70;
/**
 * Peers of all torrents together that our tracker remembers of one network (an IPv4 address, an IPv6 /64): enough for a machine
 * with thousands of torrents; a hundred such networks are needed to fill it.
 */
export const MAX_TRACKED_PER_NETWORK = 2_000;
/** The same for one torrent: a house full of clients, not a made-up swarm that others are sent to. */
export const MAX_TRACKED_PER_SWARM = 100;
/**
 * Announces and scrapes that our tracker answers one network. In a row as many as a client with thousands of torrents sends when
 * it starts; in the long run what such a one needs many times over.
 */
export const TRACKER_RATE = { perSecond: 20, burst: 1_000 } as const;
/** Networks whose rate our tracker remembers; a few hundred bytes each. */
export const MAX_TRACKER_RATES = 20_000;
/** Host names of UDP trackers whose addresses are remembered; the oldest is forgotten first. */
export const MAX_RESOLVED_TRACKERS = 512;
/** Addresses of UDP trackers that are spoken to or whose connection id is remembered; idle ones are forgotten first. */
export const MAX_UDP_ENDPOINTS = 1024;

// The DHT: see src/dht. Whoever talks to us there needs nothing but an address, and may have many.

/** Bytes of the longest message that is read: BEP 32 allows 1,024, and real ones stay below what one packet holds. */
export const MAX_DHT_MESSAGE = 2048;
/** Nesting of a message: a list in a dictionary in a dictionary is all that it needs. */
export const MAX_DHT_DEPTH = 6;
/** Bytes of a message that we send (BEP 32). */
export const MAX_DHT_REPLY = 1024;
/** Bytes of a transaction id that is sent back, and of a token; real ones have up to 20. */
export const MAX_DHT_TOKEN = 64;
/** Nodes of a family that are taken from one answer; 8 are customary, some send 16. */
export const MAX_DHT_NODES = 20;
/** Peers that are taken from one answer: more than a packet holds next to anything else. */
export const MAX_DHT_VALUES = 150;
/** Peers that one lookup gives. */
export const MAX_DHT_PEERS = 2000;
/** Nodes that one lookup asks. An honest one needs 20 to 60; liars must not keep us busy without end. */
export const MAX_DHT_ASKED = 200;
/** Nodes that one lookup remembers; the farthest are forgotten. */
export const MAX_DHT_CANDIDATES = 300;
/** Nodes of one public address that a lookup remembers, on whatever ports: several may live behind a NAT. */
export const MAX_DHT_CANDIDATES_PER_HOST = 2;
/** Nodes of one public /24 (IPv6: /48) in a bucket, so that nobody fills it with neighbours. */
export const MAX_DHT_SUBNET_IN_BUCKET = 2;
/** Nodes of one public /24 or /48 in the whole table: with ids ever closer to ours somebody could make a bucket for every bit. */
export const MAX_DHT_SUBNET_IN_TABLE = 8;
/** Queries that are answered in a second, all together, at 20 to 40 microseconds each. */
export const DHT_ANSWERS_PER_SECOND = 1000;
/** Queries of one address that are answered in a second; it may be a NAT with several nodes behind it. */
export const DHT_ANSWERS_PER_HOST = 10;
/** Queries of one address in a row: what somebody asks who looks several torrents up. Past it there is no answer, not even an error. */
export const DHT_ANSWER_BURST = 50;
/** Addresses that are remembered for that; the one that was quiet for longest is forgotten first. */
export const MAX_DHT_REMEMBERED_HOSTS = 4096;
/** Queries that wait for their answer or their turn; more are not sent. */
export const MAX_DHT_QUERIES = 2048;
/** Torrents whose peers we hold for others; the one that nobody announced for longest goes first. */
export const MAX_DHT_TORRENTS = 2000;
/** Peers of one torrent that we hold. More would not fit into answers, and filters count up to 6,000 (BEP 33). */
export const MAX_DHT_PEERS_PER_TORRENT = 500;
/** Peers that we hold, all torrents together: 10 MiB at the most. */
export const MAX_DHT_STORED_PEERS = 40_000;
/** Torrents that one public address may announce: whoever has more shares them among all nodes, few of them with us. */
export const MAX_DHT_TORRENTS_PER_HOST = 200;
/** Nodes of a family that a saved table may hold. */
export const MAX_DHT_SAVED_NODES = 400;

// Gateways: whoever is on the local network can pretend to be one. See src/nat.

/** Bytes of a datagram from a gateway: PCP has at most 1,100 (RFC 6887 section 7), answers to a search a few hundred. */
export const MAX_GATEWAY_DATAGRAM = 2048;
/** Bytes of a gateway's description or of its answer to an action; real ones have 4 to 20 KiB. */
export const MAX_GATEWAY_DOCUMENT = 128 * 1024;
/** Services that are looked at in a description; real ones have three to eight. */
export const MAX_GATEWAY_SERVICES = 32;
/** Gateways that are tried, so that a thousand answers to one search don't keep us busy. */
export const MAX_GATEWAYS = 4;
/** Characters of a gateway's own words that are shown. */
export const MAX_GATEWAY_MESSAGE = 200;
/** Hosts of each family that have a say about our address; the one that was silent for longest makes room for the next. */
export const MAX_ADDRESS_VOTERS = 64;

// Peer exchange.

/** Peers that a message of ours adds, and as many that it drops (BEP 11). */
export const MAX_PEX_SENT = 50;
/** Peers of each list of a message that are looked at: the first one may name more than 50, and most clients stay below 100. */
export const MAX_PEX_TAKEN = 200;
/** Milliseconds within which a second message of a peer is passed over. BEP 11 allows one a minute; clocks differ. */
export const PEX_HEARD_GAP_MS = 30_000;
/** Addresses that are taken from one connection in its life, so that nobody fills our list of candidates alone. */
export const MAX_PEX_FROM_ONE = 500;

// Local discovery.

/** Bytes of a message that are looked at; BEP 14 wants no more than 1400. */
export const MAX_LSD_MESSAGE = 2048;
/** Messages that are heard in a second, from all machines together; each costs 20 microseconds. */
export const LSD_PER_SECOND = 50;
/** Messages that are heard in a row, from all machines together. */
export const LSD_BURST = 500;
/** Messages in a row from one machine, then one a second: some clients send one for each torrent, several times a minute. */
export const LSD_BURST_PER_HOST = 100;
/** Addresses of this machine from which neighbours are spoken to. Machines that run containers can have hundreds. */
export const MAX_LSD_ADDRESSES = 16;

// Web seeds.

/** Web seeds of a torrent that are remembered; a torrent that names more wants to use us against somebody. */
export const MAX_WEB_SEEDS = 64;
/** Web seeds that a torrent uses at the same time. */
export const MAX_ACTIVE_WEB_SEEDS = 4;
/** Connections to one web seed: it serves everybody, without a choker to protect it. */
export const MAX_WEB_CONNECTIONS = 2;
/** Milliseconds for the head of an answer, redirects included. */
export const WEB_ANSWER_MS = 20_000;
/** Milliseconds of reading in which a web seed has to send {@linkcode WEB_WINDOW_BYTES}. */
export const WEB_WINDOW_MS = 20_000;
/** Bytes that a web seed has to send in {@linkcode WEB_WINDOW_MS}: the least that is worth a connection is a block. */
export const WEB_WINDOW_BYTES = 16 * 1024;
/** Milliseconds for which a web seed may send us away; a wish for more is noise, and it is asked again after that. */
export const MAX_RETRY_AFTER_MS = 60 * 60_000;
/** Answers without sense in a row after which a web seed is given up. */
export const MAX_WEB_FAULTS = 3;
/** Files in a row that a web seed may not have before it is given up: there may be half a million of them. */
export const MAX_WEB_MISSING = 16;
/** Redirected files of a web seed that are remembered. */
export const MAX_WEB_REDIRECTS = 1000;

// The user's own files.

/** Bytes of the config file: every option there is, with a page of comment on each, has less. */
export const MAX_CONFIG = 64 * 1024;
/** Lists and tables of the config file within each other; three make sense. */
export const MAX_CONFIG_DEPTH = 8;

// HTTP servers of ours: the tracker and what is streamed. See src/platform/http_server.ts.

/** Connections of a server at a time: half of the 1,024 descriptors that many systems give, the rest is for peers and files. */
export const MAX_HTTP_CONNECTIONS = 512;
/** Connections of one network (an IPv4 address, an IPv6 /64): an office or a school behind one address, each for an instant. */
export const MAX_HTTP_PER_NETWORK = 64;
/** Connections of this machine, or of a proxy that is trusted and brings everybody's requests. */
export const MAX_HTTP_PER_PROXY = 384;
/** Milliseconds without a request after which a connection is closed. Proxies keep theirs for 60 s, and open another. */
export const HTTP_IDLE_MS = 30_000;
/** Milliseconds from the first byte of a request's head to its last: on any line that works it takes one. */
export const HTTP_HEAD_MS = 10_000;
/** Bytes of a head: a path of {@linkcode MAX_STREAM_PATH} and a browser's header fields. */
export const MAX_HTTP_HEAD = 32 * 1024;
/** Header fields of a request; a browser sends 20. */
export const MAX_HTTP_FIELDS = 100;
/** Bytes of a request's body that are taken, unless a server wants more; what nobody reads is passed over up to here, too. */
export const MAX_HTTP_BODY = 2 ** 20;
/** Milliseconds for a request's body, besides those for its bytes. */
export const HTTP_BODY_MS = 30_000;
/** Bytes of a body for which there is a second more. */
export const HTTP_BODY_BYTES_PER_SECOND = 1024;
/** Bytes of an answer up to which it has to be taken within {@linkcode HTTP_IDLE_MS}; a longer one may be read slowly. */
export const SMALL_HTTP_ANSWER = 64 * 1024;
/**
 * Milliseconds without a byte taken after which a long answer gives its place up when others come. A player that pauses does
 * that, and asks again where it was.
 */
export const HTTP_STALL_MS = 30_000;
/** The same for a short answer, which no player takes piece by piece: 500 of them kept everybody else out for half a minute. */
export const HTTP_SHORT_STALL_MS = 5_000;
/** Milliseconds to wait when the system can't give us another connection. */
export const ACCEPT_PAUSE_MS = 200;

// Reading while downloading, and serving that over HTTP.

/**
 * Pieces that come before all others, for all readers of a torrent together. They are looked through each time that a peer has
 * time; 512 of the smallest are 8 MiB, which is more than any player wants ahead.
 */
export const MAX_URGENT_PIECES = 512;
/** Requests that are answered at the same time. A browser makes six, a player two; each that reads ahead takes from the others. */
export const MAX_STREAM_REQUESTS = 64;
/** Characters of a request's path; the longest of a file has 3,072 bytes, each of which may take three. */
export const MAX_STREAM_PATH = 12_288;
/** Files that a page or a playlist lists; a torrent may have half a million. */
export const MAX_LISTED_FILES = 10_000;
