// Every command that Ringwall sends to a TPM, under the name that the specification gives it, in lower camel case.

import { certify, pcrExtend, pcrRead, quote } from './attestation.ts';
import {
  evictControl,
  flushContext,
  getRandom,
  hierarchyControl,
  pcrAllocate,
  selfTest,
  shutdown,
  startup,
} from './hierarchy.ts';
import { activateCredential, createPrimary, ecdhZGen, loadExternal, readPublic, verifySignature } from './keys.ts';
import { nvDefineSpace, nvRead, nvReadPublic, nvWrite, nvWriteLock } from './nv.ts';
import { policyGetDigest, policyPcr, policySecret, startAuthSession } from './policy.ts';

/** Builders of whole commands; `fillTemplate` gives the bytes to send. */
export const commands: {
  readonly startup: typeof startup;
  readonly shutdown: typeof shutdown;
  readonly selfTest: typeof selfTest;
  readonly getRandom: typeof getRandom;
  readonly hierarchyControl: typeof hierarchyControl;
  readonly pcrAllocate: typeof pcrAllocate;
  readonly pcrExtend: typeof pcrExtend;
  readonly pcrRead: typeof pcrRead;
  readonly createPrimary: typeof createPrimary;
  readonly readPublic: typeof readPublic;
  readonly evictControl: typeof evictControl;
  readonly flushContext: typeof flushContext;
  readonly nvDefineSpace: typeof nvDefineSpace;
  readonly nvWrite: typeof nvWrite;
  readonly nvWriteLock: typeof nvWriteLock;
  readonly nvReadPublic: typeof nvReadPublic;
  readonly nvRead: typeof nvRead;
  readonly startAuthSession: typeof startAuthSession;
  readonly policyPcr: typeof policyPcr;
  readonly policySecret: typeof policySecret;
  readonly policyGetDigest: typeof policyGetDigest;
  readonly quote: typeof quote;
  readonly certify: typeof certify;
  readonly activateCredential: typeof activateCredential;
  readonly ecdhZGen: typeof ecdhZGen;
  readonly loadExternal: typeof loadExternal;
  readonly verifySignature: typeof verifySignature;
} = {
  startup,
  shutdown,
  selfTest,
  getRandom,
  hierarchyControl,
  pcrAllocate,
  pcrExtend,
  pcrRead,
  createPrimary,
  readPublic,
  evictControl,
  flushContext,
  nvDefineSpace,
  nvWrite,
  nvWriteLock,
  nvReadPublic,
  nvRead,
  startAuthSession,
  policyPcr,
  policySecret,
  policyGetDigest,
  quote,
  certify,
  activateCredential,
  ecdhZGen,
  loadExternal,
  verifySignature,
};
