import { describe, expect, test } from 'vitest';
import { compileJail, type JailSpec } from './compile.ts';

const SPEC: JailSpec = {
  uid: 2_000_000_007,
  cgroupDirs: ['/sys/fs/cgroup/ringwall/m-tpm'],
  limits: { openFiles: 64, fileBytes: 1_048_576, tasks: 16 },
  readOnly: [{ source: '/usr/lib/libc.so.6', target: '/lib/libc.so.6' }],
  writable: [{ source: '/run/ringwall/m/tpm', target: '/run' }],
  devices: [{ source: '/dev/null', target: '/dev/null' }],
  seccompFd: 4,
  statusFd: 3,
  lastFd: 6,
  command: ['/usr/bin/swtpm', 'socket', '--tpm2'],
};

describe('compileJail()', () => {
  test('drops root and all capabilities before a namespace is made or a file is bound', () => {
    expect(compileJail(SPEC).join('\n')).toMatchSnapshot();
  });

  test('enters the network that it shares first, while it still may, and has none otherwise', () => {
    const shared = compileJail({ ...SPEC, network: '/run/ringwall/networks/underlay' });
    expect(shared.slice(0, 3)).toEqual(['/usr/bin/nsenter', '--net=/run/ringwall/networks/underlay', '--']);
    expect(shared).toContain('--share-net');
    expect(compileJail(SPEC)).not.toContain('--share-net');
    expect(() => compileJail({ ...SPEC, network: 'eth0' })).toThrow('names no network');
  });

  test('with rights in that network, root makes the jail, and is gone before the program', () => {
    const argv = compileJail({ ...SPEC, network: '/run/ringwall/n', capabilities: ['net_raw'] });
    const inside = argv.indexOf('/usr/bin/setpriv');
    expect(argv.slice(argv.indexOf('/usr/bin/bwrap')).join('\n')).toMatchSnapshot();
    expect(inside).toBeGreaterThan(argv.indexOf('/usr/bin/bwrap'));
    expect(argv.indexOf('/usr/bin/swtpm')).toBeGreaterThan(inside);
    expect(compileJail({ ...SPEC, capabilities: ['net_raw'] })).toEqual(compileJail(SPEC));
  });

  test('lets the jail outlive us', () => {
    expect(compileJail(SPEC)).not.toContain('--die-with-parent');
  });

  test.each([0, 65_534, 1_999_999_999, 2_100_000_000, 2_000_000_000.5, Number.NaN])('refuses uid %s', (uid) => {
    expect(() => compileJail({ ...SPEC, uid })).toThrow('is not one of the leased');
  });

  test.each([
    ['a relative source', { source: 'etc', target: '/etc' }],
    ['an option', { source: '--bind', target: '/etc' }],
    ['the whole root', { source: '/', target: '/x' }],
    ['the root as target', { source: '/etc', target: '/' }],
    ['a way up', { source: '/run/../etc', target: '/etc' }],
    ['a way up at the end', { source: '/run/..', target: '/etc' }],
    ['a dot', { source: '/run/./x', target: '/etc' }],
    ['a doubled slash', { source: '/run//x', target: '/etc' }],
    ['an end of string', { source: '/run/x\0y', target: '/etc' }],
    ['an empty target', { source: '/run/x', target: '' }],
  ])('refuses to bind %s', (_, file) => {
    expect(() => compileJail({ ...SPEC, readOnly: [file] })).toThrow('cannot be bound');
    expect(() => compileJail({ ...SPEC, writable: [file] })).toThrow('cannot be bound');
    expect(() => compileJail({ ...SPEC, devices: [file] })).toThrow('cannot be bound');
  });

  test.each([[[]], [['swtpm']], [['--', 'x']]])('refuses the command %j', (command) => {
    expect(() => compileJail({ ...SPEC, command })).toThrow('absolute path');
  });
});
