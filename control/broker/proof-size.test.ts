// The largest proof that there can be goes through the doors that every proof goes through.
import { join } from 'node:path';
import { RingwallError, type ReferenceSubject } from '@ringwall/api';
import { BROKER_LINE_LIMIT_BYTES } from '@ringwall/api/broker';
import {
  encodeProof,
  HOST_EVIDENCE_LIMITS_BYTES,
  hostReferenceJson,
  MAX_PROOF_BYTES,
  MAX_PROOF_FILES_BYTES,
  parseProof,
  referenceJson,
  signHostReference,
  type HostLayer,
  type Proof,
} from '@ringwall/evidence';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { bootEvents, contentFor } from './testing/boot-log.ts';
import { imageParts } from './testing/image.ts';
import { BrokerInstance, type TestMachine } from './testing/instance.ts';
import { makeReferenceKey, signNow } from './testing/reference.ts';
import { BrokerStore } from './store.ts';

let broker: BrokerInstance;
let machine: TestMachine;
let proof: Proof;
beforeEach(async () => {
  broker = await BrokerInstance.start();
  machine = await broker.addMachine();
  await (await broker.boot(machine)).guest.unlock(await broker.brokerKey());
  proof = parseProof(JSON.stringify((await broker.client.call({ op: 'read-proof', machine: machine.id })).proof));
});
afterEach(() => broker[Symbol.asyncDispose]());

const bytes = (length: number): Uint8Array => new Uint8Array(length).fill(0x5a);

/** Only its size counts here: nobody judges it. */
async function hostWith(imaLog: Uint8Array): Promise<HostLayer> {
  const file = { sha256: '5a'.repeat(32), required: true };
  const [notBefore, notAfter] = [new Date(0), new Date(86_400_000)];
  const content = {
    host: `host_${'a'.repeat(20)}`,
    tpm: { akName: `000b${file.sha256}` },
    events: contentFor(bootEvents()).events,
    files: Array.from({ length: 250 }, (_, at) => ({ path: `/${'x'.repeat(3900)}/${at}`, ...file })),
  };
  const by = 'whoever saw it';
  const reference = await signHostReference({ ...content, by, notBefore, notAfter }, await makeReferenceKey());
  const limits = HOST_EVIDENCE_LIMITS_BYTES;
  const evidence: HostLayer['evidence'] = {
    kind: 'host-tpm',
    ekCertificate: bytes(limits.ekCertificate),
    akPublic: bytes(limits.akPublic),
    quote: bytes(limits.quote),
    quoteSignature: bytes(limits.quoteSignature),
    eventLog: bytes(limits.eventLog),
    imaLog,
    vtpmCa: bytes(limits.vtpmCa),
  };
  return { nonce: bytes(32), askedAt: notBefore, evidence, activation: 'confirmed', reference };
}

/** With as long a list of what ran on the host as fits beside the largest other parts. */
async function largest(): Promise<string> {
  const packages = Array.from({ length: 2048 }, (_, at) => ({
    name: `${'p'.repeat(100)}-${at}`,
    version: '1'.repeat(120),
  }));
  const signedReference = await signNow({ ...contentFor(bootEvents()), packages }, await makeReferenceKey());
  const evidence = { ...proof.evidence, eventLog: bytes(128 * 1024) };
  const log = bytes(128 * 1024);
  const question = { nonce: bytes(32), from: 0, at: proof.at, quote: bytes(2048), quoteSignature: bytes(1024) };
  const ima = { ...question, log, image: imageParts(), files: bytes(MAX_PROOF_FILES_BYTES) };
  const withList = async (imaLog: Uint8Array): Promise<string> =>
    encodeProof({ ...proof, evidence, signedReference, host: await hostWith(imaLog), ima });
  // Three bytes are four characters of base64.
  const room = MAX_PROOF_BYTES - Buffer.byteLength(await withList(bytes(3)));
  return withList(bytes(3 + Math.floor(room / 4) * 3));
}

describe('the largest proof', () => {
  test('fits into a line between the processes, and is read as it was kept', async () => {
    const text = await largest();
    expect(Buffer.byteLength(text)).toBeGreaterThan(MAX_PROOF_BYTES - 8);
    await broker.stop();
    {
      using store = BrokerStore.open(join(broker.stateDirectory, 'broker.db'));
      store.recordProof(machine.id, proof.challenge.boot, 'confirmed', text);
    }
    await broker.restart();
    const { proof: read } = await broker.client.call({ op: 'read-proof', machine: machine.id });
    expect(encodeProof(parseProof(JSON.stringify(read)))).toBe(text);
    expect(Buffer.byteLength(JSON.stringify({ id: 1, result: { proof: read } }))).toBeLessThan(BROKER_LINE_LIMIT_BYTES);
  });
});

describe('reference values that nobody could read back from a file', () => {
  const wide = '€'.repeat(100);
  const refusal = async (subject: ReferenceSubject): Promise<string> => {
    const error: unknown = await broker.client
      .call({ op: 'accept-reference', subject })
      .catch((reason: unknown) => reason);
    return error instanceof RingwallError ? `${error.code}: ${error.message}` : String(error);
  };

  test('of an image are refused at the door', async () => {
    const good = await signNow(contentFor(bootEvents()), await makeReferenceKey());
    const packages = Array.from({ length: 2048 }, () => ({ name: wide, version: wide }));
    const reference = { ...referenceJson(good), packages };
    expect(await refusal({ reference })).toMatch(/^bad-request: reference has \d+ bytes, at most 1048576$/);
  });

  test('of a host are refused at the door', async () => {
    const { reference: good } = await hostWith(bytes(3));
    const files = good.files.map((file, at) => ({ ...file, path: `/${wide.repeat(15)}/${at}` }));
    const reference = { ...hostReferenceJson(good), files };
    expect(await refusal({ reference })).toMatch(/^bad-request: host reference has \d+ bytes, at most 1048576$/);
  });
});
