import { describe, expect, it } from 'vitest';
import { judgeMade, type MadeFile, type MadeImage } from '../../../testing/make-image.ts';
import type { Finding } from '../../inspection/finding.ts';
import { parseFileCapabilities } from './file-capabilities.ts';
import { judgePrivileges } from './privilege-rules.ts';

const judge = (files: Readonly<Record<string, MadeFile>>, config: MadeImage['config'] = {}): readonly Finding[] =>
  judgeMade({ layers: [files], config, inspectors: [] }, [judgePrivileges]);
const told = (findings: readonly Finding[]): string[] =>
  findings.map(({ severity, rule, message }) => `${severity} ${rule}: ${message}`);
const capability = (low: number, high = 0, version = 0x02000001): string => {
  const bytes = new DataView(new ArrayBuffer(20));
  for (const [at, word] of [version, low, 0, high, 0].entries()) bytes.setUint32(at * 4, word, true);
  return Array.from(new Uint8Array(bytes.buffer), (byte) => String.fromCharCode(byte)).join('');
};
const capable = (low: number, mode = 0o755): MadeFile => ({
  mode,
  attributes: new Map([['security.capability', capability(low)]]),
});

describe('judgePrivileges()', () => {
  it.each<[what: string, path: string, file: MadeFile, expected: string | undefined]>([
    [
      'a set-uid shell',
      'usr/local/bin/bash',
      { mode: 0o4755 },
      'critical set-id-program: “/usr/local/bin/bash” runs as root, whoever starts it, and it runs any command',
    ],
    [
      'a set-uid program of one’s own',
      'opt/app/helper',
      { mode: 0o4755 },
      'high set-id-program: “/opt/app/helper” runs as root, whoever starts it; no distribution ships it so',
    ],
    [
      'a usual name at an odd place',
      'tmp/su',
      { mode: 0o4755 },
      'high set-id-program: “/tmp/su” runs as root, whoever starts it; no distribution ships it so',
    ],
    [
      'set-gid',
      'opt/app/helper',
      { mode: 0o2755, gid: 42 },
      'medium set-id-program: “/opt/app/helper” runs as group 42, whoever starts it; no distribution ships it so',
    ],
    ['su', 'usr/bin/su', { mode: 0o4755 }, undefined],
    ['chage', 'usr/bin/chage', { mode: 0o2755, gid: 42 }, undefined],
    ['a mandatory lock, which is no set-gid', 'opt/data', { mode: 0o2644, gid: 42 }, undefined],
    ['a folder with set-gid', 'opt/shared/', { mode: 0o2775, gid: 42 }, undefined],
    [
      'a capability that is root',
      'usr/bin/python3',
      capable(1 << 7),
      'critical capable-program: “/usr/bin/python3” has CAP_SETUID',
    ],
    ['a capability', 'opt/server', capable(1 << 10), 'medium capable-program: “/opt/server” has CAP_NET_BIND_SERVICE'],
    ['ping', 'usr/bin/ping', capable(1 << 13), undefined],
    [
      'ping with more',
      'usr/bin/ping',
      capable((1 << 13) | (1 << 21)),
      'high capable-program: “/usr/bin/ping” has CAP_NET_RAW, CAP_SYS_ADMIN',
    ],
    [
      'capabilities that are none',
      'opt/x',
      { attributes: new Map([['security.capability', 'x']]) },
      'medium capable-program: “/opt/x” has capabilities of a kind that cannot be read',
    ],
    [
      'a writable program',
      'opt/run',
      { mode: 0o777 },
      'high writable-program: everybody can change the program “/opt/run”',
    ],
    [
      'a writable library',
      'opt/x.so.1',
      { mode: 0o666 },
      'high writable-program: everybody can change the program “/opt/x.so.1”',
    ],
    ['writable data', 'opt/data.txt', { mode: 0o666 }, undefined],
    ['a link, whose mode says nothing', 'opt/link', { type: 'symlink', mode: 0o777, target: '/x' }, undefined],
    [
      'a writable folder of programs',
      'usr/local/bin/',
      { mode: 0o777 },
      'high writable-program-folder: everybody can write to “/usr/local/bin”, which is on PATH',
    ],
    [
      'a sticky one',
      'usr/local/bin/',
      { mode: 0o1777 },
      'high writable-program-folder: everybody can write to “/usr/local/bin”, which is on PATH, though nobody can replace what others put there',
    ],
    ['/tmp', 'tmp/', { mode: 0o1777 }, undefined],
    [
      'a job of cron',
      'etc/cron.d/app',
      { mode: 0o644, uid: 1000 },
      'high writable-root-script: uid 1000 can change “/etc/cron.d/app”, which root runs or trusts',
    ],
    [
      'a writable profile',
      'etc/profile',
      { mode: 0o666 },
      'high writable-root-script: everybody can change “/etc/profile”, which root runs or trusts',
    ],
    [
      'a unit that a group can write',
      'etc/systemd/system/a.service',
      { mode: 0o664, gid: 5 },
      'high writable-root-script: group 5 can change “/etc/systemd/system/a.service”, which root runs or trusts',
    ],
    ['cron as it should be', 'etc/cron.d/app', { mode: 0o644 }, undefined],
    [
      'readable hashes',
      'etc/shadow',
      { mode: 0o644 },
      'high readable-password-hashes: every process can read “/etc/shadow”',
    ],
    ['shadow as it should be', 'etc/shadow', { mode: 0o640, gid: 42 }, undefined],
    [
      'a disk',
      'dev/sda',
      { type: 'block-device', mode: 0o660 },
      'high device-node: “/dev/sda” is a block device: a disk of the host',
    ],
    [
      'an odd device',
      'opt/x',
      { type: 'character-device', mode: 0o660 },
      'medium device-node: “/opt/x” is a character device',
    ],
    ['/dev/null', 'dev/null', { type: 'character-device', mode: 0o666 }, undefined],
  ])('judges %s', (_what, path, file, expected) => {
    expect(told(judge({ [path]: file }))).toEqual(expected === undefined ? [] : [expected]);
  });

  it('looks where PATH says, and at what root starts', () => {
    expect(told(judge({ 'srv/tools/': { mode: 0o777 } }, { env: ['PATH=/srv/tools/:/bin'] }))).toHaveLength(1);
    const entry = { 'app/start': { mode: 0o755, uid: 1000 } };
    expect(told(judge(entry, { entrypoint: ['/app/start'] }))).toHaveLength(1);
    expect(told(judge(entry, { entrypoint: ['/app/start'], user: '1000' }))).toEqual([]);
  });

  it('says what to do, and is bounded', () => {
    expect(judge({ 'opt/x': { mode: 0o4755 } })[0]?.fix).toBe(
      'RUN chmod a-s /opt/x, in the instruction that brought it',
    );
    const many = Object.fromEntries(Array.from({ length: 500 }, (_, at) => [`opt/${String(at)}`, { mode: 0o777 }]));
    expect(judge(many)).toHaveLength(100);
  });

  it('judges what a container sees', () => {
    const layers = [{ 'opt/x': { mode: 0o4755 } }, { 'opt/.wh.x': '' }];
    expect(judgeMade({ layers, inspectors: [] }, [judgePrivileges])).toEqual([]);
  });
});

describe('parseFileCapabilities()', () => {
  it('reads all versions', () => {
    expect(parseFileCapabilities(capability(1, 1))).toEqual(['CAP_CHOWN', 'CAP_MAC_OVERRIDE']);
    expect(parseFileCapabilities(capability(0x80, 0, 0x03000000))).toEqual(['CAP_SETUID']);
    expect(parseFileCapabilities(capability(1 << 31, 0, 0x01000000))).toEqual(['CAP_SETFCAP']);
    expect(parseFileCapabilities(capability(0, 1 << 31))).toEqual(['CAP_63']);
  });

  it('takes any bytes', () => {
    const whole = capability(0xffffffff, 0xffffffff);
    for (let length = 0; length < 20; length += 1)
      expect(parseFileCapabilities(whole.slice(0, length))).toBeUndefined();
    for (let byte = 0; byte < 256; byte += 1) {
      const other = parseFileCapabilities(`${whole.slice(0, 3)}${String.fromCharCode(byte)}${whole.slice(4)}`);
      expect(other === undefined).toBe(![1, 2, 3].includes(byte));
    }
  });
});
