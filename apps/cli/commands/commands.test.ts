// What commands do beyond the transcripts: JSON for programs, failures, and bad days of the daemon.
import { diskIdSchema } from '@ringwall/api';
import { RingwallError } from '@ringwall/api/errors';
import { describe, expect, it } from 'vitest';
import { FAKE_HOST, FakeApi } from '../testing/fake-api.ts';
import { runCli } from '../testing/harness.ts';
import { newPart } from './logs.ts';
import { parsePackages } from './doctor.ts';

describe('--json', () => {
  it.each([
    ['ls', { machines: [{ name: 'hello' }] }],
    ['show hello', { machine: { name: 'hello' }, proven: expect.any(Array) }],
    ['run hello --name web', { machine: { name: 'web', status: { trust: 'attested' } } }],
    ['start hello', { machines: [{ name: 'hello', ok: true }] }],
    ['stop hello', { machines: [{ name: 'hello', ok: true }] }],
    ['rm --force hello', { machines: [{ name: 'hello', ok: true }] }],
    ['logs hello', { machine: 'hello', text: 'Ringwall hello\nattested ok\n# ' }],
    ['doctor', { findings: FAKE_HOST.findings }],
    ['version', { version: '0.1.0', build: 'source' }],
    ['help', { commands: expect.any(Array) }],
    ['completion bash', { shell: 'bash', script: expect.stringContaining('complete -F') }],
    ['install --dry-run', { installed: false, units: expect.any(Array) }],
  ])('%s prints one document and nothing else', async (line, document) => {
    await using api = await FakeApi.start();
    api.add('hello');
    const { code, stdout, stderr } = await runCli(api, [...line.split(' '), '--json']);
    expect(JSON.parse(stdout)).toMatchObject(document);
    expect(stderr).toBe('');
    expect(code).toBe(0);
  });

  it('an error is a document too', async () => {
    const { code, stdout, stderr } = await runCli(undefined, ['ls', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'daemon-unavailable', exitCode: 6 } });
    expect(stderr).toBe('');
    expect(code).toBe(6);
  });
});

