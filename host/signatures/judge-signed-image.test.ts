// Signatures as they are, and as they would be if somebody wished to be taken for the signer: against a Sigstore of the test's own.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseReference, withDefaultTag, type SignatureVerdict } from '@ringwall/oci';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { judgeSignedImage, openSignatureTrust } from './index.ts';
import { digestOfBytes, openFakeRegistry, type FakeRegistry } from './testing/fake-registry.ts';
import {
  newKeyPair,
  openPrivateSigstore,
  pemOf,
  type Login,
  type PrivateSigstore,
} from './testing/private-sigstore.ts';

const NAME = 'registry.example/acme/app';
const INDEX = Buffer.from('{"an":"index"}');
const MANIFEST = Buffer.from('{"a":"manifest"}');
const TRAIL = [INDEX, MANIFEST].map((bytes) => ({ digest: digestOfBytes(bytes), bytes }));
const [OF_INDEX, OF_MANIFEST] = [digestOfBytes(INDEX), digestOfBytes(MANIFEST)];
const ANOTHER = digestOfBytes('another image');
const ACCOUNT: Login = { issuer: 'https://login.example', subject: 'https://ci.example/acme/app/release@refs/tags/v1' };
const OWNER = newKeyPair();
const STRANGER = newKeyPair();
const { signal } = new AbortController();

let folder: string;
let sigstore: PrivateSigstore;
let another: PrivateSigstore;
let registry: FakeRegistry;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ringwall-signatures-'));
  [sigstore, another] = await Promise.all([openPrivateSigstore(), openPrivateSigstore()]);
  writeFileSync(join(folder, 'owner.pub'), pemOf(OWNER));
  writeFileSync(join(folder, 'root.json'), JSON.stringify(sigstore.trustedRoot()));
});
beforeEach(() => {
  registry = openFakeRegistry();
});
afterAll(() => rmSync(folder, { recursive: true }));

const SIGNERS = {
  owner: { keys: ['owner.pub'] },
  logged: { keys: ['owner.pub'], log: true },
  ci: { identities: [{ issuer: ACCOUNT.issuer, subject: 'https://ci.example/acme/app/release@refs/tags/*' }] },
  build: {
    identities: [{ issuer: ACCOUNT.issuer, subject: ACCOUNT.subject }],
    predicateType: 'https://slsa.dev/provenance/v1',
  },
};
type SignerName = keyof typeof SIGNERS;

interface Asked {
  readonly signedBy: readonly SignerName[];
  readonly signedName?: string;
  readonly name?: string;
  readonly root?: unknown;
  readonly isClaimed?: boolean;
}
async function judge({
  signedBy,
  signedName,
  name = `${NAME}:1`,
  root,
  isClaimed = false,
}: Asked): Promise<SignatureVerdict> {
  const entry = { names: ['registry.example/acme/*'], signedBy, ...(signedName === undefined ? {} : { signedName }) };
  const policy = { format: 'ringwall-signature-policy/1', trustedRoot: 'root.json', signers: SIGNERS, images: [entry] };
  if (root !== undefined) {
    writeFileSync(join(folder, 'other-root.json'), JSON.stringify(root));
    policy.trustedRoot = 'other-root.json';
  }
  writeFileSync(join(folder, 'policy.json'), JSON.stringify(policy));
  const trust = openSignatureTrust(join(folder, 'policy.json'));
  return await judgeSignedImage(
    { trail: TRAIL, attached: registry },
    { reference: withDefaultTag(parseReference(name)), isClaimed },
    trust,
    signal,
  );
}
const payloadOf = (digest: string, name = NAME): Buffer =>
  Buffer.from(
    JSON.stringify({
      critical: {
        identity: { 'docker-reference': name },
        image: { 'docker-manifest-digest': digest },
        type: 'cosign container image signature',
      },
      optional: null,
    }),
  );
const statementOf = (
  digest: string,
  { name = '', predicateType = 'https://sigstore.dev/cosign/sign/v1' } = {},
): string =>
  JSON.stringify({
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ name, digest: { sha256: digest.slice(7) } }],
    predicateType,
    predicate: {},
  });
async function attachCosign(...[by, options, payload = payloadOf(OF_MANIFEST)]: CosignArguments): Promise<void> {
  registry.attachCosign(OF_MANIFEST, payload, await sigstore.signPayload(payload, by, options));
}
type CosignArguments = [
  by: Parameters<PrivateSigstore['signPayload']>[1],
  options?: Parameters<PrivateSigstore['signPayload']>[2],
  payload?: Buffer,
];

