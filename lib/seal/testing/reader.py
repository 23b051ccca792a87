"""Opens a sealed object by docs/sealed-format.md alone: a second reader, which shares no line with the first.

usage: reader.py KEY_HEX [PARENT] < sealed > contents

KEY_HEX: 32 bytes; or the private half of an X25519 key after "x25519:". PARENT: a file with the contents of the parent.
"""
import hashlib
import hmac
import json
import struct
import sys

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

FORMAT = b"ringwall-sealed/1"
PAGE = 4096

IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)


def compress(chain, block, counter, flags):
    """BLAKE3, section 2.2: the chaining value alone."""
    m = struct.unpack("<16I", block.ljust(64, b"\0"))
    v = [*chain, *IV[:4], counter & 0xFFFFFFFF, counter >> 32, len(block), flags]
    for _ in range(7):
        for i, (a, b, c, d) in enumerate(((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
                                          (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))):
            for x, rd, rb in ((m[2 * i], 16, 12), (m[2 * i + 1], 8, 7)):
                v[a] = (v[a] + v[b] + x) & 0xFFFFFFFF
                w = v[d] ^ v[a]
                v[d] = (w >> rd | w << 32 - rd) & 0xFFFFFFFF
                v[c] = (v[c] + v[d]) & 0xFFFFFFFF
                w = v[b] ^ v[c]
                v[b] = (w >> rb | w << 32 - rb) & 0xFFFFFFFF
        m = [m[i] for i in PERMUTATION]
    return [v[i] ^ v[i + 8] for i in range(8)]


def blake3(data, counter=0, root=8):
    if len(data) <= 1024:
        chain, blocks = IV, [data[i:i + 64] for i in range(0, len(data), 64)] or [b""]
        for i, block in enumerate(blocks):
            last = i == len(blocks) - 1
            chain = compress(chain, block, counter, (1 if i == 0 else 0) | (2 | root if last else 0))
        return struct.pack("<8I", *chain)
    half = 1024 << ((len(data) - 1) // 1024).bit_length() - 1
    both = blake3(data[:half], counter, 0) + blake3(data[half:], counter + half // 1024, 0)
    return struct.pack("<8I", *compress(IV, both, 0, 4 | root))


def take(stream, count):
    data = stream.read(count)
    if len(data) != count:
        sys.exit("truncated")
    return data


def derive(key, purpose, binding):
    return HKDF(hashes.SHA256(), 32, binding, FORMAT + b" " + purpose).derive(key)


def extract(suite, salt, label, ikm):
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + ikm, "sha256")


def expand(suite, prk, label, info, length):
    text = struct.pack(">H", length) + b"HPKE-v1" + suite + label + info + b"\1"
    return hmac.digest(prk, text, "sha256")[:length]


def open_hpke(private, enc, ciphertext, info):
    own = private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    kem, suite = b"KEM" + struct.pack(">H", 0x20), b"HPKE" + struct.pack(">HHH", 0x20, 1, 2)
    shared = private.exchange(X25519PublicKey.from_public_bytes(enc))
    secret = expand(kem, extract(kem, b"", b"eae_prk", shared), b"shared_secret", enc + own, 32)
    context = b"\0" + extract(suite, b"", b"psk_id_hash", b"") + extract(suite, b"", b"info_hash", info)
    prk = extract(suite, secret, b"secret", b"")
    key, nonce = expand(suite, prk, b"key", context, 32), expand(suite, prk, b"base_nonce", context, 12)
    return AESGCM(key).decrypt(nonce, ciphertext, b"")


def data_key_of(envelope, binding, secret):
    stanzas, info = envelope["keys"], FORMAT + b" key\0" + binding
    for stanza in stanzas:
        enc, wrapped = bytes.fromhex(stanza["enc"]), bytes.fromhex(stanza["wrapped"])
        try:
            if stanza["kind"] == "x25519" and secret.startswith("x25519:"):
                private = X25519PrivateKey.from_private_bytes(bytes.fromhex(secret[7:]))
                key = open_hpke(private, enc, wrapped, info)
            elif stanza["kind"] == "key" and ":" not in secret:
                key = AESGCM(bytes.fromhex(secret)).decrypt(enc, wrapped, info)
            else:
                continue
        except Exception:
            continue
        text = json.dumps(stanzas, separators=(",", ":")).encode()
        if hmac.digest(derive(key, b"envelope", binding), text, "sha256").hex() != envelope["mac"]:
            sys.exit("envelope altered")
        return key
    sys.exit("no key")


def root_of(leaves):
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return blake3(b"\1" + root_of(leaves[:half]) + root_of(leaves[half:]))


def pages_of(plain, chunk, parent, place):
    """What a record of pages stands for."""
    count = chunk // PAGE
    given, at = b"", -(-count // 4)
    for page in range(count):
        kind = plain[page >> 2] >> (page & 3) * 2 & 3
        if kind == 0:
            given, at = given + plain[at:at + PAGE], at + PAGE
        elif kind == 1:
            given += bytes(PAGE)
        elif kind == 2:
            given += parent[place + page * PAGE:place + (page + 1) * PAGE]
        else:
            sys.exit("a page of no kind")
    if at != len(plain):
        sys.exit("more pages than its map has")
    return given


def main(secret, parent, stream, out):
    magic = take(stream, 8)
    if magic != bytes([0xD5]) + b"RWSEAL" + b"\1":
        sys.exit("not sealed")
    envelope = json.loads(take(stream, struct.unpack(">I", take(stream, 4))[0]))
    counted = take(stream, 4)
    text = take(stream, struct.unpack(">I", counted)[0])
    manifest, binding = json.loads(text), hashlib.sha256(text).digest()
    cipher = {"aes-256-gcm": AESGCM, "chacha20-poly1305": ChaCha20Poly1305}[manifest["cipher"]]
    aead = cipher(derive(data_key_of(envelope, binding, secret), b"content", binding))
    size, chunk = manifest["bytes"], manifest["chunkBytes"]
    bound = binding + struct.pack(">Q", 2**53 - 1 if size is None else -(-size // chunk))
    leaves, index, given, owed = [blake3(b"\0" + magic + counted + text)], 0, 0, 0

    def without(kind, length):
        return bytes(length) if kind == 2 else parent[given:given + length]

    while True:
        header = take(stream, 12)
        kind, chunks, length = struct.unpack(">III", header)
        root = take(stream, 32) if kind == 127 else b""
        place = struct.pack(">Q", index)
        body = take(stream, length)
        plain = aead.decrypt(struct.pack(">I", manifest["counter"]) + place, body, bound + place + header + root)
        if kind == 127:
            if root != root_of(leaves) or stream.read(1) != b"":
                sys.exit("another tree, or something behind the end")
            total = struct.unpack(">Q", plain)[0]
            out.write(without(owed, total - given))
            return
        leaves.append(blake3(b"\0" + header + body))
        if take(stream, 32) != leaves[-1]:
            sys.exit("another digest")
        if owed:
            out.write(without(owed, chunk))
            given, owed = given + chunk, 0
        if kind in (2, 4):
            # How long the last one is, only what follows says.
            out.write(without(kind, (chunks - 1) * chunk))
            given, owed = given + (chunks - 1) * chunk, kind
        elif kind in (1, 5):
            plain = pages_of(plain, chunk, parent, given) if kind == 5 else plain
            out.write(plain)
            given += len(plain)
        else:
            sys.exit("compressed: not for this reader")
        index += chunks


if len(sys.argv) > 2:
    with open(sys.argv[2], "rb") as file:
        PARENT = file.read()
else:
    PARENT = b""
main(sys.argv[1], PARENT, sys.stdin.buffer, sys.stdout.buffer)
