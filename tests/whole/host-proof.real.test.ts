// A host with a TPM of its own, from outside: it is enrolled, a policy demands its proof with each machine's, and what a
// tenant is handed contains it. The host's TPM is swtpm behind a socket, with a boot log and a list of what ran extended
// into it; QEMU, swtpm, Node and Ringwall are those that run here.
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeProof, parseProof, signProof, type HostLayer, type Proof } from '@ringwall/evidence';
import { Instance, NEEDS_SWTPM, SWTPM_PRESENT, TestHostTpm } from '@ringwall/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeSigner } from '../../lib/evidence/testing/proofs.ts';

const BOOT_LOG = join(import.meta.dirname, '../../lib/evidence/fixtures/ovmf-direct-boot/eventlog.bin');
const QEMU = realpathSync('/usr/bin/qemu-system-x86_64');
const WARDEN = join(import.meta.dirname, '../../dist/warden.mjs');
const NAME = 'layered';

describe.skipIf(!SWTPM_PRESENT)(`a host with a TPM of its own${NEEDS_SWTPM}`, () => {
  let ringwall: Instance;
  let tpm: TestHostTpm;
  let directory: string;
  let started: string;
  /** The list of what ran, before the last program did. */
  let withoutLast: Uint8Array;
  let proof: Proof;
  const path = (name: string): string => join(directory, name);

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'ringwall-test-'));
    tpm = await TestHostTpm.boot(new Uint8Array(readFileSync(BOOT_LOG)));
    for (const file of [QEMU, '/usr/bin/swtpm', process.execPath, WARDEN]) {
      const real = realpathSync(file);
      withoutLast = new Uint8Array(readFileSync(tpm.config.imaLog));
      await tpm.measure(real, createHash('sha256').update(readFileSync(real)).digest());
    }
    ringwall = await Instance.start();
    tpm.configure(join(ringwall.stateDir, 'warden/host-tpm.json'));
    await ringwall.ok('reference', 'host', '-o', path('host.json'), '--policy', path('policy.json'));
    await ringwall.ok('reference', 'accept', path('host.json'));
    await ringwall.ok('reference', 'accept', path('policy.json'));
    started = await ringwall.ok('run', 'hello', '--name', NAME);
    await ringwall.ok('prove', NAME, '-o', path('proof.json'));
    proof = parseProof(readFileSync(path('proof.json')));
  });
  afterAll(async () => {
    await ringwall[Symbol.asyncDispose]();
    await tpm[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true, force: true });
  });

  /** What `verify` says of this host's part, sealed by a broker that its user trusts. */
  async function verifySealed(host: HostLayer | undefined): Promise<{ code: number; said: string }> {
    const { format: _format, broker: _broker, host: _host, ...rest } = proof;
    const liar = await makeSigner();
    const sealed = await signProof({ ...rest, ...(host === undefined ? {} : { host }) }, liar);
    writeFileSync(path('altered.json'), encodeProof(sealed));
    const key = Buffer.from(liar.publicKey).toString('hex');
    const { code, stdout } = await ringwall.cli('verify', path('altered.json'), '--broker-key', key);
    return { code, said: stdout };
  }

  test('is enrolled with what starts machines, and its machine is attested with it', async () => {
    expect(started).toMatch(/proven/i);
    expect((await ringwall.show(NAME)).machine.status).toMatchObject({ trust: 'attested', diskUnlocked: true });
    const required = proof.host?.reference.files.filter((file) => file.required).map((file) => file.path) ?? [];
    expect(required).toContain(QEMU);
    expect(required).toContain('/usr/bin/swtpm');
    // Services run from a copy of their own.
    expect(required.filter((file) => file.endsWith('/warden.mjs'))).toHaveLength(1);
  });

  test('`verify` judges the host in the proof, and says what it rests on', async () => {
    const said = oneLine(await ringwall.ok('verify', path('proof.json')));
    expect(said).toContain('Host: its TPM has shown what it booted and ran, and that it vouches for the machine’s TPM');
    expect(said).toContain('On the host: 4 files ran, of the reference 4, others 0');
    const mine = oneLine(await ringwall.ok('verify', path('proof.json'), '--host', path('host.json')));
    expect(mine).toMatch(/what host_\w{20} is: .* saw them: you gave it/);
  });

  test.each<[what: string, alter: (host: HostLayer) => HostLayer | undefined, says: string]>([
    ['left out', () => undefined, 'the policy demands evidence of the kind host-tpm'],
    [
      'a byte of its boot log changed',
      (host) => altered(host, { eventLog: flipped(host.evidence.eventLog, 90) }),
      'boot log and list of what ran do not lead to the quoted PCRs',
    ],
    [
      'a program taken out of its list',
      (host) => altered(host, { imaLog: withoutLast }),
      'boot log and list of what ran do not lead to the quoted PCRs',
    ],
    [
      'its quote changed',
      (host) => altered(host, { quote: flipped(host.evidence.quote, host.evidence.quote.length - 1) }),
      'the signature of the host’s quote is not that of the attestation key',
    ],
    [
      'its answer put under another question',
      (host) => ({ ...host, nonce: flipped(host.nonce, 0) }),
      'answers another question',
    ],
    [
      'another file expected in the place of QEMU',
      (host) => ({ ...host, reference: { ...host.reference, files: otherQemu(host) } }),
      'the id of the host’s reference values is not that of their content',
    ],
  ])('a proof with %s is refused, also where a broker that is trusted has sealed it', async (_what, alter, says) => {
    if (proof.host === undefined) throw new Error('the proof has no host');
    const { code, said } = await verifySealed(alter(proof.host));
    expect(code).toBe(4);
    expect(oneLine(said)).toContain(says);
  });

  test('once another QEMU has run on the host, the next boot gets no key, and is told which file it is', async () => {
    await ringwall.ok('stop', NAME);
    // An answer of a minute ago would still count: a broker that was started anew has none.
    await ringwall.ok('down');
    await tpm.measure(QEMU, new Uint8Array(32).fill(7));
    const { code, stdout, stderr } = await ringwall.cli('start', NAME);
    expect(code).toBe(4);
    expect(oneLine(`${stdout}${stderr}`)).toContain(`its host: ${QEMU} ran on the host, and is not the file`);
    expect((await ringwall.show(NAME)).machine.status).toMatchObject({ trust: 'refused', diskUnlocked: false });
    await ringwall.ok('prove', NAME, '-o', path('refused.json'));
    const { code: judged, stdout: said } = await ringwall.cli('verify', path('refused.json'));
    expect(judged).toBe(4);
    expect(said).toMatch(/^ *[✗x] Host: /m);
  });
});

/** As it was before it was wrapped for a terminal. */
function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ');
}

function altered(host: HostLayer, changes: Partial<HostLayer['evidence']>): HostLayer {
  return { ...host, evidence: { ...host.evidence, ...changes } };
}

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  return bytes.with(at, (bytes[at] ?? 0) ^ 1);
}

function otherQemu({ reference }: HostLayer): HostLayer['reference']['files'] {
  return reference.files.map((file) => (file.path === QEMU ? { ...file, sha256: '07'.repeat(32) } : file));
}
