// What this host says of itself when the broker asks: who it is, a quote of its own TPM, and what it would have somebody
// sign. The warden makes the qualifying data itself, from its own vTPM CA: it vouches for no other.
import { RingwallError } from '@ringwall/api';
import type { WardenRequest, WardenResponse } from '@ringwall/api/warden';
import { fromHex, ParseError, toHex } from '@ringwall/bytes';
import {
  EvidenceError,
  expectedOfLog,
  hostEkKey,
  hostIdOf,
  hostReferenceJson,
  keyOfCa,
  vtpmCaQualifyingData,
  type HostReference,
  type HostReferenceContent,
} from '@ringwall/evidence';
import { nameOf } from '@ringwall/tpm';
import type { WardenContext } from './context.ts';

const NO_TPM = 'this host has no TPM of its own';
const NO_TPM_HINT = 'without one, proofs say nothing of the host: docs/protocols/host-evidence.md';

export async function hostIdentity(context: WardenContext): Promise<WardenResponse<'host-identity'>> {
  const { host, vtpmCa } = await ownHost(context);
  const identity = await context.parts.hostTpm.identity();
  if (identity === undefined) return { host, vtpmCa: base64(vtpmCa), lacks: NO_TPM };
  const { ekCertificate, ekPublic, akPublic } = identity;
  return {
    host,
    vtpmCa: base64(vtpmCa),
    tpm: { ekCertificate: base64(ekCertificate), ekPublic: base64(ekPublic), akPublic: base64(akPublic) },
  };
}

export async function hostEvidence(
  context: WardenContext,
  request: WardenRequest & { readonly op: 'host-evidence' },
): Promise<WardenResponse<'host-evidence'>> {
  const { host, vtpmCa } = await ownHost(context);
  const { pcrs, credential } = request;
  const qualifyingData = await vtpmCaQualifyingData({ nonce: fromHex(request.nonce), host, spki: keyOfCa(vtpmCa) });
  const answer = await context.parts.hostTpm.answer({
    qualifyingData,
    pcrs,
    ...(credential === undefined
      ? {}
      : {
          credential: { idObject: bytes(credential.idObject), encryptedSecret: bytes(credential.encryptedSecret) },
        }),
  });
  return {
    quote: base64(answer.quote),
    quoteSignature: base64(answer.quoteSignature),
    eventLog: base64(answer.eventLog),
    imaLog: base64(answer.imaLog),
    ...(answer.opened === undefined ? {} : { opened: base64(answer.opened) }),
  };
}

export async function hostReference(
  context: WardenContext,
  everything: boolean,
): Promise<WardenResponse<'host-reference'>> {
  const { host } = await ownHost(context);
  const identity = await context.parts.hostTpm.identity();
  if (identity === undefined) throw new RingwallError('host-lacks', NO_TPM, { hint: NO_TPM_HINT });
  const { files, unmeasured, eventLog } = await context.parts.hostTpm.describe(everything);
  const ekKey = await hostEkKey(identity.ekCertificate);
  const tpm = { akName: toHex(await nameOf(identity.akPublic)), ...(ekKey === undefined ? {} : { ekKey }) };
  const reference = await sign(context, { host, tpm, files, eventLog });
  return { reference: { ...hostReferenceJson(reference) }, unmeasured: [...unmeasured] };
}

/** Boot log and file names are what this host was given: some cannot be told to anybody. */
async function sign(
  { parts }: WardenContext,
  { eventLog, ...content }: Omit<HostReferenceContent, 'events'> & { readonly eventLog: Uint8Array },
): Promise<HostReference> {
  try {
    return await parts.hostTpm.sign({ ...content, events: expectedOfLog(eventLog) });
  } catch (cause) {
    if (!(cause instanceof EvidenceError || cause instanceof ParseError)) throw cause;
    const code = cause.code === 'too-large' ? 'too-large' : 'conflict';
    throw new RingwallError(code, `what this host is cannot be written down: ${cause.message}`, {
      hint: 'leave what else runs out of the reference (without --everything), and let the policy show it',
      cause,
    });
  }
}

async function ownHost({ parts }: WardenContext): Promise<{ readonly host: string; readonly vtpmCa: Uint8Array }> {
  const [vtpmCa] = await parts.tpm.certificates();
  if (vtpmCa === undefined) throw new RingwallError('internal', 'this host has no vTPM CA');
  return { host: await hostIdOf(vtpmCa), vtpmCa };
}

function base64(value: Uint8Array): string {
  return Buffer.from(value).toString('base64');
}

function bytes(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64'));
}
