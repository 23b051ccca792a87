// Which of the format's ciphers suits this processor: without instructions for AES, ChaCha20-Poly1305 is faster, and takes the same
// time whatever the key is.
import { readFileSync } from 'node:fs';

type Cipher = 'aes-256-gcm' | 'chacha20-poly1305';

let here: Cipher | undefined;

export function cipherOfProcessor(): Cipher {
  return (here ??= cipherFor(readFileSync('/proc/cpuinfo', 'utf8')));
}

/** By what Linux says of its processors: `flags` on x86, `Features` on Arm (proc(5)). */
export function cipherFor(cpuinfo: string): Cipher {
  return /^(?:flags|Features)\s*:.*\baes\b/m.test(cpuinfo) ? 'aes-256-gcm' : 'chacha20-poly1305';
}