describe('judgeSignedImage() lets in', () => {
  it('what a key of the policy signed, in cosign’s older form', async () => {
    await attachCosign(OWNER);
    const verdict = await judge({ signedBy: ['owner'] });
    expect(verdict).toMatchObject({ verdict: 'signed', reason: 'signed by owner (key owner.pub)' });
    expect(verdict.signatures[0]?.digest).toBe(OF_MANIFEST);
    expect((await judge({ signedBy: ['logged'] })).verdict).toBe('signed');
  });

  it('what somebody signed by a login, whom the policy names by a pattern', async () => {
    await attachCosign(ACCOUNT);
    expect((await judge({ signedBy: ['ci'] })).reason).toBe(`signed by ci (${ACCOUNT.subject}, by ${ACCOUNT.issuer})`);
  });

  it('what a bundle states of the index that the name led to', async () => {
    registry.attachBundle(OF_INDEX, await sigstore.signStatement(statementOf(OF_INDEX, { name: NAME }), ACCOUNT));
    expect((await judge({ signedBy: ['ci'] })).signatures[0]?.digest).toBe(OF_INDEX);
  });

  it('a bundle by a key, and one over the manifest itself', async () => {
    registry.attachBundle(OF_MANIFEST, await sigstore.signBytes(MANIFEST, OWNER));
    expect((await judge({ signedBy: ['logged'], signedName: 'any' })).verdict).toBe('signed');
    registry = openFakeRegistry();
    registry.attachBundle(OF_MANIFEST, await sigstore.signStatement(statementOf(OF_MANIFEST), OWNER, { time: 'none' }));
    expect((await judge({ signedBy: ['owner'], signedName: 'any' })).verdict).toBe('signed');
  });

  it('a login whose time only an authority of time says, where the root has no log', async () => {
    await attachCosign(ACCOUNT, { time: 'timestamp' });
    expect((await judge({ signedBy: ['ci'], root: sigstore.trustedRoot(['tlogs']) })).verdict).toBe('signed');
    expect((await judge({ signedBy: ['ci'] })).verdict).toBe('refused');
  });

  it('what all have signed, and not what one has', async () => {
    await attachCosign(OWNER);
    expect((await judge({ signedBy: ['owner', 'ci'] })).reason).toBe(
      `ci must have signed ${NAME}, and it has no signature that counts`,
    );
    await attachCosign(ACCOUNT);
    expect((await judge({ signedBy: ['owner', 'ci'] })).verdict).toBe('signed');
  });

  it('provenance, where that is asked for, and no other statement in its place', async () => {
    const predicateType = 'https://slsa.dev/provenance/v1';
    const statement = statementOf(OF_MANIFEST, { name: NAME, predicateType });
    registry.attachBundle(OF_MANIFEST, await sigstore.signStatement(statement, ACCOUNT));
    expect((await judge({ signedBy: ['build'] })).verdict).toBe('signed');
    const refused = await judge({ signedBy: ['ci'] });
    expect([refused.verdict, refused.doubts.join()]).toEqual([
      'refused',
      expect.stringContaining('it states https://slsa'),
    ]);
  });

  it('asks no further than it must', async () => {
    await attachCosign(OWNER);
    await attachCosign(STRANGER);
    await judge({ signedBy: ['owner'] });
    expect(registry.asked.filter((name) => name.startsWith('sha256:'))).toHaveLength(1);
  });
});

