"""Opens a sealed object by docs/sealed-format.md alone: a second reader, which shares no line with the first.

usage: reader.py KEY_HEX < sealed > contents        KEY_HEX: 32 bytes; or the private half of an X25519 key after "x25519:"
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
    return hashlib.sha256(b"\1" + root_of(leaves[:half]) + root_of(leaves[half:])).digest()


def main(secret, stream, out):
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
    leaves, index, given, owed = [hashlib.sha256(b"\0" + magic + counted + text).digest()], 0, 0, 0
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
            out.write(bytes(total - given))
            return
        leaves.append(hashlib.sha256(b"\0" + header + body).digest())
        if take(stream, 32) != leaves[-1]:
            sys.exit("another digest")
        if owed:
            out.write(bytes(owed))
            given, owed = given + owed, 0
        if kind == 2:
            # How long the last one is, only what follows says.
            out.write(bytes((chunks - 1) * chunk))
            given, owed = given + (chunks - 1) * chunk, chunk
        elif kind == 1:
            out.write(plain)
            given += len(plain)
        else:
            sys.exit("compressed: not for this reader")
        index += chunks


main(sys.argv[1], sys.stdin.buffer, sys.stdout.buffer)
