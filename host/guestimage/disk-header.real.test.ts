// What the guest makes of LUKS2 headers that somebody else wrote, with the real cryptsetup on plain files.
import { existsSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { BUSYBOX, runGuestShell } from './testing/guest-shell.ts';
import { alterMetadata, destroyHeader } from './testing/luks-header.ts';

const CRYPTSETUP = '/sbin/cryptsetup';
const MISSING = [...(BUSYBOX === undefined ? ['busybox'] : []), ...(existsSync(CRYPTSETUP) ? [] : [CRYPTSETUP])];

const KEY = 'ab'.repeat(32);
const HEADER_BYTES = 1024 * 1024;
/** The guest's own functions, on a file in place of a disk. */
const ON_A_FILE = `
  wait_for_drivers() { :; }
  wait_for() { found=$dir/disk; }
  dd if=/dev/zero of=$dir/disk bs=1M count=16 2>/dev/null
`;
const INSPECT = 'inspect_disk; cat "$DISK_STATE"';
const OPENS = `printf '%s' ${KEY} | xxd -r -p | ${CRYPTSETUP} open --test-passphrase --key-file=- "$dir/disk" 2>&1`;

/** The first MiB of a disk that the guest formatted. */
async function formattedHeader(): Promise<Buffer> {
  const body = `${ON_A_FILE} format_disk "$dir/disk" ${KEY} encrypted; dd if=$dir/disk bs=${HEADER_BYTES} count=1 2>/dev/null | xxd -p`;
  const result = await runGuestShell(body);
  if (result.code !== 0) throw new Error(`${result.stderr} ${result.reasons.join('; ')}`);
  return Buffer.from(result.stdout.replaceAll('\n', ''), 'hex');
}

/** What the guest says of a disk that begins with these bytes. */
async function stateOf(header: Uint8Array, then = INSPECT): Promise<string> {
  const body = `${ON_A_FILE} cat <&4 | dd of=$dir/disk conv=notrunc 2>/dev/null; ${then}`;
  const result = await runGuestShell(body, header);
  return result.code === 0 ? result.stdout : [result.stdout, result.stderr, ...result.reasons].join('; ');
}

describe.skipIf(MISSING.length > 0)(`inspect_disk (skipped: needs ${MISSING.join(', ')})`, () => {
  let good: Buffer;
  beforeAll(async () => {
    good = await formattedHeader();
  });

  it('knows a disk that the guest formatted, and its key opens it', async () => {
    expect(await stateOf(good)).toBe('encrypted 0');
    expect(await stateOf(good, `${OPENS} && echo opens`)).toBe('opens\n');
  });

  it('knows a blank disk', async () => {
    expect(await stateOf(new Uint8Array(0))).toBe('blank');
  });

  it.each([
    ['a byte at its start', 0],
    ['a byte at the end of the first MiB', HEADER_BYTES - 1],
  ])('takes a disk with %s for neither blank nor its own', async (_name, at) => {
    const bytes = Buffer.alloc(HEADER_BYTES);
    bytes[at] = 1;
    expect(await stateOf(bytes)).toBe('foreign: it holds something that is not LUKS2');
  });

  it.each<[string, (json: string) => string]>([
    ['a null cipher', (json) => json.replace(/("iv_tweak":"0","encryption":)"[^"]*"/, '$1"cipher_null-ecb"')],
    [
      'a null cipher for the keyslot',
      (json) => json.replace(/("encryption":)"[^"]*"(,"key_size":64}),/, '$1"cipher_null-ecb"$2,'),
    ],
    ['another cipher', (json) => json.replace(/("iv_tweak":"0","encryption":)"[^"]*"/, '$1"aes-cbc-plain64"')],
    ['another cipher for both', (json) => json.replaceAll('aes-xts-plain64', 'aes-ecb')],
    ['a smaller key', (json) => json.replace('"key_size":64', '"key_size":32')],
    ['other sectors', (json) => json.replace('"sector_size":4096', '"sector_size":512')],
    ['another offset', (json) => json.replace('"offset":"1048576"', '"offset":"2097152"')],
    ['a size', (json) => json.replace('"dynamic"', '"4096"')],
    ['fewer iterations', (json) => json.replace('"iterations":1000', '"iterations":999')],
    [
      'a flag',
      (json) => json.replace('"keyslots_size":"524288"', '"keyslots_size":"524288","flags":["allow-discards"]'),
    ],
    [
      'a requirement',
      (json) =>
        json.replace(
          '"keyslots_size":"524288"',
          '"keyslots_size":"524288","requirements":{"mandatory":["online-reencrypt"]}',
        ),
    ],
    ['a token', (json) => json.replace('"tokens":{}', '"tokens":{"0":{"type":"x","keyslots":["0"]}}')],
    [
      'a second segment',
      (json) => json.replace('"segments":{', '"segments":{"1":{"type":"linear","offset":"1048576","size":"dynamic"},'),
    ],
    [
      'integrity',
      (json) =>
        json.replace(
          '"sector_size":4096',
          '"sector_size":4096,"integrity":{"type":"hmac(sha256)","journal_encryption":"none","journal_integrity":"none"}',
        ),
    ],
    ['no keyslot', (json) => json.replace(/"keyslots":{.*},"tokens"/, '"keyslots":{},"tokens"')],
    [
      'the same key twice',
      (json) =>
        json
          .replace('{"keyslots"', '{"segments":{"0":{"type":"linear","offset":"0","size":"dynamic"}},"keyslots"')
          .replace(/"segments":{"0":{"type":"crypt"/, '"segments":{"0":{"type":"linear"'),
    ],
  ])('takes a header with %s for one that it did not write', async (_name, change) => {
    expect(await stateOf(alterMetadata(good, change))).toMatch(
      /^foreign: (its LUKS2 header is not one that Ringwall writes|it holds something that is not LUKS2)$/,
    );
  });

  it('sees the change that cryptsetup would follow, whichever copy of the header it is in', async () => {
    const change = (json: string): string => json.replaceAll('aes-xts-plain64', 'cipher_null-ecb');
    expect(await stateOf(alterMetadata(destroyHeader(good, 'first'), change, ['second']))).toMatch(/^foreign/);
    expect(await stateOf(destroyHeader(alterMetadata(good, change, ['first']), 'second'))).toMatch(/^foreign/);
    // One good copy is as good as two: this is what a write that broke off leaves.
    expect(await stateOf(destroyHeader(good, 'first'))).toBe('encrypted 0');
  });

  it.each([
    ['open', 'blank', 'the disk is blank, but its key was used before: the disk was replaced or wiped'],
    ['open', 'foreign: x', 'the disk is foreign: x'],
    ['format', 'foreign: x', 'the disk is foreign: x'],
    ['rotate', 'blank', 'the disk is blank, but its key was used before: the disk was replaced or wiped'],
    [
      'open-authenticated',
      'encrypted 0',
      'the disk is encrypted and was made to be authenticated: its header was replaced',
    ],
    [
      'format-authenticated',
      'encrypted 0',
      'the disk is encrypted and was made to be authenticated: its header was replaced',
    ],
    ['open', 'authenticated 0', 'the disk is authenticated and was made to be encrypted: its header was replaced'],
  ])('lets nothing be done to %s a disk that is %s', async (mode, state, reason) => {
    const body = `${ON_A_FILE} printf '%s' '${state}' >"$DISK_STATE"; : >"$DISK_DEVICE"; load_drivers() { :; }; unlock_disk ${mode} ${KEY}`;
    expect(await runGuestShell(body)).toMatchObject({ code: 1, reasons: [reason] });
  });

  it('refuses a disk that is smaller than a header', async () => {
    const result = await runGuestShell(`${ON_A_FILE} truncate -s 4096 $dir/disk; inspect_disk`);
    expect(result).toMatchObject({ code: 1, reasons: ['the disk is smaller than its own header'] });
  });
});
