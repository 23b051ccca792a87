// Finds out which firmware this host has, by the digest of its file, and what that build measures of itself in a machine.
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { RingwallError } from '@ringwall/api';
import { fromHex } from '@ringwall/bytes';
import { parseFirmwareManifest, type FirmwareManifest } from '@ringwall/evidence';
import { run } from '../exec/index.ts';
import { initializePei, unpackVolumes, type PlatformInfoLayout, type PlatformShape } from './firmware-volumes.ts';
import { sha256File } from './image.ts';
import { KNOWN_FIRMWARE } from './firmware/known.ts';

/** Where Debian's package `ovmf` has the build without Secure Boot and SMM, and its pristine variables. */
export const FIRMWARE_CODE = '/usr/share/OVMF/OVMF_CODE.fd';
export const FIRMWARE_VARS = '/usr/share/OVMF/OVMF_VARS.fd';

type KnownFirmware = (typeof KNOWN_FIRMWARE)[number];

export interface FirmwareFiles {
  readonly code: string;
  readonly vars: string;
}

/** A code file of OVMF has 4 MiB at most. */
const FIRMWARE_LIMIT_BYTES = 16 * 1024 * 1024;

interface VolumeDigests {
  readonly pei: string;
  readonly dxe: string;
}

/**
 * Unpacking takes 0.2 s, so its result is kept for the life of a process, by the file's digest and the number of
 * processors; a host has few of either. The volumes are not kept.
 */
const computed = new Map<string, Promise<VolumeDigests>>();

/** Throws `host-lacks` where the firmware is missing or none that Ringwall knows. */
export async function readFirmware(
  shape: PlatformShape,
  files: FirmwareFiles = { code: FIRMWARE_CODE, vars: FIRMWARE_VARS },
): Promise<FirmwareManifest> {
  const digest = await digestFirmwareFile(files.code);
  const known = KNOWN_FIRMWARE.find((entry) => entry.digest === digest);
  if (known === undefined) {
    throw new RingwallError(
      'host-lacks',
      `${files.code} is a firmware that Ringwall does not know (sha256 ${digest})`,
      {
        hint: `install ${KNOWN_FIRMWARE.map(({ name }) => name).join(' or ')}, or make it known: npm run firmware -- ${files.code}`,
      },
    );
  }
  if (known.varsDigest !== (await digestFirmwareFile(files.vars))) {
    throw new RingwallError('host-lacks', `${files.vars} does not belong to ${known.name}, or was changed`, {
      hint: 'apt-get install --reinstall ovmf',
    });
  }
  const { version, name, crtmVersion, bootOptions, varsDigest } = known;
  const { pei, dxe } = await digestsOf(files.code, known, shape);
  return parseFirmwareManifest({
    version,
    name,
    digest,
    varsDigest,
    crtmVersion,
    bootOptions,
    volumes: [
      { name: 'PEIFV', digest: pei },
      { name: 'DXEFV', digest: dxe },
    ],
  });
}

function digestsOf(path: string, known: KnownFirmware, shape: PlatformShape): Promise<VolumeDigests> {
  const key = `${known.digest} ${shape.cpus}`;
  const before = computed.get(key);
  if (before !== undefined) return before;
  const digests = computeDigests(path, known, shape);
  computed.set(key, digests);
  // A failure is not kept: xz may be installed by the next try.
  digests.catch(() => computed.delete(key));
  return digests;
}

async function computeDigests(path: string, known: KnownFirmware, shape: PlatformShape): Promise<VolumeDigests> {
  const code = await readFile(path);
  // It may have been exchanged since it was looked at.
  if (sha256(code) !== known.digest) throw new RingwallError('host-lacks', `${path} was changed just now`);
  const { pei, dxeDigest } = await unpackVolumes(code, run);
  return { pei: sha256(initializePei(pei, layoutOf(known.platformInfo), shape)), dxe: dxeDigest };
}

function layoutOf(recorded: KnownFirmware['platformInfo']): PlatformInfoLayout {
  const constants = recorded.constants.map(({ offset, bytes }) => ({ offset, bytes: fromHex(bytes) }));
  return { ...recorded, constants };
}

async function digestFirmwareFile(path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > FIRMWARE_LIMIT_BYTES)
      throw new RingwallError('host-lacks', `${path} has ${size} bytes, too many for OVMF`);
    return await sha256File(path);
  } catch (cause) {
    if (cause instanceof RingwallError) throw cause;
    throw new RingwallError('host-lacks', `there is no firmware at ${path}`, { hint: 'apt-get install ovmf', cause });
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
