// Makes a TPM as its manufacturer would: an EK, a certificate for it in the NV index where the TCG profile wants it, and
// only the SHA-256 bank of PCRs. In place of swtpm_setup: that is a chain of programs which runs outside any jail.
import { mkdir, readdir } from 'node:fs/promises';
import { RingwallError } from '@ringwall/api';
import {
  commands,
  EK_CERTIFICATE_NV_ATTRIBUTES,
  EK_CERTIFICATE_NV_INDEX,
  EK_HANDLE,
  ekTemplate,
  fillTemplate,
  bodyOf,
  MAX_EK_CERTIFICATE_BYTES,
  PCR_COUNT,
  parseFields,
  TPM_ALG,
  TPM_RH,
  type CommandTemplate,
} from '@ringwall/tpm';
import { socketPair, waitForExit } from '../exec/index.ts';
import { endJail } from '../jail/index.ts';
import { SocketTransport } from '../tpm/index.ts';
import { startSwtpm, type TpmOptions } from './start.ts';

/** swtpm writes its state at each change; its end after the last is a matter of milliseconds. */
const EXIT_TIMEOUT_MS = 5_000;

export interface ManufactureOptions extends TpmOptions {
  /** Called with the EK's TPMT_PUBLIC as this TPM said it; answers the certificate, DER. */
  readonly issueEkCertificate: (ekPublic: Uint8Array) => Promise<Uint8Array>;
}

export interface ManufacturedTpm {
  /** TPMT_PUBLIC. */
  readonly ekPublic: Uint8Array;
  /** DER. */
  readonly ekCertificate: Uint8Array;
}

/** The state directory must be empty: a TPM is made once. */
export async function manufactureTpm(options: ManufactureOptions): Promise<ManufacturedTpm> {
  await mkdir(options.stateDir, { recursive: true, mode: 0o700 });
  if ((await readdir(options.stateDir)).length > 0) {
    throw new RingwallError('conflict', `${options.stateDir} holds a TPM already`);
  }
  const [ours, theirs] = await socketPair(options.privateDir);
  await using tpm = new SocketTransport(ours);
  const jail = await startSwtpm(options, { kind: 'commands', socket: theirs });
  try {
    return await manufacture(tpm, options.issueEkCertificate);
  } finally {
    await tpm[Symbol.asyncDispose]();
    await waitForExit(jail.process, EXIT_TIMEOUT_MS);
    await endJail(jail, options.leases);
  }
}

async function manufacture(
  tpm: SocketTransport,
  issueEkCertificate: ManufactureOptions['issueEkCertificate'],
): Promise<ManufacturedTpm> {
  const send = async (command: CommandTemplate): Promise<Uint8Array> => {
    const response = await tpm.send(fillTemplate(command));
    bodyOf(response);
    return response;
  };
  await send(commands.startup());
  const made = await send(commands.createPrimary(TPM_RH.ENDORSEMENT, ekTemplate()));
  const { objectHandle, outPublic: ekPublic } = parseFields('createPrimary', made);
  const handle = new DataView(objectHandle.buffer, objectHandle.byteOffset).getUint32(0);
  await send(commands.evictControl({ authHandle: TPM_RH.OWNER, objectHandle: handle, persistentHandle: EK_HANDLE }));
  await send(commands.flushContext(handle));

  const ekCertificate = await issueEkCertificate(ekPublic);
  if (ekCertificate.length === 0 || ekCertificate.length > MAX_EK_CERTIFICATE_BYTES) {
    throw new RingwallError(
      'internal',
      `an EK certificate of ${ekCertificate.length} bytes, expected 1 to ${MAX_EK_CERTIFICATE_BYTES}`,
    );
  }
  const index = { nvIndex: EK_CERTIFICATE_NV_INDEX };
  const attributes = EK_CERTIFICATE_NV_ATTRIBUTES;
  await send(commands.nvDefineSpace({ ...index, attributes, dataSize: ekCertificate.length }));
  await send(commands.nvWrite({ ...index, data: ekCertificate, offset: 0 }));
  await send(commands.nvWriteLock(EK_CERTIFICATE_NV_INDEX));
  // Root in the guest would lock itself out for good: TPM2_Clear takes EK and certificate, and sets the counters back by
  // which a broker knows a rolled-back TPM. Only the platform can allow it again, and that is the firmware.
  await send(commands.clearControl({ authHandle: TPM_RH.LOCKOUT, disable: true }));

  const all = Array.from({ length: PCR_COUNT }, (_, pcr) => pcr);
  const off = [TPM_ALG.SHA1, TPM_ALG.SHA384, TPM_ALG.SHA512].map((hash) => ({ hash, pcrs: [] }));
  await send(commands.pcrAllocate([...off, { hash: TPM_ALG.SHA256, pcrs: all }]));
  await send(commands.shutdown());
  return { ekPublic, ekCertificate };
}
