// `reference host`: what it writes is what a broker and a policy take.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeHostReference, hostReferenceJson, parsePolicy } from '@ringwall/evidence';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeHostScene, type HostScene } from '../../../lib/evidence/testing/host-scene.ts';
import { FakeApi } from '../testing/fake-api.ts';
import { runCli } from '../testing/harness.ts';

let directory: string;
let scene: HostScene;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'rw-host-'));
  scene = await makeHostScene();
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe('reference host', () => {
  it('writes what this host is, and a policy that demands its proof, and says what to do with both', async () => {
    await using api = await FakeApi.start();
    api.references.host = hostReferenceJson(scene.reference);
    const [file, policyFile] = [join(directory, 'host.json'), join(directory, 'policy.json')];
    const argv = ['reference', 'host', '-o', file, '--policy', policyFile];
    const { code, stdout } = await runCli(api, argv);
    expect(code).toBe(0);
    expect(stdout).toContain(`reference accept ${file}`);
    expect(stdout).toContain(`reference accept ${policyFile}`);
    expect(stdout).toContain('Nobody will see when /opt/ringwall/dist/warden.mjs changes');
    expect(decodeHostReference(readFileSync(file)).id).toBe(scene.reference.id);
    const policy = parsePolicy(JSON.parse(readFileSync(policyFile, 'utf8')));
    expect(policy).toMatchObject({ evidence: ['vtpm', 'host-tpm'], hostTpm: { others: 'show' } });
    const { code: strict } = await runCli(api, [...argv, '--everything']);
    expect(strict).toBe(0);
    expect(parsePolicy(JSON.parse(readFileSync(policyFile, 'utf8')))).toMatchObject({ hostTpm: { others: 'refuse' } });
  });

  it('of a host without a TPM says so, and names the file that it needs', async () => {
    await using api = await FakeApi.start();
    const lacking = await runCli(api, ['reference', 'host', '-o', join(directory, 'none.json')]);
    expect(lacking.code).not.toBe(0);
    expect(lacking.all).toContain('this host has no TPM of its own');
    const unnamed = await runCli(api, ['reference', 'host']);
    expect(unnamed.all).toContain('reference host needs a file to write');
  });
});
