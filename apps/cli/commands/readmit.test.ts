// What an operator sees of a quarantined machine, and what `readmit` does and does not do.
import { describe, expect, it } from 'vitest';
import { FAKE_NOW, FakeApi } from '../testing/fake-api.ts';
import { runCli } from '../testing/harness.ts';

const REASON = '/tmp/evil ran, which is not a file of the image hello (SHA-256 e7e7e7e7e7e7…)';

async function quarantined(phase: 'running' | 'stopped' = 'running'): Promise<FakeApi> {
  const api = await FakeApi.start();
  const seenAt = new Date(FAKE_NOW - 3_000).toISOString();
  api.add('hello', {
    status: {
      phase,
      trust: 'quarantined',
      reasons: [REASON],
      watch: { mode: 'enforce', state: 'quarantined', seenAt },
    },
  });
  return api;
}

describe('a quarantined machine', () => {
  it('is told by ls, with the reason', async () => {
    await using api = await quarantined();
    const { stdout } = await runCli(api, ['ls']);
    expect(stdout).toMatch(/^hello +hello +running +quarantined/m);
    expect(stdout).toContain(`! hello: ${REASON}`);
  });

  it('is told by show, with what ran and what the image has in its place', async () => {
    await using api = await quarantined();
    const { stdout } = await runCli(api, ['show', 'hello']);
    expect(stdout).toContain('hello  running, quarantined\n');
    expect(stdout.slice(stdout.indexOf('Watch'), stdout.indexOf('Protections'))).toBe(
      [
        'Watch',
        '  mode      enforce: what is not of its image quarantines it',
        '  seen      3 s ago, asked every 10 s',
        '  ran       41 files, 2 not of its image',
        '  ✘ /tmp/evil (SHA-256 e7e7e7e7e7e7e7e7…), which its image does not have',
        '  ✘ /bin/busybox (SHA-256 b0b0b0b0b0b0b0b0…), which busybox-static 1:1.35.0-4',
        '    has as abababababababab…',
        '',
        '',
      ].join('\n'),
    );
  });

  it('shows a machine that is attested, and on which something unexpected ran', async () => {
    await using api = await FakeApi.start();
    api.add('web', {
      spec: { watch: 'report' },
      status: { reasons: [REASON], watch: { mode: 'report', state: 'unexpected' } },
    });
    expect((await runCli(api, ['ls'])).stdout).toContain(`! web: ${REASON}`);
    expect((await runCli(api, ['show', 'web'])).stdout).toContain('not since it was proven, asked every 10 s');
  });
});

describe('readmit', () => {
  it('asks first, and where nobody can be asked it changes nothing', async () => {
    await using api = await quarantined();
    for (const line of [
      ['readmit', 'hello'],
      ['readmit', 'hello', '--json'],
    ]) {
      const { code, all } = await runCli(api, line);
      expect(code).toBe(2);
      expect(all).toContain('then say --yes');
    }
    expect(api.requests.filter((request) => request.startsWith('POST'))).toEqual([]);
  });

  it('--yes lifts the quarantine, and says what a machine that runs still needs', async () => {
    await using running = await quarantined();
    const { code, stdout } = await runCli(running, ['readmit', 'hello', '--yes']);
    expect(stdout).toBe(
      'hello is readmitted: its next start gets its key.\n' +
        'What has run in this boot stays untrusted. Start it anew: ringwall stop hello && ringwall start hello\n',
    );
    expect(code).toBe(0);
    expect((await runCli(running, ['show', 'hello'])).stdout).toContain(
      'lifted    0 s ago: its next start gets its key',
    );
    await using stopped = await quarantined('stopped');
    expect((await runCli(stopped, ['readmit', 'hello', '-y'])).stdout).not.toContain('this boot');
    const json = await runCli(stopped, ['readmit', 'hello', '--yes', '--json']);
    expect(JSON.parse(json.stdout)).toMatchObject({ name: 'hello' });
  });

  it('of a machine that is not quarantined, or is not there, says so', async () => {
    await using api = await FakeApi.start();
    api.add('hello');
    expect(await runCli(api, ['readmit', 'hello', '--yes'])).toMatchObject({ code: 7 });
    expect(await runCli(api, ['readmit', 'nobody', '--yes'])).toMatchObject({ code: 3 });
  });
});

describe('run --watch', () => {
  it('says how the machine is watched, and takes no other word', async () => {
    await using api = await FakeApi.start();
    await runCli(api, ['run', 'hello', '--watch', 'pause']);
    expect(api.bodies).toEqual([{ image: 'hello', start: true, watch: 'pause' }]);
    const { code, stderr } = await runCli(api, ['run', 'hello', '--watch', 'never']);
    expect(stderr).toContain('the ways are: enforce, pause, report, off');
    expect(code).toBe(2);
  });
});
