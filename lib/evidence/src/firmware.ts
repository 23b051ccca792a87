// What one build of OVMF measures of itself: made once per firmware file, from the file, before any machine boots it.
import { ClosedObject } from './json.ts';
import { EvidenceError } from './errors.ts';
import { SHA256_HEX } from './reference.ts';

/** The volumes that a build measures (two for OVMF), and its boot options at the first boot (one). */
const MAX_LISTED = 16;

export interface FirmwareManifest {
  readonly version: 1;
  /** For people: `OVMF 2022.11-6+deb12u2`. */
  readonly name: string;
  /** SHA-256 of the code file (OVMF_CODE.fd). */
  readonly digest: string;
  /** SHA-256 of the pristine variable store (OVMF_VARS.fd) that each boot begins with. */
  readonly varsDigest: string;
  /** Data of EV_S_CRTM_VERSION, hexadecimal: the UTF-16 firmware version with its NUL; `0000` for Debian's OVMF. */
  readonly crtmVersion: string;
  /** Firmware volumes in the order in which PlatformPei measures them: SHA-256 of the volume, uncompressed. */
  readonly volumes: readonly { readonly name: string; readonly digest: string }[];
  /** EFI_LOAD_OPTION data of Boot0000, Boot0001, …, hexadecimal, as the firmware makes them in a pristine store. */
  readonly bootOptions: readonly string[];
}

/** A firmware manifest from JSON. Throws EvidenceError `firmware-invalid`. */
export function parseFirmwareManifest(value: unknown): FirmwareManifest {
  const refuse = (message: string): never => {
    throw new EvidenceError('firmware-invalid', message);
  };
  const object = new ClosedObject(value, 'firmware', refuse);
  const manifest: FirmwareManifest = {
    version: object.oneOf('version', [1]),
    name: object.string('name', 128),
    digest: object.matching('digest', SHA256_HEX, 'a SHA-256 digest'),
    varsDigest: object.matching('varsDigest', SHA256_HEX, 'a SHA-256 digest'),
    crtmVersion: object.matching('crtmVersion', /^([0-9a-f]{4}){1,256}$/, 'UTF-16 in hexadecimal'),
    volumes: object.array('volumes', MAX_LISTED, (item, path) => {
      const volume = new ClosedObject(item, path, refuse);
      const parsed = {
        name: volume.string('name', 128),
        digest: volume.matching('digest', SHA256_HEX, 'a SHA-256 digest'),
      };
      volume.end();
      return parsed;
    }),
    bootOptions: object.array('bootOptions', MAX_LISTED, (item, path) => {
      if (typeof item !== 'string' || !/^([0-9a-f]{2}){6,2048}$/.test(item)) refuse(`${path} is not a load option`);
      return String(item);
    }),
  };
  object.end();
  if (manifest.volumes.length === 0)
    refuse('firmware.volumes is empty: a firmware that measures nothing proves nothing');
  return manifest;
}
