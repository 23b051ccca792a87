// Every command of this library, under the name that the specification gives it, in lower camel case. TPM2_Import is
// `importObject`, since `import` is a word of the language.

import {
  certify,
  certifyCreation,
  quote,
  getSessionAuditDigest,
  getCommandAuditDigest,
  getTime,
  nvCertify,
} from './attestation.ts';
import { importObject, duplicate } from './duplication.ts';
import {
  startup,
  shutdown,
  selfTest,
  getRandom,
  getCapability,
  readClock,
  hierarchyControl,
  hierarchyChangeAuth,
  clearControl,
  clear,
  setCommandCodeAuditStatus,
  evictControl,
  flushContext,
} from './hierarchy.ts';
import { createPrimary, create, load, loadExternal, readPublic, activateCredential, unseal, ecdhZGen } from './keys.ts';
import {
  nvDefineSpace,
  nvUndefineSpace,
  nvWrite,
  nvIncrement,
  nvExtend,
  nvWriteLock,
  nvReadPublic,
  nvRead,
} from './nv.ts';
import { pcrExtend, pcrRead, pcrReset, pcrAllocate } from './pcr.ts';
import {
  policyPcr,
  policySecret,
  policySigned,
  policyAuthorize,
  policyAuthorizeNv,
  policyNv,
  policyCounterTimer,
  policyOr,
  policyCommandCode,
  policyLocality,
  policyAuthValue,
  policyPassword,
  policyPhysicalPresence,
  policyNvWritten,
  policyCpHash,
  policyNameHash,
  policyTemplate,
  policyDuplicationSelect,
} from './policy.ts';
import { startAuthSession, policyGetDigest, policyRestart } from './sessions.ts';
import { verifySignature, verifySignatureOf, sign, hmac, encryptDecrypt2 } from './signing.ts';

/** Builders of whole commands; `fillTemplate` gives the bytes to send. */
export const commands: {
  readonly startup: typeof startup;
  readonly shutdown: typeof shutdown;
  readonly selfTest: typeof selfTest;
  readonly getRandom: typeof getRandom;
  readonly getCapability: typeof getCapability;
  readonly readClock: typeof readClock;
  readonly hierarchyControl: typeof hierarchyControl;
  readonly hierarchyChangeAuth: typeof hierarchyChangeAuth;
  readonly clearControl: typeof clearControl;
  readonly clear: typeof clear;
  readonly setCommandCodeAuditStatus: typeof setCommandCodeAuditStatus;
  readonly evictControl: typeof evictControl;
  readonly flushContext: typeof flushContext;
  readonly pcrExtend: typeof pcrExtend;
  readonly pcrRead: typeof pcrRead;
  readonly pcrReset: typeof pcrReset;
  readonly pcrAllocate: typeof pcrAllocate;
  readonly createPrimary: typeof createPrimary;
  readonly create: typeof create;
  readonly load: typeof load;
  readonly loadExternal: typeof loadExternal;
  readonly readPublic: typeof readPublic;
  readonly activateCredential: typeof activateCredential;
  readonly unseal: typeof unseal;
  readonly ecdhZGen: typeof ecdhZGen;
  readonly importObject: typeof importObject;
  readonly duplicate: typeof duplicate;
  readonly verifySignature: typeof verifySignature;
  readonly verifySignatureOf: typeof verifySignatureOf;
  readonly sign: typeof sign;
  readonly hmac: typeof hmac;
  readonly encryptDecrypt2: typeof encryptDecrypt2;
  readonly nvDefineSpace: typeof nvDefineSpace;
  readonly nvUndefineSpace: typeof nvUndefineSpace;
  readonly nvWrite: typeof nvWrite;
  readonly nvIncrement: typeof nvIncrement;
  readonly nvExtend: typeof nvExtend;
  readonly nvWriteLock: typeof nvWriteLock;
  readonly nvReadPublic: typeof nvReadPublic;
  readonly nvRead: typeof nvRead;
  readonly startAuthSession: typeof startAuthSession;
  readonly policyGetDigest: typeof policyGetDigest;
  readonly policyRestart: typeof policyRestart;
  readonly policyPcr: typeof policyPcr;
  readonly policySecret: typeof policySecret;
  readonly policySigned: typeof policySigned;
  readonly policyAuthorize: typeof policyAuthorize;
  readonly policyAuthorizeNv: typeof policyAuthorizeNv;
  readonly policyNv: typeof policyNv;
  readonly policyCounterTimer: typeof policyCounterTimer;
  readonly policyOr: typeof policyOr;
  readonly policyCommandCode: typeof policyCommandCode;
  readonly policyLocality: typeof policyLocality;
  readonly policyAuthValue: typeof policyAuthValue;
  readonly policyPassword: typeof policyPassword;
  readonly policyPhysicalPresence: typeof policyPhysicalPresence;
  readonly policyNvWritten: typeof policyNvWritten;
  readonly policyCpHash: typeof policyCpHash;
  readonly policyNameHash: typeof policyNameHash;
  readonly policyTemplate: typeof policyTemplate;
  readonly policyDuplicationSelect: typeof policyDuplicationSelect;
  readonly certify: typeof certify;
  readonly certifyCreation: typeof certifyCreation;
  readonly quote: typeof quote;
  readonly getSessionAuditDigest: typeof getSessionAuditDigest;
  readonly getCommandAuditDigest: typeof getCommandAuditDigest;
  readonly getTime: typeof getTime;
  readonly nvCertify: typeof nvCertify;
} = {
  startup,
  shutdown,
  selfTest,
  getRandom,
  getCapability,
  readClock,
  hierarchyControl,
  hierarchyChangeAuth,
  clearControl,
  clear,
  setCommandCodeAuditStatus,
  evictControl,
  flushContext,
  pcrExtend,
  pcrRead,
  pcrReset,
  pcrAllocate,
  createPrimary,
  create,
  load,
  loadExternal,
  readPublic,
  activateCredential,
  unseal,
  ecdhZGen,
  importObject,
  duplicate,
  verifySignature,
  verifySignatureOf,
  sign,
  hmac,
  encryptDecrypt2,
  nvDefineSpace,
  nvUndefineSpace,
  nvWrite,
  nvIncrement,
  nvExtend,
  nvWriteLock,
  nvReadPublic,
  nvRead,
  startAuthSession,
  policyGetDigest,
  policyRestart,
  policyPcr,
  policySecret,
  policySigned,
  policyAuthorize,
  policyAuthorizeNv,
  policyNv,
  policyCounterTimer,
  policyOr,
  policyCommandCode,
  policyLocality,
  policyAuthValue,
  policyPassword,
  policyPhysicalPresence,
  policyNvWritten,
  policyCpHash,
  policyNameHash,
  policyTemplate,
  policyDuplicationSelect,
  certify,
  certifyCreation,
  quote,
  getSessionAuditDigest,
  getCommandAuditDigest,
  getTime,
  nvCertify,
};
