// A TPM as an object with one method for each command: built, sent, answered, decoded.

import { readAnswer, type AnswerReader } from '../answers/answer.ts';
import { answers } from '../answers/index.ts';
import { commands } from '../commands/index.ts';
import { parseResponse } from '../commands/responses.ts';
import { fillTemplate, type CommandTemplate } from '../commands/template.ts';
import type { Transport } from './transport.ts';

/** TPM_RC_RETRY, Part 2 section 6.6.3: the command was not begun, for example since an algorithm was tested first. */
const RETRY = 0x922;
/** A TPM that answers so more often in a row has a fault that more sending does not mend. */
const MAX_RETRIES = 4;

type Commands = typeof commands;
type Answers = typeof answers;
type AnswerOf<Reader> = Reader extends AnswerReader<infer Answer> ? Answer : never;

/**
 * `commands.*` as methods: the same arguments, and the decoded answer. Each throws `TpmError` where the TPM refuses,
 * `ParseError` where its answer is none, and what the transport throws. Handles that a command gives are the caller's
 * to flush.
 */
export type Tpm = {
  readonly [Name in keyof Commands]: (...input: Parameters<Commands[Name]>) => Promise<AnswerOf<Answers[Name]>>;
};

/**
 * A client on `transport`. Commands that are called at the same time are sent one after the other; one that the TPM did
 * not begin (TPM_RC_RETRY) is sent again a few times.
 */
