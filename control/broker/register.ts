// A machine becomes known to the broker: by the EK certificate of its TPM, once.
import type { BrokerRequest, BrokerResponse } from '@ringwall/api/broker';
import { MACHINE_NAME, RingwallError } from '@ringwall/api';
import { equalBytes } from '@ringwall/bytes';
import { diskKindOf, type DiskKeys } from './disk-keys.ts';
import { checkRegistration } from './ek-certificate.ts';
import type { BrokerStore } from './store.ts';

/** Binds a machine to its TPM for good, and makes its key. */
export function registerMachine(
  { store, keys, now }: { readonly store: BrokerStore; readonly keys: DiskKeys; readonly now: () => Date },
  request: BrokerRequest & { readonly op: 'register-machine' },
): BrokerResponse<'register-machine'> {
  const { machine: id, name } = request;
  if (!MACHINE_NAME.test(name)) throw new RingwallError('name-invalid', 'a machine name that is no DNS label');
  const ekCertificate = fromBase64(request.ekCertificate);
  const vtpmCa = request.vtpmCa.map((certificate) => fromBase64(certificate));
  const at = now();
  const known = store.readMachine(id);
  if (known !== undefined) {
    if (!equalBytes(known.ekCertificate, ekCertificate) || !sameList(known.vtpmCa, vtpmCa)) {
      throw new RingwallError('conflict', `${id} is bound to another TPM for good`, {
        hint: 'a machine whose TPM was lost cannot have its key again: remove it and make it anew',
      });
    }
    if (known.name !== name) store.renameMachine(id, name);
    return {};
  }
  checkRegistration({ machine: id, ekCertificate, vtpmCa, now: at });
  const diskKind = diskKindOf(request.encryption ?? 'guest');
  const clones = request.clones === undefined ? {} : { clones: request.clones };
  store.addMachine({ id, name, ekCertificate, vtpmCa, ...keys.make(id), disk: 'format', diskKind, ...clones }, at);
  return {};
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(text, 'base64'));
}

function sameList(left: readonly Uint8Array[], right: readonly Uint8Array[]): boolean {
  return (
    left.length === right.length && left.every((bytes, index) => equalBytes(bytes, right[index] ?? new Uint8Array()))
  );
}
