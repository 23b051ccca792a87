import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { splitDevice } from './devices.ts';
import { parseLoaderList } from './closure.ts';
import { parseInterfaces, parseLimits, parseMountinfo, parseProcCgroup, parseSmaps, parseStatus } from './proc.ts';
import { mountsAt } from './rundir.ts';
import { describeEnd, parseChildPid, parseExitCode } from './start.ts';

const MOUNTINFO = `67 43 0:41 /newroot / ro,nosuid,nodev,relatime - tmpfs tmpfs rw,uid=2000000000
70 67 254:0 /usr/bin/swtpm /usr/bin/swtpm ro,nosuid,nodev,relatime shared:1 - ext4 /dev/vda rw
71 67 0:39 / /run\\040dir rw,nosuid,nodev,noexec - tmpfs ringwall rw,size=1024k
72 71 0:39 / /run\\040dir rw,nosuid,nodev,noexec - tmpfs ringwall rw,size=1024k`;

describe('parsers of /proc', () => {
  test('parseStatus() reads ids, capabilities and filters', () => {
    const status = parseStatus(
      'Name:\tUid: 0 0 0 0\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nGroups:\t9 10 \nCapInh:\t0000000000000000\nCapPrm:\t0000000000000001\n' +
        'CapEff:\t0\nCapBnd:\t000001ffffffffff\nCapAmb:\t0\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t3\n',
    );
    expect(status).toEqual({
      uids: [1, 2, 3, 4],
      gids: [5, 6, 7, 8],
      groups: [9, 10],
      capabilities: { inh: '0000000000000000', prm: '0000000000000001', eff: '0', bnd: '000001ffffffffff', amb: '0' },
      noNewPrivs: 1,
      seccomp: 2,
      seccompFilters: 3,
    });
  });

  test('parseStatus() of an older kernel says that it does not know, never that it holds', () => {
    expect(parseStatus('Uid:\t1\t1\t1\t1\n')).toMatchObject({
      noNewPrivs: Number.NaN,
      seccomp: Number.NaN,
      seccompFilters: Number.NaN,
    });
  });

  test('parseLimits() reads soft and hard', () => {
    const limits = parseLimits(
      'Limit                     Soft Limit           Hard Limit           Units     \nMax core file size        1                    unlimited            bytes     \n',
    );
    expect(limits.get('Max core file size')).toEqual({ soft: 1, hard: Number.POSITIVE_INFINITY });
  });

  test('parseMountinfo() reads escapes, and lines with and without optional fields', () => {
    const mounts = parseMountinfo(MOUNTINFO);
    expect(mounts.map(({ point, type }) => `${point} ${type}`)).toEqual([
      '/ tmpfs',
      '/usr/bin/swtpm ext4',
      '/run dir tmpfs',
      '/run dir tmpfs',
    ]);
    expect(mounts[1]).toMatchObject({
      device: '254:0',
      root: '/usr/bin/swtpm',
      options: ['ro', 'nosuid', 'nodev', 'relatime'],
    });
    expect(mountsAt(MOUNTINFO, '/run dir')).toBe(2);
    expect(mountsAt(MOUNTINFO, '/run')).toBe(0);
  });

  test('parseProcCgroup() reads joined controllers and v2', () => {
    const paths = parseProcCgroup('4:cpu,cpuacct:/a\n3:memory:/b:c\n1:name=systemd:/\n0::/d\n');
    expect([paths.get('cpu'), paths.get('cpuacct'), paths.get('memory'), paths.get('')]).toEqual([
      '/a',
      '/a',
      '/b:c',
      '/d',
    ]);
  });

  test('parseSmaps() tells guest memory from files', () => {
    const mappings = parseSmaps(
      '7f0000000000-7f0020000000 rw-s 00000000 00:2a 2 /memory\nSize:             524288 kB\nVmFlags: rd wr mr mw me dd ac sd \n' +
        '7f0030000000-7f0030001000 r--p 00000000 fe:00 42 /usr/lib/x\nSize:                  4 kB\nVmFlags: rd mr \n',
    );
    expect(mappings).toEqual([
      { sizeKiB: 524_288, file: '/memory', flags: ['rd', 'wr', 'mr', 'mw', 'me', 'dd', 'ac', 'sd'] },
      { sizeKiB: 4, file: '/usr/lib/x', flags: ['rd', 'mr'] },
    ]);
  });

  test('parseInterfaces() names them', () => {
    expect(parseInterfaces('Inter-|   Receive\n face |bytes\n    lo:       0\n  eth0: 12 3\n')).toEqual(['lo', 'eth0']);
  });

  test('none of them throws on arbitrary text', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        for (const parse of [parseStatus, parseLimits, parseMountinfo, parseProcCgroup, parseSmaps, parseInterfaces])
          expect(() => parse(text)).not.toThrow();
      }),
    );
  });
});

test('parseLoaderList() takes paths, and refuses what is not found', () => {
  const text =
    '\tlinux-vdso.so.1 (0x00007ffe)\n\tlibc.so.6 => /lib/libc.so.6 (0x00007f)\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n';
  expect(parseLoaderList(text)).toEqual(['/lib/libc.so.6', '/lib64/ld-linux-x86-64.so.2']);
  expect(() => parseLoaderList('\tlibfoo.so.1 => not found\n')).toThrow('the library libfoo.so.1 is missing');
});

test.each([
  [0x1_03, 1, 3],
  [(10 << 8) | 232, 10, 232],
  [Number((0x12345n & 0xfffn) << 8n) + 5, 0x345, 5],
])('splitDevice(%i) is %i:%i', (rdev, major, minor) => {
  expect(splitDevice(rdev)).toEqual({ major, minor });
});

describe('what bwrap and a program leave', () => {
  test('the pid of the child, once it is whole', () => {
    expect(parseChildPid('{ "child-pid": 27483, "cgroup-namespace": 1 }\n')).toBe(27_483);
    for (const text of ['', '{ "child-pid": ', '{ "child-pid": 0 }', 'child-pid 4'])
      expect(parseChildPid(text)).toBeUndefined();
  });

  test('its end, in words', () => {
    expect(describeEnd(parseExitCode('{ "child-pid": 5 }\n{ "exit-code": 159 }\n'), '')).toBe(
      'killed by its system call filter',
    );
    expect(describeEnd(1, 'one\n\ntwo\u001b[31m\n')).toBe('status 1: one | two?[31m');
    expect(describeEnd(137, '')).toBe('signal 9');
    expect(describeEnd(undefined, '')).toBe('it said nothing');
  });
});
