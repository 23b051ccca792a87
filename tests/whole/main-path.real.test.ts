// The main job from outside: what the README promises, on one machine that all tests here share.
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { newBootId, type ReferenceList } from '@ringwall/api';
import { toHex } from '@ringwall/bytes';
import { run } from '@ringwall/host/exec';
import {
  decodeReference,
  encodeProof,
  parseProof,
  verifyEar,
  verifyProof,
  type ExpectedEvent,
  type Proof,
  type ProofReport,
} from '@ringwall/evidence';
import { commandLine, MANIFEST_FILE, parseManifest, readFirmware } from '@ringwall/host/guestimage';
import { Instance, opensDisk, stolenDiskKeys } from '@ringwall/testkit';
import {
  eventTypeName,
  EV_NO_ACTION,
  parseAttest,
  parseEventLog,
  parsePublic,
  publicKeyOf,
  replayEventLog,
} from '@ringwall/tpm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const NAME = 'proves-itself';
const P256 = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const LINE = `kept-${newBootId()}`;

describe('ringwall run hello', () => {
  let ringwall: Instance;
  let directory: string;
  let printed: string;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'ringwall-test-'));
    ringwall = await Instance.start();
    printed = await ringwall.ok('run', 'hello', '--name', NAME, '--encryption', 'authenticated', '--clones', 'allow');
  });

  afterAll(async () => {
    await ringwall[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true, force: true });
  });

  const readProof = async (): Promise<{ proof: Proof; path: string }> => {
    const path = join(directory, 'proof.json');
    await ringwall.ok('prove', NAME, '-o', path);
    return { proof: parseProof(readFileSync(path)), path };
  };

  const diskAndBroker = (id: string): [disk: string, broker: string] => [
    join(ringwall.stateDir, 'machines', id, 'disk.img'),
    join(ringwall.stateDir, 'broker'),
  ];

  test('prints what was proven, what is not protected and why, and where the proof is', () => {
    expect(printed).toMatch(/proven/i);
    expect(printed).toMatch(/not protected/i);
    expect(printed).toMatch(/prove/);
  });

  test('leaves the machine attested, unlocked and running', async () => {
    const { machine } = await ringwall.show(NAME);
    expect(machine.status).toMatchObject({ phase: 'running', trust: 'attested', diskUnlocked: true });
  });

  test('every protection of VMM and TPM holds, as read back from /proc', async () => {
    const { protections } = await ringwall.show(NAME);
    expect(protections.length).toBeGreaterThan(20);
    expect(protections.filter(({ state }) => state !== 'holds')).toEqual([]);
  });

  test('an emulated machine is labelled as no isolation boundary', async () => {
    const { machine } = await ringwall.show(NAME);
    const label = machine.status.accelerator === 'tcg' ? 'emulated: no isolation boundary' : undefined;
    expect(machine.status.label).toBe(label);
  });

  test('what the image must measure is accepted as the first of it, and stands in the proof with its signature', async () => {
    const { references, signers }: ReferenceList = JSON.parse(await ringwall.ok('reference', '--json'));
    expect(references).toMatchObject([{ state: 'accepted', how: 'first-use', publicKey: signers[0] }]);
    const { proof } = await readProof();
    expect(proof.signedReference?.id).toBe(references[0]?.id);
    expect(await ringwall.ok('reference', 'build', 'hello')).toContain('for one size of machine');
    expect((await ringwall.cli('reference', 'diff', 'hello')).stderr).toContain('nothing waits to be accepted');
  });

  test('why says that every measurement is the expected one', async () => {
    expect(await ringwall.ok('why', NAME)).toContain('every measurement is the expected one');
  });

  test('the attestation result for other systems affirms the machine, by the key of the broker', async () => {
    const token = (await ringwall.ok('prove', NAME, '--ear')).trim();
    const { proof } = await readProof();
    const trust = { publicKey: proof.broker.publicKey, now: new Date(), nonce: proof.challenge.nonce };
    expect((await verifyEar(token, trust)).appraisals).toMatchObject([{ name: proof.machine.id, status: 'affirming' }]);
  });

  test('the prediction and the real event log agree, event by event', async () => {
    const { proof } = await readProof();
    const measured = parseEventLog(proof.evidence.eventLog).events.filter(({ type }) => type !== EV_NO_ACTION);
    const asExpected = measured.map(({ pcr, type, digests }) => ({
      pcr,
      type: eventTypeName(type),
      digest: toHex(digests.get('sha256') ?? new Uint8Array()),
    }));
    const byPcr = <T extends { pcr: number }>(events: readonly T[]): T[] => events.toSorted((a, b) => a.pcr - b.pcr);
    const predicted = proof.reference.events.map(({ pcr, type, digest }) => ({ pcr, type, digest }));
    expect(byPcr(asExpected)).toEqual(byPcr(predicted));
    expect(predicted.length).toBeGreaterThan(20);
  });

  test('a tenant computes the same from the loose artefacts, and their word takes the place of first use', async () => {
    const { proof } = await readProof();
    const [image, { machine }] = [join(ringwall.stateDir, 'images/hello'), await ringwall.show(NAME)];
    const { verityRootHash, hashOffset, digest } = parseManifest(readFileSync(join(image, MANIFEST_FILE), 'utf8'));
    const write = (name: string, content: string): string => {
      writeFileSync(join(directory, name), content);
      return join(directory, name);
    };
    const { publicKey, privateKey } = await crypto.subtle.generateKey(P256, true, ['sign', 'verify']);
    const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', privateKey)).toString('base64');
    const key = write('our.pem', `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n`);
    const boot = {
      image: { name: 'hello', digest },
      kernel: join(image, 'kernel'),
      initrd: join(image, 'initrd'),
      commandLine: commandLine({
        ...{ image: 'hello', verityRootHash, hashOffset },
        brokerKey: toHex(proof.broker.publicKey),
      }),
      verityRoot: verityRootHash,
      firmware: write('firmware.json', JSON.stringify(await readFirmware(machine.spec))),
      memoryMiB: machine.spec.memoryMiB,
    };
    const ours = join(directory, 'ours.json');
    await ringwall.ok('reference', 'build', write('boot.json', JSON.stringify(boot)), '--key', key, '-o', ours);
    const digests = (events: readonly ExpectedEvent[]): string[] =>
      events.map((event) => `${event.pcr} ${event.digest}`);
    expect(digests(decodeReference(readFileSync(ours)).events)).toEqual(digests(proof.reference.events));
    // As the host has it, with packages and paths: the same id, and now the tenant's word.
    const theirs = write(
      'theirs.json',
      JSON.stringify(JSON.parse(readFileSync(join(directory, 'proof.json'), 'utf8')).reference),
    );
    await ringwall.ok('reference', 'sign', theirs, '--key', key, '-o', ours);
    await ringwall.ok('reference', 'accept', ours);
    const { references } = JSON.parse(await ringwall.ok('reference', '--json'));
    const point = Buffer.from(await crypto.subtle.exportKey('raw', publicKey)).subarray(1);
    expect(references).toMatchObject([{ state: 'accepted', how: 'command', publicKey: toHex(point) }]);
    expect((await ringwall.cli('verify', join(directory, 'proof.json'), '--reference', ours)).code).toBe(0);
  });

  test('the proof has what ran since the boot, all of it of the image', async () => {
    let report: ProofReport | undefined;
    for (let tries = 0; report?.ran === undefined && tries < 300; tries += 1) {
      await sleep(1000);
      const { proof } = await readProof();
      report = await verifyProof(proof, { brokerKey: proof.broker.publicKey, now: new Date() });
    }
    expect(report?.outcome).toBe('proven');
    expect(report?.ran?.outcome).toBe('expected');
    expect(report?.ran?.files.length).toBeGreaterThan(20);
    expect(report?.ran?.files.map(({ path }) => path)).toContain('/bin/busybox');
    expect(await ringwall.ok('verify', join(directory, 'proof.json'))).toMatch(/Processes: all \d+ files that ran/);
  });

  test('the proof verifies offline, and not once one byte of its log is changed', async () => {
    const { proof, path } = await readProof();
    const said = await ringwall.ok('verify', path);
    expect(said).toMatch(/kernel/i);
    const report = await verifyProof(proof, { brokerKey: proof.broker.publicKey, now: new Date() });
    expect(report.outcome).toBe('proven');
    const eventLog = new Uint8Array(proof.evidence.eventLog);
    eventLog[eventLog.length - 1] = (eventLog.at(-1) ?? 0) ^ 1;
    const other = join(directory, 'altered.json');
    writeFileSync(other, encodeProof({ ...proof, evidence: { ...proof.evidence, eventLog } }));
    expect((await ringwall.cli('verify', other)).code).toBe(4);
  });

  test('tpm2_checkquote accepts the quote in the bundle', async () => {
    const { evidence } = (await readProof()).proof;
    const file = (name: string, content: Uint8Array | string): string => {
      writeFileSync(join(directory, name), content);
      return join(directory, name);
    };
    const spki = await crypto.subtle.exportKey('spki', await publicKeyOf(parsePublic(evidence.akPublic)));
    const pem = `-----BEGIN PUBLIC KEY-----\n${Buffer.from(spki).toString('base64')}\n-----END PUBLIC KEY-----\n`;
    const result = await run([
      ...['/usr/bin/tpm2_checkquote', '-u', file('ak.pem', pem), '-m', file('quote', evidence.quote)],
      ...['-s', file('signature', evidence.quoteSignature), '-q', toHex(parseAttest(evidence.quote).extraData)],
    ]);
    expect(result.stderr.toString()).toBe('');
    expect(result.code).toBe(0);
  });

  test('tpm2_eventlog replays the log to the same PCRs', async () => {
    const { evidence } = (await readProof()).proof;
    const path = join(directory, 'log');
    writeFileSync(path, evidence.eventLog);
    const { stdout } = await run(['/usr/bin/tpm2_eventlog', path]);
    const theirs = new Map(
      [...stdout.toString().matchAll(/^ {4}(\d+) +: 0x([0-9a-f]{64})$/gm)].map(([, pcr, value]) => [
        Number(pcr),
        value,
      ]),
    );
    const ours = await replayEventLog(parseEventLog(evidence.eventLog), 'sha256');
    expect(theirs.size).toBeGreaterThan(7);
    for (const [pcr, value] of theirs) expect(toHex(ours.get(pcr) ?? new Uint8Array()), `PCR ${pcr}`).toBe(value);
  });

  test('the disk is LUKS2 with aes-xts-plain64 and HMAC-SHA-256 in the eyes of cryptsetup', async () => {
    const { machine } = await ringwall.show(NAME);
    const disk = join(ringwall.stateDir, 'machines', machine.id, 'disk.img');
    const { stdout, code } = await run(['/usr/sbin/cryptsetup', 'luksDump', disk]);
    expect(code).toBe(0);
    expect(stdout.toString()).toMatch(/Version:\s+2/);
    expect(stdout.toString()).toMatch(/cipher: aes-xts-plain64/);
    // And in our own, by the machine's name.
    const own = await ringwall.cli('disk', 'inspect', `machine:${NAME}`);
    expect(own.stdout).toContain(disk);
    expect(own.stdout).toContain('encrypted with LUKS2, aes-xts-plain64');
    expect(own.stderr).toContain('its guest writes while this is read');
    expect(stdout.toString()).toMatch(/integrity: hmac\(sha256\)/);
  });

  test('no file of the host holds the disk key in clear: the store has it wrapped', async () => {
    using console = await ringwall.openConsole(NAME);
    await console.run(`echo ${LINE} > /data/line && sync`);
    const found = await run(['/usr/bin/grep', '-rlaF', LINE, ringwall.directory], { timeoutMs: 120_000 });
    // The console's own log has seen the line being typed, and the guest's memory is no file of a disk; nothing else may have it.
    const files = found.stdout
      .toString()
      .trim()
      .split('\n')
      .filter((file) => file !== '' && !file.includes('console') && !file.endsWith('/memory/ram'));
    expect(files).toEqual([]);
  });

  test('the disk survives a restart with another key, and the second boot proves itself anew', async () => {
    const before = await ringwall.show(NAME);
    const [disk, broker] = diskAndBroker(before.machine.id);
    const keys = stolenDiskKeys(broker, before.machine.id);
    const works = (key: Uint8Array): Promise<boolean> => opensDisk(disk, key);
    expect(keys).toHaveLength(1);
    expect(await Promise.all(keys.map(works))).toEqual([true]);
    expect(await ringwall.ok('key', 'rotate', NAME)).toContain('gets key 2 at its next start');
    await ringwall.ok('stop', NAME);
    expect((await ringwall.show(NAME)).machine.status.phase).toBe('stopped');
    await ringwall.ok('start', NAME);
    const after = await ringwall.show(NAME);
    expect(after.machine.status).toMatchObject({ trust: 'attested', diskUnlocked: true });
    expect(after.machine.status.bootId).not.toBe(before.machine.status.bootId);
    using console = await ringwall.openConsole(NAME);
    expect(await console.run('cat /data/line')).toContain(LINE);
    expect(await console.run('dmesg | grep -c "INTEGRITY AEAD ERROR"; true')).toMatch(/^0\s*$/);
    // The old key opens nothing any more, and is nowhere; the new one is in its place.
    expect(await Promise.all(keys.map(works))).toEqual([false]);
    const next = stolenDiskKeys(broker, before.machine.id);
    expect(await Promise.all(next.map(works))).toEqual([true]);
    expect(next.map((key) => toHex(key))).not.toContain(toHex(keys[0] ?? new Uint8Array()));
  });

  test('after unlocking, PCR 15 is extended: the boot key cannot be used again', async () => {
    const { evidence } = (await readProof()).proof;
    const quoted = parseAttest(evidence.quote);
    expect(quoted.type).toBe('quote');
    using console = await ringwall.openConsole(NAME);
    const pcr15 = await console.run('cat /sys/class/tpm/tpm0/pcr-sha256/15');
    expect(pcr15.trim()).toMatch(/^[0-9A-F]{64}$/);
    expect(pcr15.trim()).not.toBe('0'.repeat(64));
  });

  test('a snapshot brings memory and disk back, shows neither, and is refused once a byte of it is altered', async () => {
    const { machine } = await ringwall.show(NAME);
    const secret = `canary-${newBootId()}`;
    const complaints = 'dmesg | grep -E "BUG|corruption|I/O error|AEAD ERROR"; true';
    let before: string;
    {
      using console = await ringwall.openConsole(NAME);
      before = await console.run(complaints);
      await console.run(`kept=${secret}; echo ${secret} > /data/canary; sync`);
    }
    expect(await ringwall.ok('snapshot', NAME)).toMatch(/@1 is there; .* stood still for \d+ ms/);
    const folder = join(ringwall.stateDir, 'snapshots', machine.id);
    const file = join(folder, readdirSync(folder)[0] ?? '');
    const sealed = readFileSync(file);
    expect(sealed.includes(secret)).toBe(false);
    const begin =
      'n=0; while [ ! -e /tmp/enough ]; do n=$((n+1)); echo "$n $kept" > /data/n; sync; echo "$n $kept" > /tmp/n; done';
    {
      using console = await ringwall.openConsole(NAME);
      expect(await console.run('echo $kept')).toContain(secret);
      // What works on while the next one is taken: memory and disk change, and must be of one moment when they are back.
      await console.run(`(${begin}) > /dev/null 2>&1 & until [ -s /data/n ]; do sleep 1; done`);
    }
    expect(await ringwall.ok('snapshot', NAME)).toContain('@2 is there');
    expect(await ringwall.ok('snapshot', 'ls')).toMatch(/@2 .* since @1 /);
    const next = readdirSync(folder).find((name) => join(folder, name) !== file) ?? '';
    expect(statSync(join(folder, next)).size).toBeLessThan(sealed.length / 4);
    expect(readFileSync(join(folder, next)).includes(secret)).toBe(false);
    {
      using console = await ringwall.openConsole(NAME);
      await console.run('touch /tmp/enough; kept=; rm /data/canary; sync');
    }
    expect((await ringwall.cli('snapshot', 'rm', `${NAME}@1`)).stderr).toContain('@2 continues it');
    await ringwall.ok('stop', NAME);

    const altered = Buffer.from(sealed);
    altered.writeUInt8(altered.readUInt8(20_000_000) ^ 1, 20_000_000);
    writeFileSync(file, altered);
    const refused = await ringwall.cli('restore', NAME, '--rewind');
    expect(refused.code).toBe(4);
    expect(refused.stderr).toMatch(/the snapshot is not what was sealed: .* at byte \d+/);
    const verified = await ringwall.cli('snapshot', 'verify', `${NAME}@2`);
    expect([verified.code, verified.stdout]).toEqual([4, expect.stringContaining('@1, which it continues')]);
    writeFileSync(file, sealed);
    expect(await ringwall.ok('snapshot', 'verify', `${NAME}@2`)).toContain('is whole');

    await ringwall.ok('restore', NAME, '--rewind');
    const back = await ringwall.show(NAME);
    expect(back.machine.status).toMatchObject({ phase: 'running', trust: 'unknown' });
    expect(back.protections.filter(({ state }) => state !== 'holds')).toEqual([]);
    using console = await ringwall.openConsole(NAME);
    expect(await console.run('echo $kept; cat /data/canary')).toBe(`${secret}\n${secret}\n`);
    // Its clock is that of then until it has noticed.
    await console.run(`until dmesg | grep -q 'goes on from a saved state'; do sleep 1; done`);
    const beforeSeconds = Date.now() / 1000;
    const itsSeconds = Number(await console.run('date +%s'));
    expect(itsSeconds).toBeGreaterThan(beforeSeconds - 3);
    expect(itsSeconds).toBeLessThan(Date.now() / 1000 + 3);
    // It works on from then: nothing it counts has gone back or got lost, and the kernel has nothing to say.
    const count = async (): Promise<number> => Number(await console.run('cut -d " " -f 1 /tmp/n'));
    const first = await count();
    await expect.poll(count).toBeGreaterThan(first);
    await console.run('touch /tmp/enough; wait; sync');
    const [onDisk, inMemory] = (await console.run('cat /data/n /tmp/n')).split('\n');
    expect(onDisk).toBe(inMemory);
    expect(await console.run(complaints)).toBe(before);
    expect(await console.run('cat /sys/class/tpm/tpm0/pcr-sha256/15')).toMatch(/^[0-9A-F]{64}\s$/);
  });

  test('what goes on from a template is another machine at once, trusted by nobody until it boots', async () => {
    const original = await ringwall.show(NAME);
    await ringwall.ok('stop', NAME, '--grace', '0');
    expect(await ringwall.ok('template', 'hold', `${NAME}@1`)).toMatch(/is held, in \d+ MiB/);
    const said = await ringwall.ok('clone', NAME, '--live', '--count', '3', '--name', 'live');
    const names = ['live-1', 'live-2', 'live-3'];
    for (const name of names) expect(said).toContain(`${name} goes on from the memory of ${NAME}@1`);
    const clones = await Promise.all(names.map((name) => ringwall.show(name)));
    for (const { machine, protections } of clones) {
      expect(machine.status).toMatchObject({ phase: 'running', trust: 'unknown', goesOnFrom: `${NAME}@1` });
      expect(protections.filter(({ state }) => state !== 'holds')).toEqual([]);
    }
    const ids = [original, ...clones].map(({ machine }) => machine.id);
    const certificates = ids.map((id) =>
      readFileSync(join(ringwall.stateDir, 'warden/machines', id, 'ek-certificate.der'), 'hex'),
    );
    expect([new Set(ids).size, new Set(certificates).size]).toEqual([4, 4]);
    const drawn = new Set<string>();
    for (const name of names) {
      using console = await ringwall.openConsole(name);
      await console.run(`until dmesg | grep -q 'goes on from a saved state'; do sleep 1; done`);
      expect(await console.run('echo $kept; cat /data/canary')).toMatch(/^(canary-[0-9a-f]+)\n\1\n$/);
      drawn.add(await console.run('head -c 16 /dev/urandom | xxd -p'));
      await console.run(`echo ${name} | tee /tmp/whose > /data/whose; sync`);
    }
    expect(drawn.size).toBe(3);
    expect(await ringwall.ok('template', 'ls')).toMatch(/ 3: /);
    await ringwall.ok('template', 'release', `${NAME}@1`);
    for (const name of names) {
      using console = await ringwall.openConsole(name);
      expect(await console.run('cat /tmp/whose /data/whose')).toBe(`${name}\n${name}\n`);
    }
    expect((await ringwall.cli('prove', 'live-1', '-o', '-')).code).toBe(3);
    expect((await ringwall.cli('snapshot', 'live-1')).stderr).toContain('cannot be saved');
    expect((await ringwall.cli('clone', NAME, '--live')).stderr).toContain('held in memory');
    await ringwall.ok('rm', '--force', 'live-2', 'live-3');
    await ringwall.ok('stop', 'live-1', '--grace', '0');
    await ringwall.ok('start', 'live-1');
    const { machine } = await ringwall.show('live-1');
    expect(machine.status).toMatchObject({ trust: 'attested', diskUnlocked: true });
    expect(machine.status.goesOnFrom).toBeUndefined();
    {
      using console = await ringwall.openConsole('live-1');
      expect(await console.run('cat /data/whose /run/ringwall/machine')).toBe(`live-1\n${machine.id}\n`);
    }
    await ringwall.ok('rm', '--force', 'live-1');
  });

  test('a clone has the disk of a snapshot, and identity, TPM and key of its own', async () => {
    const original = await ringwall.show(NAME);
    await ringwall.ok('stop', NAME, '--grace', '0');
    await ringwall.ok('clone', `${NAME}@1`, '--name', 'twin', '--json');
    const { machine } = await ringwall.show('twin');
    expect(machine.status).toMatchObject({ phase: 'running', trust: 'attested', diskUnlocked: true });
    expect(machine.spec).toMatchObject({ encryption: 'authenticated', clonedFrom: `${NAME}@1` });
    {
      using console = await ringwall.openConsole('twin');
      expect(await console.run('cat /data/canary /run/ringwall/machine')).toContain(`\n${machine.id}\n`);
    }
    const proofs = await Promise.all(
      [NAME, 'twin'].map(async (name) => parseProof(await ringwall.ok('prove', name, '-o', '-'))),
    );
    const [theirs, ours] = proofs.map(({ evidence }) => [evidence.ekCertificate, evidence.akPublic].map(toHex));
    expect(ours).not.toContain(theirs?.[0]);
    expect(ours).not.toContain(theirs?.[1]);
    const [disk, broker] = diskAndBroker(machine.id);
    const [of, own] = [original.machine.id, machine.id].map((id) => stolenDiskKeys(broker, id));
    expect(await Promise.all([...(of ?? []), ...(own ?? [])].map((key) => opensDisk(disk, key)))).toEqual([
      false,
      true,
    ]);
    expect((await ringwall.cli('clone', 'twin')).stderr).toContain('twin may not be cloned');
    await ringwall.ok('rm', '--force', 'twin');
    await ringwall.ok('restore', NAME, '--rewind');
  });

  test('a snapshot moves the machine to another host, which opens it for itself alone; here it starts no more', async () => {
    await ringwall.ok('snapshot', NAME);
    await ringwall.ok('stop', NAME);
    await using other = await Instance.start({ images: join(ringwall.stateDir, 'images') });
    const [recipient, file] = [join(directory, 'other.json'), join(directory, 'moved.ringwall')];
    await other.ok('snapshot', 'recipient', '-o', recipient);
    const people = ['alice', 'bob'].map((name) => ({ name, key: join(directory, `${name}.key`) }));
    for (const { name, key } of people) {
      const person = (await ringwall.ok('keygen', '--person', '-o', key)).trim();
      await ringwall.ok('approvals', 'enrol', name, person);
    }
    await ringwall.ok('approvals', 'require', NAME);
    const leave = ['snapshot', 'export', `${NAME}@3`, '--to', recipient, '-o', file, '--move'] as const;
    const asked = await ringwall.cli(...leave);
    const [request = ''] = /apr_[a-z2-7]{20}/.exec(asked.stderr) ?? [];
    expect(asked.stderr).toContain('needs the word of two people');
    for (const { key } of people) await ringwall.ok('approve', request, '--as', key);
    const exported = await ringwall.cli(...leave);
    expect(exported).toMatchObject({ code: 0, stdout: expect.stringContaining('starts here no more') });

    const bytes = readFileSync(file);
    const refuse = async (what: string, altered: Buffer, said: RegExp): Promise<void> => {
      const copy = join(directory, 'altered.ringwall');
      writeFileSync(copy, altered);
      const { code, stderr } = await other.cli('snapshot', 'import', copy, '--accept', fingerprint);
      expect({ what, code }).toEqual({ what, code: 4 });
      expect(stderr, what).toMatch(said);
    };
    const unknown = await other.cli('snapshot', 'import', file);
    const [, fingerprint = ''] = /--accept ([0-9a-f]{64})/.exec(unknown.stderr) ?? [];
    expect(unknown.code).not.toBe(0);
    const flipped = Buffer.from(bytes);
    flipped.writeUInt8(flipped.readUInt8(20_000_000) ^ 1, 20_000_000);
    await refuse('flipped', flipped, /record at byte \d+ is damaged/);
    await refuse('cut', bytes.subarray(0, -100), /bytes behind its ticket/);
    expect(readdirSync(join(other.stateDir, 'snapshots', 'incoming'))).toEqual([]);
    expect((await ringwall.cli('snapshot', 'import', file, '--accept', fingerprint)).stderr).toContain(
      'not for this host',
    );

    await other.ok('snapshot', 'import', file, '--accept', fingerprint);
    expect((await other.cli('start', NAME)).stderr).toContain('is in its snapshot alone');
    await other.ok('restore', NAME);
    {
      using console = await other.openConsole(NAME);
      expect(await console.run('cat /data/canary')).toMatch(/^canary-/);
    }
    expect((await other.cli('snapshot', 'import', file)).code).not.toBe(0);
    expect((await ringwall.cli('restore', `${NAME}@3`)).stderr).toContain('was moved to ringwall-recipient:');
    await other.ok('rm', '--force', NAME);
  });

  test('once it is removed, its key is in no file of the broker, and a record says so', async () => {
    const { machine } = await ringwall.show(NAME);
    const [, broker] = diskAndBroker(machine.id);
    await ringwall.ok('rm', '--force', NAME);
    expect(stolenDiskKeys(broker, machine.id)).toEqual([]);
    const record = join(directory, 'erasure.json');
    await ringwall.ok('key', 'erasure', NAME, '-o', record);
    const { publicKey } = parseProof(readFileSync(join(directory, 'proof.json'))).broker;
    const said = await ringwall.ok('verify', record, '--broker-key', toHex(publicKey));
    expect(said).toMatch(/PROVEN[\s\S]*key 1 was rotated[\s\S]*key 2 was erased/);
  });
});
