// A host with a real TPM proves itself through the warden's requests and the broker's, and a machine's proof contains it.
// The guest's TPM is software; the host's is swtpm behind a socket, into which a boot log was extended.
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromHex, toHex } from '@ringwall/bytes';
import {
  chainOf,
  defaultPolicy,
  hostReferenceJson,
  MAX_PROOF_BYTES,
  parseHostReference,
  parseProof,
  policyJson,
  signHostReference,
  verifyProof,
  type HostPolicy,
  type HostReferenceContent,
  type PolicyV2,
  type Signer,
} from '@ringwall/evidence';
import { answerAsHost, readHostIdentity } from '@ringwall/host/attest';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { TestHostTpm } from '../../testkit/host-tpm.ts';
import { NEEDS_SWTPM, SWTPM_PRESENT } from '../../testkit/plain-tpm.ts';
import { proveHost } from '../machines/prove-host.ts';
import type { WardenClient } from '../machines/index.ts';
import { CALL, Scene } from '../warden/testing/scene.ts';
import { bootEvents } from './testing/boot-log.ts';
import { BrokerInstance, codeOf, type TestMachine } from './testing/instance.ts';
import { makeReferenceKey } from './testing/reference.ts';

const LOG = join(import.meta.dirname, '../../lib/evidence/fixtures/ovmf-direct-boot/eventlog.bin');
const PROGRAMS = ['/usr/bin/qemu-system-x86_64', '/usr/bin/swtpm'];
const LIFE_MS = 86_400_000;
const isReady = SWTPM_PRESENT && process.getuid?.() === 0;