export function tpmOver(transport: Transport): Tpm {
  let last: Promise<unknown> = Promise.resolve();
  const run = async <T>(template: CommandTemplate, reader: AnswerReader<T>): Promise<T> => {
    const command = fillTemplate(template);
    const before = last;
    const sent = (async () => {
      // Whether the command before succeeded is its caller's affair.
      await before.catch(() => undefined);
      return sendAgain(transport, command);
    })();
    last = sent;
    return readAnswer(reader, await sent);
  };
  return {
    startup: async (...input) => run(commands.startup(...input), answers.startup),
    shutdown: async (...input) => run(commands.shutdown(...input), answers.shutdown),
    selfTest: async (...input) => run(commands.selfTest(...input), answers.selfTest),
    getRandom: async (...input) => run(commands.getRandom(...input), answers.getRandom),
    getCapability: async (...input) => run(commands.getCapability(...input), answers.getCapability),
    readClock: async (...input) => run(commands.readClock(...input), answers.readClock),
    hierarchyControl: async (...input) => run(commands.hierarchyControl(...input), answers.hierarchyControl),
    hierarchyChangeAuth: async (...input) => run(commands.hierarchyChangeAuth(...input), answers.hierarchyChangeAuth),
    clearControl: async (...input) => run(commands.clearControl(...input), answers.clearControl),
    clear: async (...input) => run(commands.clear(...input), answers.clear),
    setCommandCodeAuditStatus: async (...input) =>
      run(commands.setCommandCodeAuditStatus(...input), answers.setCommandCodeAuditStatus),
    evictControl: async (...input) => run(commands.evictControl(...input), answers.evictControl),
    flushContext: async (...input) => run(commands.flushContext(...input), answers.flushContext),
    pcrExtend: async (...input) => run(commands.pcrExtend(...input), answers.pcrExtend),
    pcrRead: async (...input) => run(commands.pcrRead(...input), answers.pcrRead),
    pcrReset: async (...input) => run(commands.pcrReset(...input), answers.pcrReset),
    pcrAllocate: async (...input) => run(commands.pcrAllocate(...input), answers.pcrAllocate),
    createPrimary: async (...input) => run(commands.createPrimary(...input), answers.createPrimary),
    create: async (...input) => run(commands.create(...input), answers.create),
    load: async (...input) => run(commands.load(...input), answers.load),
    loadExternal: async (...input) => run(commands.loadExternal(...input), answers.loadExternal),
    readPublic: async (...input) => run(commands.readPublic(...input), answers.readPublic),
    activateCredential: async (...input) => run(commands.activateCredential(...input), answers.activateCredential),
    unseal: async (...input) => run(commands.unseal(...input), answers.unseal),
    ecdhZGen: async (...input) => run(commands.ecdhZGen(...input), answers.ecdhZGen),
    importObject: async (...input) => run(commands.importObject(...input), answers.importObject),
    duplicate: async (...input) => run(commands.duplicate(...input), answers.duplicate),
    verifySignature: async (...input) => run(commands.verifySignature(...input), answers.verifySignature),
    verifySignatureOf: async (...input) => run(commands.verifySignatureOf(...input), answers.verifySignatureOf),
    sign: async (...input) => run(commands.sign(...input), answers.sign),
    hmac: async (...input) => run(commands.hmac(...input), answers.hmac),
    encryptDecrypt2: async (...input) => run(commands.encryptDecrypt2(...input), answers.encryptDecrypt2),
    nvDefineSpace: async (...input) => run(commands.nvDefineSpace(...input), answers.nvDefineSpace),
    nvUndefineSpace: async (...input) => run(commands.nvUndefineSpace(...input), answers.nvUndefineSpace),
    nvWrite: async (...input) => run(commands.nvWrite(...input), answers.nvWrite),
    nvIncrement: async (...input) => run(commands.nvIncrement(...input), answers.nvIncrement),
    nvExtend: async (...input) => run(commands.nvExtend(...input), answers.nvExtend),
    nvWriteLock: async (...input) => run(commands.nvWriteLock(...input), answers.nvWriteLock),
    nvReadPublic: async (...input) => run(commands.nvReadPublic(...input), answers.nvReadPublic),
    nvRead: async (...input) => run(commands.nvRead(...input), answers.nvRead),
    startAuthSession: async (...input) => run(commands.startAuthSession(...input), answers.startAuthSession),
    policyGetDigest: async (...input) => run(commands.policyGetDigest(...input), answers.policyGetDigest),
    policyRestart: async (...input) => run(commands.policyRestart(...input), answers.policyRestart),
    policyPcr: async (...input) => run(commands.policyPcr(...input), answers.policyPcr),
    policySecret: async (...input) => run(commands.policySecret(...input), answers.policySecret),
    policySigned: async (...input) => run(commands.policySigned(...input), answers.policySigned),
    policyAuthorize: async (...input) => run(commands.policyAuthorize(...input), answers.policyAuthorize),
    policyAuthorizeNv: async (...input) => run(commands.policyAuthorizeNv(...input), answers.policyAuthorizeNv),
    policyNv: async (...input) => run(commands.policyNv(...input), answers.policyNv),
    policyCounterTimer: async (...input) => run(commands.policyCounterTimer(...input), answers.policyCounterTimer),
    policyOr: async (...input) => run(commands.policyOr(...input), answers.policyOr),
    policyCommandCode: async (...input) => run(commands.policyCommandCode(...input), answers.policyCommandCode),
    policyLocality: async (...input) => run(commands.policyLocality(...input), answers.policyLocality),
    policyAuthValue: async (...input) => run(commands.policyAuthValue(...input), answers.policyAuthValue),
    policyPassword: async (...input) => run(commands.policyPassword(...input), answers.policyPassword),
    policyPhysicalPresence: async (...input) =>
      run(commands.policyPhysicalPresence(...input), answers.policyPhysicalPresence),
    policyNvWritten: async (...input) => run(commands.policyNvWritten(...input), answers.policyNvWritten),
    policyCpHash: async (...input) => run(commands.policyCpHash(...input), answers.policyCpHash),
    policyNameHash: async (...input) => run(commands.policyNameHash(...input), answers.policyNameHash),
    policyTemplate: async (...input) => run(commands.policyTemplate(...input), answers.policyTemplate),
    policyDuplicationSelect: async (...input) =>
      run(commands.policyDuplicationSelect(...input), answers.policyDuplicationSelect),
    certify: async (...input) => run(commands.certify(...input), answers.certify),
    certifyCreation: async (...input) => run(commands.certifyCreation(...input), answers.certifyCreation),
    quote: async (...input) => run(commands.quote(...input), answers.quote),
    getSessionAuditDigest: async (...input) =>
      run(commands.getSessionAuditDigest(...input), answers.getSessionAuditDigest),
    getCommandAuditDigest: async (...input) =>
      run(commands.getCommandAuditDigest(...input), answers.getCommandAuditDigest),
    getTime: async (...input) => run(commands.getTime(...input), answers.getTime),
    nvCertify: async (...input) => run(commands.nvCertify(...input), answers.nvCertify),
  };
}

/** Sends a command until the TPM takes it up. */
async function sendAgain(transport: Transport, command: Uint8Array): Promise<Uint8Array> {
  for (let retries = 0; ; retries += 1) {
    const answer = await transport.send(command);
    if (retries === MAX_RETRIES) return answer;
    const response = parseResponse(answer);
    if (response.ok || response.error.responseCode !== RETRY) return answer;
  }
}
