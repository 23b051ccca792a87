// `prove` and `verify` with a real judgement: the evidence of lib/evidence's own scene, signed by a broker of this test.
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeProof, encodeReference, MAX_PROOF_BYTES, type Proof } from '@ringwall/evidence';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeProof, makeSigner } from '../../../lib/evidence/testing/proofs.ts';
import { makeRanScene, type RanScene } from '../../../lib/evidence/testing/ran.ts';
import { MACHINE, makeScene } from '../../../lib/evidence/testing/scene.ts';
import { FakeApi } from '../testing/fake-api.ts';
import { runCli, type Run } from '../testing/harness.ts';

let directory: string;
let text: string;
let key: string;
let ca: Uint8Array;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'rw-proof-'));
  const scene = await makeScene();
  const broker = await makeSigner();
  const proof = await makeProof(scene, broker, {}, { machine: { id: MACHINE, name: 'hello' } });
  text = encodeProof(proof);
  key = Buffer.from(broker.publicKey).toString('hex');
  ca = scene.ca.der;
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function proofFile(name: string, content: string = text): string {
  const file = join(directory, name);
  writeFileSync(file, content);
  return file;
}

/** With a home of its own, so that no test trusts what another learnt. */
function verify(...argv: string[]): Promise<Run> {
  return runCli(undefined, ['verify', ...argv], { environment: { XDG_CONFIG_HOME: join(directory, 'nobody') } });
}

describe('verify', () => {
  it('is proven by the key that the user names, in hexadecimal or in a file', async () => {
    const file = proofFile('good.json');
    for (const named of [key, proofFile('broker.key', `${key} of my host\n`)]) {
      const { code, stdout } = await verify(file, '--broker-key', named);
      expect(stdout).toMatch(/^PROVEN: machine hello/);
      expect(code).toBe(0);
    }
  });

  it('is not proven by its own word, and says how it could be', async () => {
    const { code, stdout } = await verify(proofFile('good.json'));
    expect(stdout).toMatch(/^CONSISTENT, NOT PROVEN/);
    expect(stdout).toContain('--broker-key KEY');
    expect(code).toBe(9);
  });

  describe('of reference values', () => {
    let ran: RanScene;
    let proof: Proof;
    let options: readonly string[];
    beforeAll(async () => {
      ran = await makeRanScene();
      proof = await ran.proof(ran.watched.booted);
      options = [proofFile('ran.json', encodeProof(proof)), '--broker-key', hex(ran.broker.publicKey)];
    });
    const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
    const signed = (): string => {
      if (proof.signedReference === undefined) throw new Error('nobody signed');
      return encodeReference(proof.signedReference);
    };

    it('takes a signed file with the key whose word is taken, or the key alone', async () => {
      const file = proofFile('reference.json', signed());
      const maker = hex(ran.maker.publicKey);
      for (const more of [
        ['--reference', file],
        ['--reference', file, '--reference-key', maker],
        ['--reference-key', maker],
      ]) {
        const { code, stdout } = await verify(...options, ...more);
        expect(stdout, more.join(' ')).toContain('what image hello and its firmware measure: you gave it');
        expect(code).toBe(0);
      }
    });

    it.each([
      ['that another key has signed', () => ['--reference-key', '0'.repeat(128)], 4],
      ['with a key that is none', () => ['--reference-key', proofFile('not.key', 'hello')], 2],
      ['that are none', () => ['--reference', proofFile('not.json', '{}')], 2],
    ])('refuses those %s', async (_, more, exit) => {
      expect((await verify(...options, ...more())).code).toBe(exit);
    });

    it('shows what ran, file by file', async () => {
      const { stdout } = await verify(...options);
      expect(stdout).toContain('Ran: 2 of 2 files are of the image');
      expect(stdout).toContain('✔ Processes: all 2 files that ran since are of the image');
    });
  });

  it('shows the chain, link by link', async () => {
    const { stdout } = await verify(proofFile('good.json'), '--broker-key', key);
    expect(stdout).toContain('✔ TPM: a TPM that was made for this machine');
    expect(stdout).toContain('· Processes: not part of this proof');
    const alone = await verify(proofFile('good.json'));
    expect(alone.stdout).toContain('! Firmware: its 16 measurements are as expected, but only as a claim');
  });

  it('--page writes the page as it was built, and names its digest', async () => {
    const dist = join(directory, 'dist');
    mkdirSync(dist);
    const installation = { kind: 'bundles', directory: dist, entry: join(dist, 'ringwall.mjs') } as const;
    const argv = ['verify', proofFile('good.json'), '--broker-key', key, '--page', join(directory, 'page.html')];
    const none = await runCli(undefined, argv, { installation });
    expect(none.code).toBe(3);
    expect(none.stderr).toContain('node tools/build.ts ringwall-proof');
    writeFileSync(join(dist, 'ringwall-proof.html'), '<!doctype html>');
    const { code, stdout } = await runCli(undefined, argv, { installation });
    expect(code).toBe(0);
    expect(readFileSync(join(directory, 'page.html'), 'utf8')).toBe('<!doctype html>');
    expect(stdout).toContain(createHash('sha256').update('<!doctype html>').digest('hex'));
  });

  it('takes the vTPM authority as DER and as PEM', async () => {
    const file = proofFile('good.json');
    const pem = `-----BEGIN CERTIFICATE-----\n${Buffer.from(ca).toString('base64')}\n-----END CERTIFICATE-----\n`;
    writeFileSync(join(directory, 'ca.der'), ca);
    for (const named of [join(directory, 'ca.der'), proofFile('ca.pem', pem)]) {
      expect((await verify(file, '--broker-key', key, '--ca', named)).code, named).toBe(0);
    }
  });

  it.each([
    ['another broker’s key', () => ['--broker-key', '0'.repeat(128)], 4],
    ['a key that is none', () => ['--broker-key', proofFile('not.key', 'hello')], 2],
    ['a certificate that is none', () => ['--ca', proofFile('not.pem', 'hello')], 2],
    ['a host that is none', () => ['--host', proofFile('host.json', '{}')], 2],
    ['a key file that is not there', () => ['--broker-key', join(directory, 'nowhere')], 3],
  ])('refuses %s', async (_, options, exit) => {
    expect((await verify(proofFile('good.json'), ...options())).code).toBe(exit);
  });

  it.each([
    ['altered in a byte', () => text.replace('"name": "hello"', '"name": "hallo"'), 4],
    ['cut off', () => text.slice(0, -100), 4],
    ['too large', () => `${text}${' '.repeat(MAX_PROOF_BYTES)}`, 4],
    ['empty', () => '', 4],
    ['no proof at all', () => '{"format":"ringwall-proof/2"}', 4],
  ])('refuses a bundle that is %s', async (_, content, exit) => {
    const { code, stderr } = await verify(proofFile('bad.json', content()), '--broker-key', key);
    expect(code).toBe(exit);
    expect(stderr).not.toContain('    at ');
  });

  it('refuses a directory and a device', async () => {
    expect((await verify(directory)).code).toBe(3);
    expect((await verify('/dev/zero')).code).toBe(3);
  });

  it('--json is the whole report, with bytes in hexadecimal', async () => {
    const { code, stdout } = await verify(proofFile('good.json'), '--json', '--broker-key', key);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ outcome: 'proven', machine: { name: 'hello' }, reasons: [] });
  });
});

