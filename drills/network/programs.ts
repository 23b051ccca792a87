// What attackers and their victims run in drills about networks, in Python: sockets of every kind come with it. Each program takes one JSON
// value, says `ready` once it listens, and ends with one JSON value.

/** Frames byte by byte, as somebody with root in a machine of their own sends and hears them. */
const PRELUDE = `
import json, select, socket, struct, sys, time
ARG = json.loads(sys.argv[1])
V4, V6 = socket.AF_INET, socket.AF_INET6
EVERYBODY, ALL_NODES = 'ff:ff:ff:ff:ff:ff', '33:33:00:00:00:01'
def family(text): return V6 if ':' in text else V4
def mac(text): return bytes.fromhex(text.replace(':', ''))
def ip(text): return socket.inet_pton(family(text), text)
def checksum(data):
    total = sum(struct.unpack('!%dH' % ((len(data) + 1) // 2), data + bytes(len(data) % 2)))
    while total >> 16: total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff
def frame(to, sender, kind, payload): return mac(to) + mac(sender) + struct.pack('!H', kind) + payload
def udp4(sender, to, ports, data):
    head = struct.pack('!BBHHHBBH4s4s', 69, 0, 28 + len(data), 0, 0, 64, 17, 0, ip(sender), ip(to))
    head = head[:10] + struct.pack('!H', checksum(head)) + head[12:]
    return head + struct.pack('!HHHH', *ports, 8 + len(data), 0) + data
def icmp6(sender, to, message):
    pseudo = ip(sender) + ip(to) + struct.pack('!II', len(message), 58)
    message = message[:2] + struct.pack('!H', checksum(pseudo + message)) + message[4:]
    return struct.pack('!IHBB', 6 << 28, len(message), 58, 255) + ip(sender) + ip(to) + message
def ready(): print('ready', flush=True)
def answer(value): print(json.dumps(value), flush=True)
def card():
    own = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    own.bind(('eth0', 0))
    # SOL_PACKET, PACKET_ADD_MEMBERSHIP, PACKET_MR_PROMISC: also what is for others.
    own.setsockopt(263, 1, struct.pack('IHH8s', socket.if_nametoindex('eth0'), 1, 0, b''))
    return own
def pelt(frames, seconds, canaries):
    """Sends the frames again and again, and answers those of the canaries that came in meanwhile."""
    own, heard, end = card(), set(), time.monotonic() + seconds
    ready()
    while time.monotonic() < end and len(heard) < len(canaries):
        for each in frames: own.send(each)
        while select.select([own], [], [], 0.01)[0]:
            data, (_, _, kind, _, _) = own.recvfrom(65536)
            if kind != socket.PACKET_OUTGOING: heard |= {canary for canary in canaries if canary.encode() in data}
    return [canary in heard for canary in canaries]
`;

export function program(body: string): string {
  return PRELUDE + body;
}

/** Sends texts over and over, by UDP: `{messages: [[to, port, text]…], seconds}`. */
export const TALK: string = program(`
def voice(to):
    own = socket.socket(family(to), socket.SOCK_DGRAM)
    own.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    # What is for all leaves by the card, whether or not a route leads there.
    own.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'eth0')
    return own
voices, end = [voice(to) for to, _, _ in ARG['messages']], time.monotonic() + ARG['seconds']
ready()
while time.monotonic() < end:
    for own, (to, port, text) in zip(voices, ARG['messages']):
        try: own.sendto(text.encode(), (to, port))
        except OSError: pass
    time.sleep(0.02)
answer(True)
`);

/** What comes by UDP, and from whom: `{port, seconds}` answers `[[text, sender]…]`, each once. */
export const LISTEN: string = program(`
own = socket.socket(V6, socket.SOCK_DGRAM)
own.bind(('', ARG['port']))
heard, end = set(), time.monotonic() + ARG['seconds']
ready()
while (left := end - time.monotonic()) > 0:
    if select.select([own], [], [], left)[0]:
        data, where = own.recvfrom(2048)
        heard.add((data.decode(), where[0].removeprefix('::ffff:')))
answer(sorted(heard))
`);

/** Gives a text to whoever connects by TCP, and to one sender alone where that is said, until it is stopped: `{port, text, to?}`. */
export const SERVE: string = program(`
own = socket.create_server(('', ARG['port']), family=V6, dualstack_ipv6=True, backlog=64)
ready()
while True:
    link, where = own.accept()
    with link:
        if ARG.get('to') in (None, where[0].removeprefix('::ffff:')): link.send(ARG['text'].encode())
`);

/** What services give to whoever connects: `{targets: [[to, port]…], from?, seconds}` answers a text for each, empty where nobody answers. */
export const FETCH: string = program(`
def fetch(to, port):
    end = time.monotonic() + ARG['seconds']
    # A card is told up to a second late that its cable is in.
    while (left := end - time.monotonic()) > 0:
        try:
            with socket.create_connection((to, port), timeout=min(left, max(0.25, ARG['seconds'] / 4)), source_address=(ARG['from'], 0) if 'from' in ARG else None) as link:
                return link.recv(4096).decode()
        except OSError: time.sleep(0.05)
    return ''
ready()
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(16) as pool: answer(list(pool.map(lambda target: fetch(*target), ARG['targets'])))
`);