describe('judgeSignedImage() refuses', () => {
  it('what nobody signed, and what the policy does not speak of, without asking', async () => {
    expect((await judge({ signedBy: ['owner'] })).reason).toContain('no signature at all');
    const before = registry.asked.length;
    const verdict = await judge({ signedBy: ['owner'], name: 'registry.example/other/app:1' });
    expect([verdict.verdict, registry.asked.length]).toEqual(['refused', before]);
  });

  it.each<[what: string, attach: () => Promise<void>, doubt: string, asked?: Partial<Asked>]>([
    ['a key that the policy does not name', () => attachCosign(STRANGER), 'is of no key'],
    [
      'a key’s signature that no log has',
      () => attachCosign(OWNER, { time: 'none' }),
      'not in the log',
      { signedBy: ['logged'] },
    ],
    [
      'a login that the policy does not name',
      () => attachCosign({ ...ACCOUNT, subject: 'https://ci.example/mallory/app/release@refs/tags/v1' }),
      'whom the policy does not name',
      { signedBy: ['ci'] },
    ],
    [
      'a login that begins like the one named',
      () => attachCosign({ ...ACCOUNT, subject: `${ACCOUNT.subject}/x` }),
      'whom the policy does not name',
      { signedBy: ['ci'] },
    ],
    [
      'the right login, vouched for by another',
      () => attachCosign({ ...ACCOUNT, issuer: 'https://mallory.example' }),
      'whom the policy does not name',
      { signedBy: ['ci'] },
    ],
    [
      'a certificate that no log has',
      () => attachCosign(ACCOUNT, { time: 'none' }),
      'is not genuine',
      { signedBy: ['ci'] },
    ],
    [
      'a Sigstore of the attacker’s own',
      async () => {
        const payload = payloadOf(OF_MANIFEST);
        registry.attachCosign(OF_MANIFEST, payload, await another.signPayload(payload, ACCOUNT));
      },
      'is not genuine',
      { signedBy: ['ci'] },
    ],
    ['a genuine signature of another image', () => attachCosign(OWNER, {}, payloadOf(ANOTHER)), 'is of another image'],
    [
      'a genuine signature of the same image under another name',
      () => attachCosign(OWNER, {}, payloadOf(OF_MANIFEST, 'registry.example/acme/staging')),
      'it was signed as registry.example/acme/staging',
    ],
    [
      'a genuine signature of another tag, where tags count',
      () => attachCosign(OWNER, {}, payloadOf(OF_MANIFEST, `${NAME}:0`)),
      'it was signed as',
      { signedName: 'reference' },
    ],
    [
      'a genuine bundle that states no name, where names count',
      async () => registry.attachBundle(OF_MANIFEST, await sigstore.signStatement(statementOf(OF_MANIFEST), OWNER)),
      'states no name',
    ],
    [
      'a payload that was changed',
      async () => {
        const payload = payloadOf(ANOTHER);
        registry.attachCosign(OF_MANIFEST, payloadOf(OF_MANIFEST), await sigstore.signPayload(payload, OWNER));
      },
      'is of no key',
    ],
    [
      'a payload that is no signature of an image',
      () => attachCosign(OWNER, {}, Buffer.from('{"critical":{"type":"atomic container signature"}}')),
      'is no signature of an image',
    ],
    [
      'a bundle over something else than it is attached to',
      async () => registry.attachBundle(OF_MANIFEST, await sigstore.signBytes(Buffer.from('x'), OWNER)),
      'is of something else',
    ],
    [
      'a bundle over something else that claims the digest',
      async () => {
        const bundle = await sigstore.signBytes(Buffer.from('x'), OWNER);
        const digest = Buffer.from(OF_MANIFEST.slice(7), 'hex').toString('base64');
        registry.attachBundle(OF_MANIFEST, changed(bundle, 'messageSignature.messageDigest.digest', digest));
      },
      'is of no key',
      { signedName: 'any' },
    ],
  ])('%s', async (_what, attach, doubt, asked = {}) => {
    await attach();
    const verdict = await judge({ signedBy: ['owner'], ...asked });
    expect(verdict.verdict).toBe('refused');
    expect(verdict.doubts.join('\n')).toContain(doubt);
  });
});

describe('a bundle that somebody changed', () => {
  it.each([
    ['its statement', 'dsseEnvelope.payload', btoa(statementOf(OF_INDEX, { name: NAME }))],
    ['its signature', 'dsseEnvelope.signatures.0.sig', btoa('x'.repeat(70))],
    ['the type of its payload', 'dsseEnvelope.payloadType', 'text/plain'],
    ['a second signature', 'dsseEnvelope.signatures', [{ sig: 'AA==' }, { sig: 'AA==' }]],
    ['its certificate', 'verificationMaterial.certificate.rawBytes', btoa('no certificate')],
    ['no certificate', 'verificationMaterial.certificate', undefined],
    ['no entry of a log', 'verificationMaterial.tlogEntries', []],
    ['the time of its entry', 'verificationMaterial.tlogEntries.0.integratedTime', '1'],
    ['what was entered', 'verificationMaterial.tlogEntries.0.canonicalizedBody', btoa('{}')],
    ['what was entered, without form', 'verificationMaterial.tlogEntries.0.canonicalizedBody', '!'],
    ['the log', 'verificationMaterial.tlogEntries.0.logId.keyId', btoa('x'.repeat(32))],
    ['no promise of the log', 'verificationMaterial.tlogEntries.0.inclusionPromise', undefined],
    ['no proof of the log', 'verificationMaterial.tlogEntries.0.inclusionProof', undefined],
    ['a place in a larger log', 'verificationMaterial.tlogEntries.0.inclusionProof.hashes', [btoa('x'.repeat(32))]],
    ['a checkpoint without form', 'verificationMaterial.tlogEntries.0.inclusionProof.checkpoint.envelope', '\n\n\n'],
    [
      'a timestamp without form',
      'verificationMaterial.timestampVerificationData',
      { rfc3161Timestamps: [{ signedTimestamp: 'MAA=' }] },
    ],
    ['its media type', 'mediaType', 'application/json'],
    ['its media type, of another kind', 'mediaType', 7],
  ])('is not genuine: %s', async (_what, path, value) => {
    const bundle = await sigstore.signStatement(statementOf(OF_MANIFEST, { name: NAME }), ACCOUNT);
    registry.attachBundle(OF_MANIFEST, changed(bundle, path, value));
    const verdict = await judge({ signedBy: ['ci'] });
    expect([verdict.verdict, verdict.doubts.length]).toEqual(['refused', 1]);
    registry.attachBundle(OF_MANIFEST, bundle);
    expect((await judge({ signedBy: ['ci'] })).verdict).toBe('signed');
  });

  it('costs no more than it may: entries, bytes and signatures are counted', async () => {
    const bundle = await sigstore.signStatement(statementOf(OF_MANIFEST, { name: NAME }), ACCOUNT);
    const { tlogEntries } = bundle.verificationMaterial;
    const [entry]: readonly unknown[] = Array.isArray(tlogEntries) ? tlogEntries : [];
    registry.attachBundle(OF_MANIFEST, changed(bundle, 'verificationMaterial.tlogEntries', Array(9).fill(entry)));
    registry.attachBundle(OF_MANIFEST, Buffer.alloc(2 * 1024 ** 2 + 1, ' '));
    registry.attachBundle(OF_MANIFEST, Buffer.from('['.repeat(1_000_000)));
    registry.attachBundle(OF_MANIFEST, Buffer.from('null'));
    const { verdict, doubts } = await judge({ signedBy: ['ci'] });
    expect(verdict).toBe('refused');
    expect(doubts).toEqual([
      expect.stringContaining('more entries of logs'),
      expect.stringContaining('at most 2097152'),
      expect.stringContaining('is no JSON'),
      expect.stringContaining('is no bundle of Sigstore'),
    ]);
    for (let more = 0; more < 70; more += 1) registry.attachBundle(OF_MANIFEST, { more });
    expect((await judge({ signedBy: ['ci'] })).doubts.at(-1)).toMatch(/^and 60 more/);
  });

  it('that is attached as something else is none, and lists without form are said', async () => {
    registry.put(`${OF_MANIFEST.replace(':', '-')}.sig`, Buffer.from('{"layers":7}'));
    expect((await judge({ signedBy: ['ci'] })).doubts.join()).toContain('layers that are no list');
  });
});

