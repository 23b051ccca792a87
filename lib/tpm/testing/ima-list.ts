// IMA measurement lists for tests: entries with true template digests, made with node:crypto and not with the code that
// is tested, and the PCR values that they lead to.

import { createHash } from 'node:crypto';
import { concatBytes, utf8, Writer } from '@ringwall/bytes';

export interface TestImaEntry {
  readonly template: string;
  readonly fields: readonly Uint8Array[];
  readonly pcr?: number;
  readonly templateDigest?: Uint8Array;
}

/** An entry of `ima-ng` for a file of this path. */
export function imaNg(path: string, digest: Uint8Array = sha('sha256', utf8(path))): TestImaEntry {
  return { template: 'ima-ng', fields: [digestField('sha256:', digest), nameField(path)] };
}

export function digestField(prefix: string, digest: Uint8Array): Uint8Array {
  return concatBytes(utf8(`${prefix}\0`), digest);
}

export function nameField(name: string): Uint8Array {
  return utf8(`${name}\0`);
}

export function violation(path: string): TestImaEntry {
  return { ...imaNg(path, new Uint8Array(32)), templateDigest: new Uint8Array(20) };
}

export function templateData(entry: TestImaEntry): Uint8Array {
  const writer = new Writer();
  for (const field of entry.fields) writer.sized32le((sized) => sized.bytes(field));
  return writer.finish();
}

export function encodeIma(...entries: readonly TestImaEntry[]): Uint8Array {
  return concatBytes(
    ...entries.map((entry) => {
      const data = templateData(entry);
      return new Writer()
        .u32le(entry.pcr ?? 10)
        .bytes(entry.templateDigest ?? sha('sha1', data))
        .sized32le((name) => name.bytes(utf8(entry.template)))
        .sized32le((sized) => sized.bytes(data))
        .finish();
    }),
  );
}

/** PCR 10 after the entries, without help of the code under test. */
export function imaPcr(bank: 'sha1' | 'sha256', ...entries: readonly TestImaEntry[]): Uint8Array {
  let pcr = new Uint8Array(bank === 'sha1' ? 20 : 32);
  for (const entry of entries) {
    const violated = entry.templateDigest?.every((byte) => byte === 0) === true;
    const measured = violated ? new Uint8Array(pcr.length).fill(0xff) : sha(bank, templateData(entry));
    pcr = sha(bank, concatBytes(pcr, measured));
  }
  return pcr;
}

export function sha(algorithm: string, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(createHash(algorithm).update(bytes).digest());
}
