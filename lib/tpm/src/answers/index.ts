// The answer of each command, by the command's name.

import { nothing } from './answer.ts';
import { attestation } from './attestation.ts';
import * as keys from './keys.ts';
import * as state from './state.ts';

/** `readAnswer(answers.quote, bytes)` reads what `commands.quote` brought; those without parameters answer `void`. */
export const answers: {
  readonly startup: typeof nothing;
  readonly shutdown: typeof nothing;
  readonly selfTest: typeof nothing;
  readonly getRandom: typeof state.getRandom;
  readonly getCapability: typeof state.getCapability;
  readonly readClock: typeof state.readClock;
  readonly hierarchyControl: typeof nothing;
  readonly hierarchyChangeAuth: typeof nothing;
  readonly clearControl: typeof nothing;
  readonly clear: typeof nothing;
  readonly setCommandCodeAuditStatus: typeof nothing;
  readonly evictControl: typeof nothing;
  readonly flushContext: typeof nothing;
  readonly pcrExtend: typeof nothing;
  readonly pcrRead: typeof state.pcrRead;
  readonly pcrReset: typeof nothing;
  readonly pcrAllocate: typeof state.pcrAllocate;
  readonly createPrimary: typeof keys.createPrimary;
  readonly create: typeof keys.create;
  readonly load: typeof keys.loaded;
  readonly loadExternal: typeof keys.loaded;
  readonly readPublic: typeof keys.readPublic;
  readonly activateCredential: typeof keys.activateCredential;
  readonly unseal: typeof keys.unseal;
  readonly ecdhZGen: typeof keys.ecdhZGen;
  readonly importObject: typeof keys.importObject;
  readonly duplicate: typeof keys.duplicate;
  readonly verifySignature: typeof keys.verified;
  readonly verifySignatureOf: typeof keys.verified;
  readonly sign: typeof keys.sign;
  readonly hmac: typeof keys.hmac;
  readonly encryptDecrypt2: typeof keys.encryptDecrypt2;
  readonly nvDefineSpace: typeof nothing;
  readonly nvUndefineSpace: typeof nothing;
  readonly nvWrite: typeof nothing;
  readonly nvIncrement: typeof nothing;
  readonly nvExtend: typeof nothing;
  readonly nvWriteLock: typeof nothing;
  readonly nvReadPublic: typeof state.nvReadPublic;
  readonly nvRead: typeof state.nvRead;
  readonly startAuthSession: typeof state.startAuthSession;
  readonly policyGetDigest: typeof state.policyGetDigest;
  readonly policyRestart: typeof nothing;
  readonly policyPcr: typeof nothing;
  readonly policySecret: typeof state.policyTicket;
  readonly policySigned: typeof state.policyTicket;
  readonly policyAuthorize: typeof nothing;
  readonly policyAuthorizeNv: typeof nothing;
  readonly policyNv: typeof nothing;
  readonly policyCounterTimer: typeof nothing;
  readonly policyOr: typeof nothing;
  readonly policyCommandCode: typeof nothing;
  readonly policyLocality: typeof nothing;
  readonly policyAuthValue: typeof nothing;
  readonly policyPassword: typeof nothing;
  readonly policyPhysicalPresence: typeof nothing;
  readonly policyNvWritten: typeof nothing;
  readonly policyCpHash: typeof nothing;
  readonly policyNameHash: typeof nothing;
  readonly policyTemplate: typeof nothing;
  readonly policyDuplicationSelect: typeof nothing;
  readonly certify: typeof attestation;
  readonly certifyCreation: typeof attestation;
  readonly quote: typeof attestation;
  readonly getSessionAuditDigest: typeof attestation;
  readonly getCommandAuditDigest: typeof attestation;
  readonly getTime: typeof attestation;
  readonly nvCertify: typeof attestation;
} = {
  startup: nothing,
  shutdown: nothing,
  selfTest: nothing,
  getRandom: state.getRandom,
  getCapability: state.getCapability,
  readClock: state.readClock,
  hierarchyControl: nothing,
  hierarchyChangeAuth: nothing,
  clearControl: nothing,
  clear: nothing,
  setCommandCodeAuditStatus: nothing,
  evictControl: nothing,
  flushContext: nothing,
  pcrExtend: nothing,
  pcrRead: state.pcrRead,
  pcrReset: nothing,
  pcrAllocate: state.pcrAllocate,
  createPrimary: keys.createPrimary,
  create: keys.create,
  load: keys.loaded,
  loadExternal: keys.loaded,
  readPublic: keys.readPublic,
  activateCredential: keys.activateCredential,
  unseal: keys.unseal,
  ecdhZGen: keys.ecdhZGen,
  importObject: keys.importObject,
  duplicate: keys.duplicate,
  verifySignature: keys.verified,
  verifySignatureOf: keys.verified,
  sign: keys.sign,
  hmac: keys.hmac,
  encryptDecrypt2: keys.encryptDecrypt2,
  nvDefineSpace: nothing,
  nvUndefineSpace: nothing,
  nvWrite: nothing,
  nvIncrement: nothing,
  nvExtend: nothing,
  nvWriteLock: nothing,
  nvReadPublic: state.nvReadPublic,
  nvRead: state.nvRead,
  startAuthSession: state.startAuthSession,
  policyGetDigest: state.policyGetDigest,
  policyRestart: nothing,
  policyPcr: nothing,
  policySecret: state.policyTicket,
  policySigned: state.policyTicket,
  policyAuthorize: nothing,
  policyAuthorizeNv: nothing,
  policyNv: nothing,
  policyCounterTimer: nothing,
  policyOr: nothing,
  policyCommandCode: nothing,
  policyLocality: nothing,
  policyAuthValue: nothing,
  policyPassword: nothing,
  policyPhysicalPresence: nothing,
  policyNvWritten: nothing,
  policyCpHash: nothing,
  policyNameHash: nothing,
  policyTemplate: nothing,
  policyDuplicationSelect: nothing,
  certify: attestation,
  certifyCreation: attestation,
  quote: attestation,
  getSessionAuditDigest: attestation,
  getCommandAuditDigest: attestation,
  getTime: attestation,
  nvCertify: attestation,
};
