// Finds out which firmware this host has, by the digest of its file, and what that build measures of itself in a machine.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { RingwallError } from '@ringwall/api';
import { fromHex } from '@ringwall/bytes';
import { parseFirmwareManifest, type FirmwareManifest } from '@ringwall/evidence';
import { run } from '../exec/index.ts';
import {
  initializePei,
  unpackVolumes,
  type FirmwareVolumes,
  type PlatformInfoLayout,
  type PlatformShape,
} from './firmware-volumes.ts';
import ovmfDebian12 from './firmware/ovmf-2022.11-6-deb12u2.json' with { type: 'json' };

/** Where Debian's package `ovmf` has the build without Secure Boot and SMM, and its pristine variables. */
export const FIRMWARE_CODE = '/usr/share/OVMF/OVMF_CODE_4M.fd';
export const FIRMWARE_VARS = '/usr/share/OVMF/OVMF_VARS_4M.fd';

/** The builds that Ringwall knows: firmware/README.md says how one is added. */
const KNOWN = [ovmfDebian12];
type KnownFirmware = (typeof KNOWN)[number];

export interface FirmwareFiles {
  readonly code: string;
  readonly vars: string;
}

/** Unpacking takes 0.2 s, so it is done once for each file in the life of a process; by the file's digest. */
const unpacked = new Map<string, Promise<FirmwareVolumes>>();

/** Throws `host-lacks` where the firmware is missing or none that Ringwall knows. */
export async function readFirmware(
  shape: PlatformShape,
  files: FirmwareFiles = { code: FIRMWARE_CODE, vars: FIRMWARE_VARS },
): Promise<FirmwareManifest> {
  const code = await readFirmwareFile(files.code);
  const digest = sha256(code);
  const known = KNOWN.find((entry) => entry.digest === digest);
  if (known === undefined) {
    throw new RingwallError(
      'host-lacks',
      `${files.code} is a firmware that Ringwall does not know (sha256 ${digest})`,
      {
        hint: `install ${KNOWN.map(({ name }) => name).join(' or ')}, or make an entry: host/guestimage/firmware/README.md`,
      },
    );
  }
  if (known.varsDigest !== sha256(await readFirmwareFile(files.vars))) {
    throw new RingwallError('host-lacks', `${files.vars} does not belong to ${known.name}, or was changed`, {
      hint: 'apt-get install --reinstall ovmf',
    });
  }
  const { pei, dxe } = await volumesOf(code, digest);
  const { platformInfo, ...manifest } = known;
  return parseFirmwareManifest({
    ...manifest,
    volumes: [
      { name: 'PEIFV', digest: sha256(initializePei(pei, layoutOf(platformInfo), shape)) },
      { name: 'DXEFV', digest: sha256(dxe) },
    ],
  });
}

function volumesOf(code: Uint8Array, digest: string): Promise<FirmwareVolumes> {
  const before = unpacked.get(digest);
  if (before !== undefined) return before;
  const volumes = unpackVolumes(code, run);
  unpacked.set(digest, volumes);
  // A failure is not kept: xz may be installed by the next try.
  volumes.catch(() => unpacked.delete(digest));
  return volumes;
}

function layoutOf(recorded: KnownFirmware['platformInfo']): PlatformInfoLayout {
  const constants = recorded.constants.map(({ offset, bytes }) => ({ offset, bytes: fromHex(bytes) }));
  return { ...recorded, constants };
}

async function readFirmwareFile(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new RingwallError('host-lacks', `there is no firmware at ${path}`, { hint: 'apt-get install ovmf', cause });
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
