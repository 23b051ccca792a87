import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { FIRMWARE_CODE, readFirmware } from './firmware.ts';
import { initializePei, unpackVolumes } from './firmware-volumes.ts';
import { fakeRun, type Run } from '../exec/index.ts';

describe.skipIf(!existsSync(FIRMWARE_CODE))(
  'readFirmware() (skipped: needs the package ovmf, where it is missing)',
  () => {
    // Each digest was measured by real boots, on both sides of q35's split of memory at 2.75 GiB.
    it.each([
      { cpus: 1, pei: 'eae228dc16987fb4' },
      { cpus: 2, pei: '21e710dfd4346136' },
      { cpus: 3, pei: 'bbf207cf2e8a31e5' },
      { cpus: 8, pei: '770193985ea609eb' },
    ])('predicts PEIFV for $cpus cpus', async ({ cpus, pei }) => {
      const { volumes } = await readFirmware({ cpus });
      expect(volumes.map(({ name, digest }) => `${name} ${digest.slice(0, 16)}`)).toEqual([
        `PEIFV ${pei}`,
        'DXEFV 614b0bfb88626b36',
      ]);
    });

    it('refuses a firmware that it does not know, with its digest', async () => {
      const files = { code: import.meta.filename, vars: import.meta.filename };
      await expect(readFirmware({ cpus: 1 }, files)).rejects.toMatchObject({
        message: expect.stringMatching(/does not know \(sha256 [0-9a-f]{64}\)/),
        hint: expect.stringContaining(`npm run firmware -- ${import.meta.filename}`),
      });
    });

    it('names the package where there is none', async () => {
      const files = { code: '/nonexistent/code', vars: '/nonexistent/vars' };
      await expect(readFirmware({ cpus: 1 }, files)).rejects.toMatchObject({
        code: 'host-lacks',
        hint: 'apt-get install ovmf',
      });
    });
  },
);

/** A code file as far as it is looked at: a GUIDed section of three bytes for the unpacker. */
function codeFile(): Uint8Array {
  const guid = Buffer.from('98584eee143959429d6edc7bd79403cf', 'hex');
  return new Uint8Array(
    Buffer.concat([Buffer.alloc(100, 0xff), Buffer.of(27, 0, 0, 2), guid, Buffer.of(24, 0, 1, 0), Buffer.from('xz!')]),
  );
}

function section(type: number, body: Buffer): Buffer {
  const size = body.length + 4;
  return Buffer.concat([Buffer.of(size & 0xff, size >> 8, 0, type), body, Buffer.alloc((4 - (size % 4)) % 4)]);
}

/** An unpacker that writes `unpacked` in pieces of so many bytes. */
function unpacker(unpacked: Buffer, pieceBytes: number): Run {
  return async (argv, { input, onOutput } = {}) => {
    expect(argv[0]).toBe('/usr/bin/xz');
    expect(Buffer.from(input ?? '').toString()).toBe('xz!');
    for (let at = 0; at < unpacked.length; at += pieceBytes) onOutput?.(unpacked.subarray(at, at + pieceBytes));
    return { code: 0, stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) };
  };
}

const PEI = Buffer.from('the first volume, which is kept');
const DXE = Buffer.from('the second volume, of which only the digest is');

describe('unpackVolumes()', () => {
  const [raw, pei, dxe] = [section(0x19, Buffer.from('pad')), section(0x17, PEI), section(0x17, DXE)];

  it.each([1, 2, 3, 5, 7, 64, 4096])('finds the two volumes in pieces of %i bytes', async (pieceBytes) => {
    const unpacked = Buffer.concat([raw, pei, raw, dxe, raw]);
    const volumes = await unpackVolumes(codeFile(), unpacker(unpacked, pieceBytes));
    expect(Buffer.from(volumes.pei).toString()).toBe(PEI.toString());
    expect(volumes.dxeDigest).toBe(createHash('sha256').update(DXE).digest('hex'));
  });

  it.each([
    ['one volume', [raw, pei]],
    ['three volumes', [pei, dxe, dxe]],
    ['a volume that breaks off', [pei, dxe.subarray(0, 20)]],
    ['a section smaller than its header', [pei, Buffer.of(3, 0, 0, 0x17), dxe]],
    ['a first volume of 16 MiB', [Buffer.of(0, 0, 0xf0, 0x17), dxe]],
    ['nothing', []],
  ])('refuses %s', async (_name, parts) => {
    await expect(unpackVolumes(codeFile(), unpacker(Buffer.concat(parts), 16))).rejects.toMatchObject({
      code: 'host-lacks',
    });
  });

  it('refuses a file without an LZMA section, before anything is run', async () => {
    await expect(unpackVolumes(new Uint8Array(4096), fakeRun({}).run)).rejects.toMatchObject({ code: 'host-lacks' });
  });
});

describe('initializePei()', () => {
  it('writes little-endian words and leaves the volume itself alone', () => {
    const pei = new Uint8Array(16);
    const layout = { constants: [{ offset: 14, bytes: Uint8Array.of(7) }], cpus: [0, 4] };
    const memory = initializePei(pei, layout, { cpus: 258 });
    expect(Buffer.from(memory).toString('hex')).toBe('02010000020100000000000000000700');
    expect(pei.every((byte) => byte === 0)).toBe(true);
  });
});
