/**
 * Watches everything that crosses a private network, and sorts out what finds peers beside trackers, and what is not encrypted.
 *
 * @module
 */

/**
 * A raw socket on the bridge sees each packet. It prints `WAY SENDER` for each that belongs to a way of finding peers:
 * `dht` for a node that asks for or announces the peers of the torrent whose info-hash is the program's argument (a node
 * that asks for nodes betrays nothing), `lsd` for a message of local discovery, `pex` for an extension handshake that
 * offers peer exchange; and of what is plain to see: `handshake` for one of BEP 3, `block` for a message with 16 KiB. The
 * program's other arguments say which of them it looks for. For another way add how to tell its packets.
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
