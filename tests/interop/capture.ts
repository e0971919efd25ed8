/**
 * Captures the packets of a private network, and classifies those of peer discovery and those that are not encrypted.
 *
 * @module
 */

/**
 * Python program that reads every packet from a raw socket on the bridge, and prints `KIND SENDER` for each packet of a
 * kind that it looks for:
 *
 * - `dht`: a get_peers or announce_peer query (BEP 5) for the torrent. A find_node query doesn't reveal a torrent.
 * - `lsd`: a message of local service discovery (BEP 14).
 * - `pex`: an extension handshake that offers peer exchange (BEP 11).
 * - `handshake`: an unencrypted handshake of BEP 3.
 * - `block`: an unencrypted piece message with 16 KiB.
 *
 * Arguments: the torrent's info-hash in hexadecimal, then the kinds. A new kind is a new entry in `ways`.
 */
export const CAPTURE = `
import socket, struct, sys
info_hash = b'9:info_hash20:' + bytes.fromhex(sys.argv[1])
asks = (b'9:get_peers', b'13:announce_peer')
ways = {
    'dht': lambda udp, ports, body: udp and info_hash in body and any(one in body for one in asks),
    'lsd': lambda udp, ports, body: udp and 6771 in ports,
    'pex': lambda udp, ports, body: not udp and b'6:ut_pex' in body,
    'handshake': lambda udp, ports, body: not udp and b'BitTorrent protocol' in body,
    'block': lambda udp, ports, body: not udp and b'\\0\\0\\x40\\x09\\x07' in body,
}
ways = {way: ways[way] for way in sys.argv[2:]}
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 20)
print('READY', flush=True)
while True:
    frame = wire.recv(65536)
    kind = struct.unpack('!H', frame[12:14])[0]
    if kind == 0x800:
        at = 14 + 4 * (frame[14] & 15)
        protocol, sender = frame[23], socket.inet_ntop(socket.AF_INET, frame[26:30])
    elif kind == 0x86dd:
        at, protocol, sender = 54, frame[20], socket.inet_ntop(socket.AF_INET6, frame[22:38])
    else: continue
    if protocol not in (6, 17): continue
    body = frame[at + (8 if protocol == 17 else 4 * (frame[at + 12] >> 4)):]
    for way, tells in ways.items():
        if tells(protocol == 17, struct.unpack('!HH', frame[at:at + 4]), body): print(way, sender, flush=True)
`;