describe.skipIf(!isReady)(
  `a layered proof${NEEDS_SWTPM}${process.getuid?.() === 0 ? '' : ' (skipped: needs root)'}`,
  () => {
    let tpm: TestHostTpm;
    let scene: Scene;
    let broker: BrokerInstance;
    let machine: TestMachine;
    let warden: Pick<WardenClient, 'call'>;
    let owner: Signer;
    let notes: string[];
    let nowMs: number;

    beforeEach(async () => {
      nowMs = Date.now();
      notes = [];
      tpm = await TestHostTpm.boot(new Uint8Array(readFileSync(LOG)));
      for (const program of PROGRAMS) await tpm.measure(program);
      broker = await BrokerInstance.start({ now: () => new Date(nowMs) });
      owner = await makeReferenceKey();
      scene = new Scene();
      scene.host.caCertificates = broker.ca.certificates;
      scene.host.hostTpm = {
        identity: await readHostIdentity(tpm.config),
        answer: (question) => answerAsHost(tpm.config, question),
        sign: (content) => signed({ ...content, files: filesOf(PROGRAMS) }),
        eventLog: new Uint8Array(readFileSync(LOG)),
      };
      const decided = await scene.openWarden();
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the op of a request decides the type of its answer
      warden = { call: async (request) => (await decided.handle(request, CALL)) as never };
      machine = await broker.addMachine();
    });
    afterEach(async () => {
      await broker[Symbol.asyncDispose]();
      await scene.end();
      await tpm[Symbol.asyncDispose]();
    });

    function signed(content: HostReferenceContent): ReturnType<typeof signHostReference> {
      const [notBefore, notAfter] = [new Date(nowMs - LIFE_MS), new Date(nowMs + LIFE_MS)];
      return signHostReference({ ...content, by: 'the owner', notBefore, notAfter }, owner);
    }

    async function demandHost(changes: Partial<HostPolicy> = {}, rules: PolicyV2['rules'] = []): Promise<void> {
      const { bank, pcrs, untouchedPcrs } = defaultPolicy;
      const policy: PolicyV2 = {
        version: 2,
        evidence: ['vtpm', 'host-tpm'],
        bank,
        pcrs,
        untouchedPcrs,
        rules,
        hostTpm: {
          version: 1,
          kind: 'host-tpm',
          pcrs: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
          signers: [toHex(owner.publicKey)],
          ekRoots: [],
          rules: [],
          others: 'show',
          maxAgeSeconds: 600,
          exceptions: [],
          ...changes,
        },
      };
      await broker.client.call({ op: 'accept-reference', subject: { policy: { ...policyJson(policy) } } });
    }

    async function enrol(): Promise<void> {
      const { reference } = await warden.call({ op: 'host-reference', everything: false });
      await broker.client.call({ op: 'accept-reference', subject: { reference } });
    }

    const prove = (): Promise<void> =>
      proveHost(
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- nothing here opens a stream of the warden
        { broker: broker.client, warden: warden as WardenClient, note: (line) => notes.push(line) },
        machine.id,
        new AbortController().signal,
      );

    /** A boot of the machine, as ringwalld has it: its host first. */
    async function boot(): Promise<{ state: string; reasons: string }> {
      await prove();
      const { boot: id, guest } = await broker.boot(machine, { measured: bootEvents() });
      const answer = await guest.send(await guest.evidence(await guest.hello()));
      if (answer.lines[0]?.startsWith('release ') === true) {
        const { mode } = await guest.open(answer, await broker.brokerKey());
        await guest.reportUnlocked(mode === 'format' ? 'formatted' : 'opened', id);
      }
      const { state, reasons } = await broker.verdict(machine, id);
      return { state, reasons: reasons.join('\n') };
    }

    test('the machine is believed with its host, whose evidence is in its proof, and the proof says so offline', async () => {
      await enrol();
      await demandHost();
      expect(await boot()).toEqual({ state: 'unlocked', reasons: '' });
      expect(notes).toEqual([]);
      const { proof } = await broker.client.call({ op: 'read-proof', machine: machine.id });
      const brokerKey = fromHex(await broker.brokerKey());
      const report = await verifyProof(parseProof(JSON.stringify(proof)), { brokerKey, now: new Date(nowMs) });
      expect(report.outcome).toBe('proven');
      expect(report.host?.ran).toMatchObject({ entries: 2, known: 2, otherCount: 0 });
      expect(chainOf(report).find(({ id }) => id === 'host')).toMatchObject({ state: 'holds' });
    });

    test('without a policy that asks for it, nobody asks the host, and the proof says nothing of it', async () => {
      expect((await boot()).state).toBe('unlocked');
      expect(scene.host.calls).not.toContain('hostTpm.answer');
      const { proof } = await broker.client.call({ op: 'read-proof', machine: machine.id });
      expect(parseProof(JSON.stringify(proof)).host).toBeUndefined();
    });

    test('a host that nobody has accepted, and one without a TPM, are refused with the way out', async () => {
      await demandHost();
      expect(await boot()).toMatchObject({
        state: 'refused',
        reasons: expect.stringMatching(/^its host: nobody has accepted what host_\w{20} is: ringwall reference host/),
      });
      scene.host.hostTpm = undefined;
      expect((await boot()).reasons).toContain('its host: it has no TPM of its own');
    });

    test('one answer serves the machines that start within half its age; then the host is asked again', async () => {
      await enrol();
      await demandHost();
      await prove();
      await prove();
      expect(scene.host.calls.filter((call) => call === 'hostTpm.answer')).toHaveLength(1);
      nowMs += 301_000;
      await prove();
      expect(scene.host.calls.filter((call) => call === 'hostTpm.answer')).toHaveLength(2);
      // An answer that has become too old does not count, though it was good.
      scene.host.hostTpm = undefined;
      nowMs += 601_000;
      expect(await boot()).toMatchObject({ state: 'refused' });
    });

    test('a host on which another QEMU ran is refused from then on, and its proof shows which', async () => {
      await enrol();
      await demandHost();
      await tpm.measure('/usr/bin/qemu-system-x86_64', new Uint8Array(32).fill(7));
      const { state, reasons } = await boot();
      expect(state).toBe('refused');
      expect(reasons).toContain('its host: /usr/bin/qemu-system-x86_64 ran on the host, and is not the file');
      const { proof } = await broker.client.call({ op: 'read-proof', machine: machine.id });
      const report = await verifyProof(parseProof(JSON.stringify(proof)), {
        brokerKey: fromHex(await broker.brokerKey()),
        now: new Date(nowMs),
      });
      expect(report.outcome).toBe('refused');
      expect(chainOf(report).find(({ id }) => id === 'host')?.state).toBe('broken');
    });

    test('a host that was refused is asked again at the next start, and believed once it is mended', async () => {
      await enrol();
      await demandHost();
      const whole = readFileSync(tpm.config.imaLog);
      writeFileSync(tpm.config.imaLog, whole.subarray(0, -90));
      expect((await boot()).state).toBe('refused');
      writeFileSync(tpm.config.imaLog, whole);
      expect((await boot()).state).toBe('unlocked');
    });

    test('a machine of which no bundle could hold the proof is refused, and told why', async () => {
      const files = Array.from({ length: 4000 }, (_, at) => ({
        path: `/usr/lib/${'x'.repeat(90)}/${at}`,
        sha256: sha256Of(`${at}`),
        required: false,
      }));
      const { reference } = await warden.call({ op: 'host-reference', everything: false });
      const host = parseHostReference(reference);
      const large = await signed({ ...host, files: [...host.files, ...files] });
      await broker.client.call({ op: 'accept-reference', subject: { reference: { ...hostReferenceJson(large) } } });
      const digests = Array.from({ length: 256 }, (_, at) => sha256Of(`${at}`));
      const rules = Array.from(
        { length: 64 },
        () => ({ effect: 'deny', pcr: 9, digests, reason: 'known bad' }) as const,
      );
      await demandHost({ rules }, rules);
      for (let at = 0; at < 250; at += 1) await tpm.measure(`/${'y'.repeat(4000)}/${at}`);
      expect(await boot()).toMatchObject({
        state: 'refused',
        reasons: expect.stringMatching(new RegExp(`^proof has \\d+ bytes, at most ${MAX_PROOF_BYTES}$`)),
      });
    });

    test.each<[what: string, alter: () => void]>([
      ['a list that was cut', () => writeFileSync(tpm.config.imaLog, readFileSync(tpm.config.imaLog).subarray(0, -90))],
      ['a boot log that was rewritten', () => writeFileSync(tpm.config.eventLog, readFileSync(LOG).with(90, 0xee))],
    ])('%s is refused', async (_what, alter) => {
      await enrol();
      await demandHost();
      alter();
      expect((await boot()).state).toBe('refused');
      expect(notes.join()).toContain('this host has not proven itself');
    });

    test('another TPM, another CA, an answer of before and a second answer are refused', async () => {
      await enrol();
      await demandHost();
      const identity = await warden.call({ op: 'host-identity' });
      const ask = async (vtpmCa = identity.vtpmCa): Promise<string> => {
        const { tpm: known } = identity;
        if (known === undefined) throw new Error('no TPM');
        const asked = await broker.client.call({
          op: 'ask-host',
          machine: machine.id,
          identity: { vtpmCa, tpm: known },
        });
        return asked.question?.nonce ?? '';
      };
      const pcrs = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
      const nonce = await ask();
      const answer = await warden.call({ op: 'host-evidence', nonce, pcrs });
      const other = await ask();
      const stale = await broker.client.call({ op: 'judge-host', nonce: other, ...answer });
      expect(stale.reasons.join()).toContain('answers another question');
      expect(await broker.client.call({ op: 'judge-host', nonce, ...answer })).toEqual({
        outcome: 'accepted',
        reasons: [],
      });
      expect(await codeOf(broker.client.call({ op: 'judge-host', nonce, ...answer }))).toBe('conflict');
      nowMs += 301_000;
      const late = await ask();
      nowMs += 61_000;
      expect(await codeOf(broker.client.call({ op: 'judge-host', nonce: late, ...answer }))).toBe('conflict');
      await using stranger = await TestHostTpm.boot(new Uint8Array(readFileSync(LOG)));
      for (const program of PROGRAMS) await stranger.measure(program);
      scene.host.hostTpm = {
        identity: await readHostIdentity(stranger.config),
        answer: (question) => answerAsHost(stranger.config, question),
      };
      expect((await boot()).reasons).toContain('its host: the host’s attestation key has the Name');
    });
  },
);

function filesOf(paths: readonly string[]): HostReferenceContent['files'] {
  return paths.map((path) => ({ path, sha256: sha256Of(path), required: true }));
}

/** As TestHostTpm measures a path of which nobody says the content. */
function sha256Of(path: string): string {
  return createHash('sha256').update(path).digest('hex');
}
