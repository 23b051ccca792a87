// Finds out which firmware this host has, by the digest of its file, and what that build measures of itself.
import { readFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { RingwallError } from '@ringwall/api';
import { parseFirmwareManifest, type FirmwareManifest } from '@ringwall/evidence';
import ovmfDebian12 from './firmware/ovmf-2022.11-6-deb12u2.json' with { type: 'json' };

/** Where Debian's package `ovmf` has the build without Secure Boot and SMM, and its pristine variables. */
export const FIRMWARE_CODE = '/usr/share/OVMF/OVMF_CODE_4M.fd';
export const FIRMWARE_VARS = '/usr/share/OVMF/OVMF_VARS_4M.fd';

const KNOWN: readonly FirmwareManifest[] = [ovmfDebian12].map((entry) => parseFirmwareManifest(entry));

export interface FirmwareFiles {
  readonly code: string;
  readonly vars: string;
}

/** Throws `host-lacks` where the firmware is missing or none that Ringwall knows. */
export async function readFirmware(
  files: FirmwareFiles = { code: FIRMWARE_CODE, vars: FIRMWARE_VARS },
): Promise<FirmwareManifest> {
  const [code, vars] = [await digestOf(files.code), await digestOf(files.vars)];
  const known = KNOWN.find((entry) => entry.digest === code);
  if (known === undefined) {
    throw new RingwallError('host-lacks', `${files.code} is a firmware that Ringwall does not know (sha256 ${code})`, {
      hint: `install ${KNOWN.map(({ name }) => name).join(' or ')}, or make an entry: host/guestimage/firmware/README.md`,
    });
  }
  if (known.varsDigest !== vars) {
    throw new RingwallError('host-lacks', `${files.vars} does not belong to ${known.name}, or was changed`, {
      hint: 'apt-get install --reinstall ovmf',
    });
  }
  return known;
}

async function digestOf(path: string): Promise<string> {
  try {
    return createHash('sha256')
      .update(await readFile(path))
      .digest('hex');
  } catch (cause) {
    throw new RingwallError('host-lacks', `there is no firmware at ${path}`, { hint: 'apt-get install ovmf', cause });
  }
}