describe('openSignatureTrust()', () => {
  const open = (changes: Readonly<Record<string, unknown>>): unknown => {
    const images = [{ names: ['registry.example/**'], signedBy: ['owner'] }];
    const policy = {
      format: 'ringwall-signature-policy/1',
      trustedRoot: 'root.json',
      signers: SIGNERS,
      images,
      ...changes,
    };
    writeFileSync(join(folder, 'policy.json'), JSON.stringify(policy));
    return openSignatureTrust(join(folder, 'policy.json'));
  };

  it.each<[what: string, contents: string, message: string]>([
    ['nothing', '', 'is no public key'],
    ['a private key', OWNER.privateKey.export({ type: 'pkcs8', format: 'pem' }), 'is no public key'],
    ['a key without form', '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n', 'is no public key'],
  ])('takes no key from a file that holds %s', (_what, contents, message) => {
    writeFileSync(join(folder, 'odd.pub'), contents);
    expect(() => open({ signers: { owner: { keys: ['odd.pub'] } } })).toThrow(message);
  });

  it.each([
    ['nothing', ''],
    ['no JSON', 'x'],
    ['no authority', '{}'],
    ['what is none', '{"certificateAuthorities":[{"certChain":{"certificates":[{"rawBytes":"AAAA"}]}}]}'],
  ])('takes no root from a file that holds %s', (_what, contents) => {
    writeFileSync(join(folder, 'odd-root.json'), contents);
    const images = [{ names: ['registry.example/**'], signedBy: ['ci'] }];
    expect(() => open({ trustedRoot: 'odd-root.json', images })).toThrow(/odd-root\.json (?:is no|has no)/);
  });

  it('does without no file that it names', () => {
    expect(() => open({ signers: { owner: { keys: ['missing.pub'] } } })).toThrow('cannot be read');
    expect(() => openSignatureTrust(join(folder, 'missing.json'))).toThrow('cannot be read');
    expect(() => openSignatureTrust(folder)).toThrow('is no file');
    expect(open({})).toBeDefined();
  });
});

/** A copy with another value at a path; without it where the value is undefined. */
function changed(place: unknown, path: string, value: unknown): unknown {
  const [step = '', ...rest] = path.split('.');
  const inner = (old: unknown): unknown => (rest.length === 0 ? value : changed(old, rest.join('.'), value));
  if (Array.isArray(place)) return place.map((old: unknown, at) => (String(at) === step ? inner(old) : old));
  const entries = Object.entries({ [step]: undefined, ...(typeof place === 'object' ? place : {}) });
  return Object.fromEntries(
    entries
      .map(([key, old]): [string, unknown] => [key, key === step ? inner(old) : old])
      .filter(([, one]) => one !== undefined),
  );
}
