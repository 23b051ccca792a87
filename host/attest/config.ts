// Which TPM is this host's own, and where its logs lie: the kernel's own device, or what `host-tpm.json` in root's state
// directory says instead (a TPM behind a socket, logs that somebody else keeps). Only root may have written that file.
import { access, lstat } from 'node:fs/promises';
import { RingwallError } from '@ringwall/api';
import { openTpmDevice, openTpmSocket, TPM_DEVICE } from '../tpm/index.ts';
import type { Transport } from '@ringwall/tpm';
import { readBounded } from './read-bounded.ts';

const CONFIG_LIMIT_BYTES = 4096;
const OTHERS_MAY_WRITE = 0o022;
const ABSOLUTE = /^(?:\/[A-Za-z0-9_][A-Za-z0-9._-]*)+$/;

export interface HostTpmConfig {
  readonly tpm: { readonly device: string } | { readonly socket: string };
  /** binary_bios_measurements */
  readonly eventLog: string;
  /** binary_runtime_measurements */
  readonly imaLog: string;
}

/** Linux Documentation/ABI/testing/securityfs-* and tpm(4). */
export const KERNEL_TPM: HostTpmConfig = {
  tpm: { device: TPM_DEVICE },
  eventLog: '/sys/kernel/security/tpm0/binary_bios_measurements',
  imaLog: '/sys/kernel/security/ima/binary_runtime_measurements',
};

/** Undefined where there is no such file and no device of the kernel's. */
export async function findHostTpm(configPath: string): Promise<HostTpmConfig | undefined> {
  const configured = await readConfig(configPath);
  if (configured !== undefined) return configured;
  return access(TPM_DEVICE).then(
    () => KERNEL_TPM,
    () => undefined,
  );
}

export async function openHostTpm({ tpm }: HostTpmConfig): Promise<Transport & AsyncDisposable> {
  return 'device' in tpm ? openTpmDevice(tpm.device) : openTpmSocket({ path: tpm.socket });
}

async function readConfig(path: string): Promise<HostTpmConfig | undefined> {
  const seen = await lstat(path).catch(() => undefined);
  if (seen === undefined) return undefined;
  const wrong = (what: string): RingwallError =>
    new RingwallError('conflict', `${path} ${what}`, {
      hint: '{"version":1,"tpm":{"device":"/dev/tpmrm0"},"eventLog":"/…","imaLog":"/…"}, owned by root, mode 0600',
    });
  if (!seen.isFile() || seen.uid !== process.getuid?.() || (seen.mode & OTHERS_MAY_WRITE) !== 0) {
    throw wrong('is not a file that only root may write');
  }
  const bytes = await readBounded(path, CONFIG_LIMIT_BYTES);
  const config = parseHostTpmConfig(new TextDecoder().decode(bytes));
  if (config === undefined) throw wrong('does not say where this host’s TPM is');
  return config;
}

/** Pure: undefined for anything but the form above. */
export function parseHostTpmConfig(text: string): HostTpmConfig | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const fields = membersOf(value, ['version', 'tpm', 'eventLog', 'imaLog']);
  const tpm = fields?.['tpm'];
  const device = membersOf(tpm, ['device'])?.['device'];
  const socket = membersOf(tpm, ['socket'])?.['socket'];
  const { version, eventLog, imaLog } = fields ?? {};
  if (version !== 1 || !isPath(eventLog) || !isPath(imaLog)) return undefined;
  if (isPath(device)) return { tpm: { device }, eventLog, imaLog };
  return isPath(socket) ? { tpm: { socket }, eventLog, imaLog } : undefined;
}

/** The members of an object that has exactly these. */
function membersOf(value: unknown, names: readonly string[]): Readonly<Record<string, unknown>> | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const members: Record<string, unknown> = { ...value };
  const found = Object.keys(members);
  return found.length === names.length && names.every((name) => found.includes(name)) ? members : undefined;
}

function isPath(value: unknown): value is string {
  return typeof value === 'string' && ABSOLUTE.test(value);
}
