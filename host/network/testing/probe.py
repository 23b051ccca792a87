"""Stands for a machine: in a network namespace of its own, with one card, it sends and receives what it is told to.
One JSON command in a line on stdin, one JSON answer in a line on stdout."""
import json, select, socket, struct, subprocess, sys, time

V4, V6 = socket.AF_INET, socket.AF_INET6
ECHO = {V4: (8, 0), V6: (128, 129)}
# What is awaited comes at once on a quiet host; a busy one takes its time.
PATIENCE_SECONDS = 60
listeners, inboxes, icmp = [], [], {}
seen, kept = None, []


def family(address):
    return V6 if ':' in address else V4


def configure(commands):
    subprocess.run(['/usr/sbin/ip', '-batch', '-'], input=commands.encode(), check=True)
    return True


def listen(tcp, udp):
    for kind in (V4, V6):
        for port in tcp:
            listeners.append(socket.create_server(('', port), family=kind, backlog=256))
        for port in udp:
            inbox = socket.socket(kind, socket.SOCK_DGRAM)
            if kind == V6:
                inbox.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            inbox.bind(('', port))
            inboxes.append(inbox)
    icmp[V4] = socket.socket(V4, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    icmp[V6] = socket.socket(V6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    for own in listeners + inboxes + list(icmp.values()):
        own.setblocking(False)
    return True


def checksum(data):
    total = sum(struct.unpack('!%dH' % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def send_icmp(to, type_, ident):
    body = struct.pack('!BBHHH', type_, 0, 0, ident, 1) + bytes(12)
    if family(to) == V4:
        body = struct.pack('!BBHHH', type_, 0, checksum(body), ident, 1) + bytes(12)
    try:
        icmp[family(to)].sendto(body, (to, 0))
    except OSError:
        pass


def probe(round_, targets, seconds, expected=()):
    """Sends everything at once; answers with the indexes of targets that answered (TCP, ICMP) in so many seconds, or in as many more as
    the expected ones take: those of ICMP are asked each second."""
    reached, pending, base = set(), {}, round_ * 512
    for index, (kind, to, number) in enumerate(targets):
        if kind == 'tcp':
            link = socket.socket(family(to), socket.SOCK_STREAM)
            link.setblocking(False)
            link.connect_ex((to, number))
            pending[link] = index
        elif kind == 'udp':
            with socket.socket(family(to), socket.SOCK_DGRAM) as out:
                try:
                    out.sendto(json.dumps([round_, index, sys.argv[1]]).encode(), (to, number))
                except OSError:
                    pass
        else:
            send_icmp(to, number, base + index)
    began = time.monotonic()
    again, late = began + 1, began + PATIENCE_SECONDS
    while (now := time.monotonic()) < (end := began + seconds if reached.issuperset(expected) else late):
        if now >= again:
            again = now + 1
            for index in expected:
                kind, to, number = targets[index]
                if kind == 'icmp' and index not in reached:
                    send_icmp(to, number, base + index)
        readable, writable, _ = select.select(listeners + list(icmp.values()), list(pending), [], min(end, again) - now)
        for link in writable:
            if link.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                reached.add(pending[link])
            del pending[link]
            link.close()
        for own in readable:
            if own in listeners:
                own.accept()[0].close()
            else:
                data, _ = own.recvfrom(2048)
                data = data[20:] if own is icmp[V4] else data
                answer, ident = data[0], struct.unpack('!H', data[4:6])[0]
                if answer in (0, 14, 129) and base <= ident < base + len(targets):
                    reached.add(ident - base)
    for link in pending:
        link.close()
    return sorted(reached)


def collect(round_):
    """What came by UDP in this round: [index of the target, name of the sender]."""
    got = []
    for inbox in inboxes:
        while True:
            try:
                sent, index, sender = json.loads(inbox.recv(2048))
            except (BlockingIOError, ConnectionError):
                break
            if sent == round_:
                got.append([index, sender])
    return got


def sniff():
    """From now on all frames that arrive are kept."""
    global seen
    kept.clear()
    seen = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    seen.setblocking(False)
    return True


def heard(markers):
    """Those of the markers that were in a frame from outside since."""
    while True:
        try:
            frame, (_, _, type_, _, _) = seen.recvfrom(65536)
        except BlockingIOError:
            break
        if type_ != socket.PACKET_OUTGOING:
            kept.append(frame)
    return sorted({marker for marker in markers if any(bytes.fromhex(marker) in frame for frame in kept)})


def frames(hex_frames):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
        out.bind(('eth0', 0))
        for frame in hex_frames:
            out.send(bytes.fromhex(frame))
    return True


def flood(hex_frames, count):
    """The frames in turn, until so many were sent: how many seconds that took."""
    ready = [bytes.fromhex(frame) for frame in hex_frames]
    began = time.monotonic()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
        out.bind(('eth0', 0))
        for index in range(count):
            try:
                out.send(ready[index % len(ready)])
            except OSError:
                pass
    return time.monotonic() - began


def received():
    """Packets that have come to the card, as its driver counts them."""
    with open('/proc/self/net/dev') as file:
        return next(int(line.split()[2]) for line in file if line.strip().startswith('eth0:'))


def text_of(message, at):
    """A name in a DNS message (RFC 1035, 4.1.4), and where it ends."""
    labels, end = [], None
    while message[at]:
        if message[at] & 0xc0:
            end = end or at + 2
            at = struct.unpack('!H', message[at:at + 2])[0] & 0x3fff
            continue
        labels.append(message[at + 1:at + 1 + message[at]].decode())
        at += 1 + message[at]
    return '.'.join(labels), end or at + 1


def resolve(server, name, kind, seconds=PATIENCE_SECONDS, tcp=False):
    """Asks one question, by UDP again each second: [response code, answers as text], or nothing where nobody answers."""
    question = b''.join(bytes([len(part)]) + part.encode() for part in name.split('.')) + b'\0'
    message = struct.pack('!HHHHHH', 0x5157, 0x100, 1, 0, 0, 0) + question + struct.pack('!HH', kind, 1)
    end = time.monotonic() + seconds
    with socket.socket(family(server), socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as out:
        out.settimeout(seconds)
        try:
            out.connect((server, 53, 0, socket.if_nametoindex('eth0')) if family(server) == V6 else (server, 53))
            out.send(struct.pack('!H', len(message)) + message if tcp else message)
            while not tcp and not select.select([out], [], [], max(0, min(1, end - time.monotonic())))[0]:
                if time.monotonic() >= end:
                    return None
                out.send(message)
            data = out.recv(4096)[2 if tcp else 0:]
        except (TimeoutError, ConnectionError):
            return None
    answers, at = [], 12 + len(question) + 4
    for _ in range(struct.unpack('!H', data[6:8])[0]):
        _, at = text_of(data, at)
        type_, _, _, size = struct.unpack('!HHIH', data[at:at + 10])
        at += 10
        raw = data[at:at + size]
        answers.append(text_of(data, at)[0] if type_ == 12 else socket.inet_ntop(V4 if size == 4 else V6, raw))
        at += size
    return [data[3] & 0xf, answers]


def stream_open(to, port):
    """A connection that stays; the other side keeps what it accepts."""
    global link
    link = socket.create_connection((to, port), timeout=PATIENCE_SECONDS)
    return True


def segment(to, port):
    """The largest segment that a connection there agrees upon; nothing where there is none."""
    with socket.socket(family(to), socket.SOCK_STREAM) as out:
        out.settimeout(10)
        try:
            out.connect((to, port))
        except OSError:
            return None
        return out.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)


def stream_accept(port):
    global link
    for own in listeners:
        if own.getsockname()[1] == port:
            try:
                link = own.accept()[0]
                return True
            except BlockingIOError:
                pass
    return False


def stream_send(text):
    link.send(text.encode())
    return True


def stream_receive(seconds=PATIENCE_SECONDS):
    """What comes on the connection, or nothing in so many seconds."""
    link.settimeout(seconds)
    try:
        return link.recv(4096).decode()
    except TimeoutError:
        return ''


for line in sys.stdin:
    name, *arguments = json.loads(line)
    print(json.dumps(globals()[name](*arguments)), flush=True)