describe('run', () => {
  it('sends what was asked for, and nothing that was not', async () => {
    await using api = await FakeApi.start();
    await runCli(api, ['run']);
    await runCli(api, ['run', 'debian', '--name', 'web', '--cpus', '2', '--memory', '2G', '--disk', '20G']);
    expect(api.bodies).toEqual([
      { image: 'hello', start: true },
      { image: 'debian', start: true, name: 'web', cpus: 2, memoryMiB: 2048, diskMiB: 20_480 },
    ]);
  });

  it('boots a disk that was imported, where it is told to learn', async () => {
    await using api = await FakeApi.start();
    await runCli(api, ['run', '--attach', 'cloud,data', '--name', 'web', '--learn']);
    expect(api.bodies).toEqual([{ image: 'foreign', start: true, name: 'web', attach: ['cloud', 'data'] }]);
  });

  it.each([
    ['run --disk-image cloud.qcow2', 'nobody knows yet what cloud.qcow2 measures'],
    ['run hello --learn', 'there is nothing to learn'],
    ['run --disk-image cloud.qcow2 --attach data --learn', '--disk-image and --attach are named'],
    ['run hello --disk-image cloud.qcow2', 'nobody knows yet what cloud.qcow2 measures'],
  ])('%s makes no sense', async (line, message) => {
    await using api = await FakeApi.start();
    const { code, stderr } = await runCli(api, line.split(' '));
    expect(stderr).toContain(message);
    expect(code).toBe(2);
    expect(api.bodies).toEqual([]);
  });

  it('a refusal has its exit code, its reasons and a way on', async () => {
    await using api = await FakeApi.start();
    api.nextFailure = new RingwallError('attestation-refused', 'the evidence of hello was refused: kernel', {
      hint: 'see: ringwall show hello',
    });
    const run = runCli(api, ['run', 'hello'], { environment: { RINGWALL_COMMAND: './ringwall' } });
    const { code, stderr } = await run;
    expect(stderr).toContain('error: the evidence of hello was refused: kernel\n');
    expect(stderr).toContain('  see: ./ringwall show hello\n');
    expect(stderr).toContain('  remove it: ./ringwall rm --force hello\n');
    expect(code).toBe(4);
  });

  it.each(['run hello', 'start web'])('every reason is told by %s', async (line) => {
    await using api = await FakeApi.start();
    const reasons = ['kernel: measured aa, expected bb', 'initrd: measured cc, expected dd'];
    api.add('web', { status: { phase: 'refused', trust: 'refused', reasons } });
    api.made = { phase: 'refused', trust: 'refused', reasons };
    api.nextFailure = new RingwallError('attestation-refused', `the evidence was refused: ${reasons[0] ?? ''}`);
    const { code, stderr } = await runCli(api, line.split(' '));
    expect(stderr).toContain(`error: the evidence was refused: ${reasons.join('\n  ')}`);
    expect(stderr.split(reasons[0] ?? '')).toHaveLength(2);
    expect(code).toBe(4);
  });

  it('goes on where the stream of events breaks', async () => {
    await using api = await FakeApi.start();
    api.brokenStreams = 2;
    const { code, stderr } = await runCli(api, ['run', 'hello']);
    expect(stderr).toContain('waiting for ringwalld to come back');
    expect(code).toBe(0);
    expect(api.requests.filter((request) => request.endsWith('/events'))).toHaveLength(3);
  });

  it('an operation that failed by a time-out is no connection that was lost', async () => {
    await using api = await FakeApi.start();
    api.nextFailure = new RingwallError('timeout', 'the guest has not answered within 180 s');
    const { code, stderr } = await runCli(api, ['run', 'hello']);
    expect(stderr).toContain('error: the guest has not answered within 180 s\n');
    expect(stderr).not.toContain('waiting for ringwalld');
    expect(code).toBe(8);
  });

  it('gives up after a while, and says what was being done', async () => {
    await using api = await FakeApi.start();
    api.brokenStreams = 100;
    const { code, stderr } = await runCli(api, ['run', 'hello']);
    expect(stderr).toContain('error: lost sight of it while ringwalld was doing: ');
    expect(code).toBe(6);
  });
});

describe('stop, start, rm', () => {
  it('try all that are named; the first failure decides the exit code', async () => {
    await using api = await FakeApi.start();
    api.add('hello');
    const { code, stdout, stderr } = await runCli(api, ['stop', 'nosuch', 'hello', 'hello']);
    expect(stdout).toBe('hello is stopped. Its disk stays.\n');
    expect(stderr).toContain('error: there is no machine nosuch\n');
    expect(code).toBe(3);
    expect(api.requests.filter((request) => request.endsWith('/stop'))).toHaveLength(2);
  });

  it('rm says which imported disks stay, and how they go', async () => {
    await using api = await FakeApi.start();
    const createdAt = '2026-11-21T12:00:00.000Z';
    const names = ['web', 'data'];
    const ids = names.map((name) => diskIdSchema.parse(`dsk_${name.padEnd(20, 'a')}`));
    api.disks = [...names, 'other'].map((name, index) => ({
      id: ids[index] ?? diskIdSchema.parse(`dsk_${'b'.repeat(20)}`),
      ...{ tenant: 'default', name, version: 1, createdAt, status: { phase: 'ready' } },
      spec: { sizeBytes: 512, source: { format: 'raw', name: 'a.img' } },
    }));
    api.add('hello', { spec: { disks: ids } });
    expect((await runCli(api, ['rm', '--force', 'hello'])).stdout).toBe(
      [
        'hello is removed: its own disk, its TPM and its key are gone.',
        'What was imported for it stays, with its key: web data. To destroy it: ringwall disk rm web data',
        'The signed record of that: ringwall key erasure hello\n',
      ].join('\n'),
    );
  });

  it('of two failures, the first decides', async () => {
    await using api = await FakeApi.start();
    api.add('hello');
    expect((await runCli(api, ['rm', 'nosuch', 'hello'])).code).toBe(3);
    expect((await runCli(api, ['rm', 'hello', 'nosuch'])).code).toBe(7);
  });

  it('stop --grace is seconds for the user and milliseconds for the API', async () => {
    await using api = await FakeApi.start();
    api.add('hello');
    await runCli(api, ['stop', 'hello', '--grace', '5']);
    expect(api.bodies).toEqual([{ graceMs: 5000 }]);
  });
});

