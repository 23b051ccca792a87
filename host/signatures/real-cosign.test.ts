// A signature that `cosign` made for a workflow of GitHub, with the authorities and the log that all the world uses.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseReference, withDefaultTag, type SignatureVerdict } from '@ringwall/oci';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { judgeSignedImage, openSignatureTrust } from './index.ts';
import { openFakeRegistry } from './testing/fake-registry.ts';

const FIXTURES = join(import.meta.dirname, 'fixtures');
const ISSUER = 'https://token.actions.githubusercontent.com';
const WORKFLOW =
  'https://github.com/salrashid123/go-bazel-github-workflow/.github/workflows/release.yaml@refs/tags/v0.0.30';

interface Recorded {
  readonly image: string;
  readonly payload: string;
  readonly layer: { readonly annotations: Readonly<Record<string, string>> };
}

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ringwall-cosign-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function recorded(): Recorded {
  return JSON.parse(readFileSync(join(FIXTURES, 'cosign-keyless.json'), 'utf8'));
}

async function judge(subject: string, changes: Partial<Recorded> = {}): Promise<SignatureVerdict> {
  const { image, payload, layer } = { ...recorded(), ...changes };
  const registry = openFakeRegistry();
  registry.attachCosign(image, Buffer.from(payload), layer.annotations);
  const policy = {
    format: 'ringwall-signature-policy/1',
    trustedRoot: join(FIXTURES, 'public-good-root.json'),
    signers: { release: { identities: [{ issuer: ISSUER, subject }] } },
    images: [{ names: ['docker.io/salrashid123/*'], signedBy: ['release'] }],
  };
  writeFileSync(join(folder, 'policy.json'), JSON.stringify(policy));
  const trust = openSignatureTrust(join(folder, 'policy.json'));
  const trail = [{ digest: image, bytes: new Uint8Array() }];
  const reference = withDefaultTag(parseReference('salrashid123/server_image'));
  return await judgeSignedImage(
    { trail, attached: registry },
    { reference, isClaimed: false },
    trust,
    new AbortController().signal,
  );
}

it('is genuine, and of the workflow that signed it', async () => {
  expect((await judge(WORKFLOW)).reason).toBe(`signed by release (${WORKFLOW}, by ${ISSUER})`);
  expect((await judge(WORKFLOW.replace('v0.0.30', '*'))).verdict).toBe('signed');
});

it('is of nobody else, and of no other image', async () => {
  expect((await judge(WORKFLOW.replace('v0.0.30', 'v0.0.3'))).doubts.join()).toContain('whom the policy does not name');
  const { payload, image } = recorded();
  const other = payload.replace(image, `sha256:${'0'.repeat(64)}`);
  expect((await judge(WORKFLOW, { payload: other })).doubts.join()).toContain('is not genuine');
});

it.each(['dev.cosignproject.cosign/signature', 'dev.sigstore.cosign/bundle', 'dev.sigstore.cosign/certificate'])(
  'is none without its %s, or with another byte in it',
  async (annotation) => {
    const { layer } = recorded();
    const { [annotation]: value = '', ...rest } = layer.annotations;
    expect((await judge(WORKFLOW, { layer: { annotations: rest } })).verdict).toBe('refused');
    const at = value.length >> 1;
    const changed = `${value.slice(0, at)}${value[at] === 'A' ? 'B' : 'A'}${value.slice(at + 1)}`;
    expect((await judge(WORKFLOW, { layer: { annotations: { ...rest, [annotation]: changed } } })).verdict).toBe(
      'refused',
    );
  },
);
