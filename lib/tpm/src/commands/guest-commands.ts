// The commands that the guest sends in its initrd, and nothing else: a shell there fills the holes and sends the
// bytes, so no TPM software has to be trusted in the guest.

import { commands } from './index.ts';
import { TPM_RH } from '../constants.ts';
import {
  akTemplate,
  bootKeyTemplate,
  DEMANDED_PCRS,
  EK_CERTIFICATE_NV_INDEX,
  EK_HANDLE,
  NOTE_NV_ATTRIBUTES,
  NOTE_NV_BYTES,
  NOTE_NV_INDEX,
  UNLOCKED_PCR,
  verifyKeyTemplate,
  WATCHED_PCRS,
} from './key-templates.ts';
import { CREDENTIAL_BYTES } from '../secrets/credential-sizes.ts';
import { slot, type CommandTemplate } from './template.ts';

export type GuestCommandName =
  | 'nvReadPublic'
  | 'nvRead'
  | 'createAk'
  | 'startTrial'
  | 'startPolicy'
  | 'policyPcr'
  | 'policyGetDigest'
  | 'policySecret'
  | 'createBootKey'
  | 'quote'
  | 'certify'
  | 'loadBrokerKey'
  | 'verifyRelease'
  | 'activateCredential'
  | 'ecdhZGen'
  | 'flushContext'
  | 'extendUnlocked'
  | 'watchQuote'
  | 'noteState'
  | 'defineNote';

const ak = slot('ak', 4);
const bootKey = slot('boot_key', 4);
const session = slot('session', 4);
const qualifying = slot('qualifying', 32);

/**
 * By name, in the order in which the guest sends them. The holes:
 *
 * | hole | bytes | from |
 * | --- | --- | --- |
 * | `size` | 2 | dataSize of nvReadPublic's answer |
 * | `session` | 4 | the handle that startTrial or startPolicy gave |
 * | `ak`, `boot_key`, `broker_key` | 4 | the handle that createAk, createBootKey, loadBrokerKey gave |
 * | `handle` | 4 | what to flush |
 * | `auth_policy` | 32 | policyGetDigest of the trial session |
 * | `unique_x`, `unique_y` | 32 | random |
 * | `qualifying` | 32 | the qualifying data |
 * | `broker_x`, `broker_y` | 32 | the broker's key from the measured command line |
 * | `digest` | 32 | verifyRelease: of the release text; extendUnlocked: of the text that says so |
 * | `sig_r`, `sig_s` | 32 | the broker's signature |
 * | `id_object`, `encrypted_secret` | 68 | the credential of `makeCredential` |
 * | `point_x`, `point_y` | 32 | the ephemeral point of `wrapToEccKey` |
 *
 * A policy session (startPolicy, then policySecret or policyPcr) serves one activateCredential or ecdhZGen; the TPM
 * flushes it when that succeeds. A trial session must be flushed.
 */
export const guestCommands: Readonly<Record<GuestCommandName, CommandTemplate>> = {
  nvReadPublic: commands.nvReadPublic(EK_CERTIFICATE_NV_INDEX),
  nvRead: commands.nvRead({ nvIndex: EK_CERTIFICATE_NV_INDEX, size: slot('size', 2), offset: 0 }),
  createAk: commands.createPrimary(TPM_RH.ENDORSEMENT, akTemplate()),
  startTrial: commands.startAuthSession('trial'),
  startPolicy: commands.startAuthSession('policy'),
  policyPcr: commands.policyPcr(session, DEMANDED_PCRS),
  policyGetDigest: commands.policyGetDigest(session),
  policySecret: commands.policySecret(TPM_RH.ENDORSEMENT, session),
  createBootKey: commands.createPrimary(
    TPM_RH.NULL,
    bootKeyTemplate(slot('auth_policy', 32), { x: slot('unique_x', 32), y: slot('unique_y', 32) }),
  ),
  quote: commands.quote({ signHandle: ak, qualifyingData: qualifying, pcrs: DEMANDED_PCRS }),
  certify: commands.certify({ objectHandle: bootKey, signHandle: ak, qualifyingData: qualifying }),
  loadBrokerKey: commands.loadExternal(verifyKeyTemplate({ x: slot('broker_x', 32), y: slot('broker_y', 32) })),
  verifyRelease: commands.verifySignature({
    keyHandle: slot('broker_key', 4),
    digest: slot('digest', 32),
    r: slot('sig_r', 32),
    s: slot('sig_s', 32),
  }),
  activateCredential: commands.activateCredential({
    activateHandle: ak,
    keyHandle: EK_HANDLE,
    policySession: session,
    credentialBlob: slot('id_object', CREDENTIAL_BYTES.idObject),
    secret: slot('encrypted_secret', CREDENTIAL_BYTES.encryptedSecret),
  }),
  ecdhZGen: commands.ecdhZGen({
    keyHandle: bootKey,
    policySession: session,
    x: slot('point_x', 32),
    y: slot('point_y', 32),
  }),
  flushContext: commands.flushContext(slot('handle', 4)),
  extendUnlocked: commands.pcrExtend(UNLOCKED_PCR, slot('digest', 32)),
  watchQuote: commands.quote({ signHandle: ak, qualifyingData: qualifying, pcrs: WATCHED_PCRS }),
  noteState: commands.nvIncrement({ nvIndex: NOTE_NV_INDEX, authHandle: NOTE_NV_INDEX }),
  defineNote: commands.nvDefineSpace({
    nvIndex: NOTE_NV_INDEX,
    authHandle: TPM_RH.OWNER,
    attributes: NOTE_NV_ATTRIBUTES,
    dataSize: NOTE_NV_BYTES,
  }),
};