describe('what others wrote', () => {
  it('never reaches the terminal as a command', async () => {
    await using api = await FakeApi.start();
    api.add('hello', {
      status: { reasons: ['kernel\u001b]0;owned\u0007 altered'], trust: 'refused', phase: 'refused' },
    });
    for (const line of ['ls', 'show hello', 'logs hello']) {
      const { all } = await runCli(api, line.split(' '), { columns: 80, environment: { NO_COLOR: '1' } });
      // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
      expect(all, line).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/);
    }
  });

  it('comes raw only where it is asked for', async () => {
    await using api = await FakeApi.start();
    api.add('hello');
    expect((await runCli(api, ['logs', 'hello', '--raw'])).stdout).toBe(api.log.toString('latin1'));
  });
});

describe('errors', () => {
  it('show no stack, and a defect says how to report it', async () => {
    await using api = await FakeApi.start();
    api.refuseAll = new RingwallError('internal', 'list-machines failed');
    const { code, stderr } = await runCli(api, ['ls']);
    expect(stderr).toBe('error: list-machines failed\n');
    expect(code).toBe(1);
    const debug = await runCli(api, ['ls'], { environment: { RINGWALL_DEBUG: '1' } });
    expect(debug.stderr).toContain('    at ');
  });

  it.each([
    ['RINGWALL_STATE', 'relative/path', 'no absolute path'],
    ['RINGWALL_RUN', '/' + 'x'.repeat(80), 'too long'],
  ])('%s=%s is refused', async (variable, value, message) => {
    const { code, stderr } = await runCli(undefined, ['ls'], { environment: { [variable]: value } });
    expect(stderr).toContain(message);
    expect(code).toBe(2);
  });
});

describe('doctor', () => {
  it('tells what it sees itself where the services say nothing', async () => {
    const { code, stdout } = await runCli(undefined, ['doctor']);
    expect(stdout).toContain('The services say nothing: ringwalld does not run');
    expect(stdout).toContain('package qemu-system-x86');
    expect(code).toBe(5);
  });

  it('tells what is missing, what that means and how to get it', async () => {
    await using api = await FakeApi.start();
    const { code, stdout } = await runCli(api, ['doctor']);
    expect(stdout).toContain('machines are emulated');
    expect(stdout).toContain('to get it: enable VT-x in the firmware');
    expect(code).toBe(0);
  });

  it('fails where a service is down', async () => {
    await using api = await FakeApi.start();
    api.hostProcesses = FAKE_HOST.processes;
    const { code, stdout } = await runCli(api, ['doctor']);
    expect(stdout).toMatch(/ringwall-broker +down/);
    expect(code).toBe(5);
  });

  it('reads the list of packages that setup reads', () => {
    expect(parsePackages('# x\nhost  a-b  /bin/a  does a\ntools npm npm brings b\n')).toEqual([
      { name: 'a-b', witness: '/bin/a', reason: 'does a' },
    ]);
  });
});

describe('newPart()', () => {
  const bytes = (text: string): Uint8Array => Buffer.from(text);
  it.each([
    ['nothing new', 'abc', 'abc', ''],
    ['more', 'abc', 'abcdef', 'def'],
    ['more, with the beginning gone', 'abcdef', 'defghi', 'defghi'],
    ['the first at all', '', 'abc', 'abc'],
    ['a new log after a restart', 'abc', 'xyz', 'xyz'],
  ])('finds %s', (_, seen, now, expected) => {
    expect(Buffer.from(newPart(bytes(seen), bytes(now))).toString()).toBe(expected);
  });

  it('finds what was added to a log that only keeps its end', () => {
    const log = Array.from({ length: 3000 }, (_, line) => `line ${String(line)}\n`).join('');
    const seen = bytes(log.slice(-8192));
    const now = bytes(`${log}news\n`.slice(-8192));
    expect(Buffer.from(newPart(seen, now)).toString()).toBe('news\n');
  });
});
