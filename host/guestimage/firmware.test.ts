import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { FIRMWARE_CODE, readFirmware } from './firmware.ts';
import { initializePei, unpackVolumes } from './firmware-volumes.ts';
import { fakeRun } from '../exec/index.ts';

describe.skipIf(!existsSync(FIRMWARE_CODE))(
  'readFirmware() (skipped: needs the package ovmf, where it is missing)',
  () => {
    // Each digest was measured by real boots, on both sides of q35's split of memory at 2.75 GiB.
    it.each([
      { cpus: 1, pei: '1dd4ded32b5b97d3' },
      { cpus: 2, pei: '86dbd0066d252011' },
      { cpus: 3, pei: 'e2e1097e3f814ddf' },
      { cpus: 8, pei: '97f4cb3c38f19955' },
    ])('predicts PEIFV for $cpus cpus', async ({ cpus, pei }) => {
      const { volumes } = await readFirmware({ cpus });
      expect(volumes.map(({ name, digest }) => `${name} ${digest.slice(0, 16)}`)).toEqual([
        `PEIFV ${pei}`,
        'DXEFV 82a0445201cb4994',
      ]);
    });

    it('refuses a firmware that it does not know, with its digest', async () => {
      const files = { code: import.meta.filename, vars: import.meta.filename };
      await expect(readFirmware({ cpus: 1 }, files)).rejects.toThrow(/does not know \(sha256 [0-9a-f]{64}\)/);
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

describe('unpackVolumes()', () => {
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
