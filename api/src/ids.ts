// Typed ids: a prefix that says what the id names, and 20 random characters of RFC 4648 base32 in lower case
// (100 bits). They hold nothing that a path, a shell or an option parser could misread.

export type MachineId = `mch_${string}`;
export type DiskId = `dsk_${string}`;
export type NetworkId = `net_${string}`;
export type SnapshotId = `snp_${string}`;
export type OperationId = `op_${string}`;
/** Names one boot of one machine; the warden makes a new one at each start. 32 lower-case hex digits. */
export type BootId = string;

export const MACHINE_ID: RegExp = /^mch_[a-z2-7]{20}$/;
export const DISK_ID: RegExp = /^dsk_[a-z2-7]{20}$/;
export const NETWORK_ID: RegExp = /^net_[a-z2-7]{20}$/;
export const SNAPSHOT_ID: RegExp = /^snp_[a-z2-7]{20}$/;
export const OPERATION_ID: RegExp = /^op_[a-z2-7]{20}$/;
export const BOOT_ID: RegExp = /^[0-9a-f]{32}$/;
/** A DNS label: no dots, no slashes, no leading dash, so that it is neither a path nor an option. */
export const MACHINE_NAME: RegExp = /^[a-z][a-z0-9-]{0,61}[a-z0-9]$|^[a-z]$/;
export const IMAGE_NAME: RegExp = /^[a-z][a-z0-9-]{0,30}$/;

/** The image of a machine that boots a system of its own, from its own disk. No image can be built of this name. */
export const FOREIGN_IMAGE = 'foreign';

/** What was learned at a boot of such a machine goes by this and the machine's name. */
const LEARNED_NAME = /^learned:[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** What reference values are for: an image, or a machine whose boot was learned. */
export const REFERENCE_NAME: RegExp = new RegExp(`${IMAGE_NAME.source}|${LEARNED_NAME.source}`);

export function newMachineId(): MachineId {
  return `mch_${randomBase32(20)}`;
}

export function newDiskId(): DiskId {
  return `dsk_${randomBase32(20)}`;
}

export function newNetworkId(): NetworkId {
  return `net_${randomBase32(20)}`;
}

export function newSnapshotId(): SnapshotId {
  return `snp_${randomBase32(20)}`;
}

export function newOperationId(): OperationId {
  return `op_${randomBase32(20)}`;
}

export function newBootId(): BootId {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function randomBase32(characters: number): string {
  const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';
  return Array.from(crypto.getRandomValues(new Uint8Array(characters)), (byte) => alphabet[byte & 31]).join('');
}