describe('prove', () => {
  it('writes the bundle as a whole, and then this host knows the broker', async () => {
    await using api = await FakeApi.start();
    api.add('hello');
    api.proof = JSON.parse(text);
    const file = join(directory, 'out.json');
    const environment = { XDG_CONFIG_HOME: join(directory, 'home'), RINGWALL_STATE: join(directory, 'state') };
    const { code, stdout } = await runCli(api, ['prove', 'hello', '-o', file], { environment });
    expect(code).toBe(0);
    expect(stdout).toContain(`--broker-key ${key}`);
    expect(stdout).toContain('It has nothing of what ran since the boot: no answer of its watch is known.');
    expect(readFileSync(file, 'utf8')).toBe(text);
    expect(readdirSync(directory).filter((name) => name.includes('unfinished'))).toEqual([]);
    const verified = await runCli(undefined, ['verify', file], { environment });
    expect(verified.stdout).toMatch(/^PROVEN/);
    expect(verified.stdout).toContain('known-brokers');
    expect(verified.code).toBe(0);
  });

  it('writes to standard output for -', async () => {
    await using api = await FakeApi.start();
    api.add('hello');
    api.proof = { x: 1 };
    expect((await runCli(api, ['prove', 'hello', '-o', '-'])).stdout).toBe('{\n  "x": 1\n}\n');
  });

  it('leaves nothing behind where it cannot write', async () => {
    await using api = await FakeApi.start();
    api.add('hello');
    const { code, stderr } = await runCli(api, ['prove', 'hello', '-o', join(directory, 'no/such/place.json')]);
    expect(stderr).toContain('error: there is no');
    expect(code).toBe(3);
  });
});
