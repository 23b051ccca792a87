// `ringwall disk` on images that real tools have made.
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runTool } from '../../../lib/disk/testing/tools.ts';
import { runCli, type Run } from '../testing/harness.ts';

const TOOLS = ['/usr/sbin/mke2fs', '/usr/bin/qemu-img', '/usr/sbin/sgdisk', '/usr/sbin/mkswap', '/usr/sbin/cryptsetup'];
const missing = TOOLS.filter((tool) => !existsSync(tool));
const lacks = missing.length === 0 ? '' : ` (skipped: needs ${missing.join(', ')})`;
const SECRET = 'aQ9xK2mP7vR4tY8wZ3bN6cJ1dF5gH0sLuE+iOoPq';

describe.skipIf(lacks !== '')(`ringwall disk${lacks}`, () => {
  let dir: string;
  const disk = (...words: string[]): Promise<Run> => runCli(undefined, ['disk', ...words]);
  const at = (name: string): string => join(dir, name);

  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'ringwall-disk-'));
    const { privateKey } = generateKeyPairSync('ed25519');
    const files: Readonly<Record<string, string>> = {
      'etc/os-release': 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
      'etc/hostname': 'web\n',
      'etc/passwd': 'root:x:0:0:root:/root:/bin/bash\n',
      'etc/shadow': 'root:$6$salt$hash:1::\n',
      'root/.ssh/id_ed25519': privateKey.export({ type: 'pkcs8', format: 'pem' }),
      'home/ada/.aws/credentials': `[default]\naws_secret_access_key = ${SECRET}\n`,
    };
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(join(at('tree'), dirname(path)), { recursive: true });
      writeFileSync(join(at('tree'), path), text);
    }
    symlinkSync('../../etc/shadow', join(at('tree'), 'root/out'));
    symlinkSync('hostname', join(at('tree'), 'etc/alias'));
    run('mke2fs', '-q', '-t', 'ext4', '-d', at('tree'), at('ext4.raw'), '32M');
    run('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', '-c', at('ext4.raw'), at('web.qcow2'));
    // The same file system as the second partition of a disk.
    run('truncate', '-s', '48M', at('disk.raw'));
    run('sgdisk', '-n', '1:2048:+4M', '-n', '2:0:+32M', '-c', '2:root', at('disk.raw'));
    run('dd', `if=${at('ext4.raw')}`, `of=${at('disk.raw')}`, 'bs=1M', 'seek=5', 'conv=notrunc', 'status=none');
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  it('inspect says what a thief would have, and no secret', async () => {
    const { code, stdout } = await disk('inspect', at('web.qcow2'), '--all');
    expect(code).toBe(0);
    expect(stdout).toContain('Debian GNU/Linux 12 (bookworm), called web');
    expect(stdout).toContain('may log in: root (sha512crypt)');
    expect(stdout).toContain('/root/.ssh/id_ed25519  1 PKCS #8 private key, without a passphrase');
    expect(stdout).toContain('aws-credentials: ATT&CK T1552.001');
    expect(stdout).toContain('all that matters');
    expect(stdout).not.toContain(SECRET.slice(0, 8));
  });

  it('finds the same through a table of partitions', async () => {
    const report = JSON.parse((await disk('inspect', at('disk.raw'), '--json')).stdout);
    expect(report.table).toBe('gpt');
    expect(report.volumes.map((volume: { holds: string }) => volume.holds)).toEqual(['nothing was written', 'ext4']);
    expect(report.volumes[1].finds.map((find: { rule: string }) => find.rule).toSorted()).toEqual([
      'aws-credentials',
      'shadow',
      'ssh-private-key',
    ]);
    expect(JSON.stringify(report)).not.toContain(SECRET.slice(0, 8));
  });

  it('counts swap in clear as memory, and what is encrypted as nothing', async () => {
    run('truncate', '-s', '20M', at('swap.raw'));
    run('mkswap', '-q', at('swap.raw'));
    expect((await disk('inspect', at('swap.raw'))).stdout).toMatch(
      /much \(40 of 100\)[^]*swap[^]*all of it {2}memory that was paged out/,
    );
    run('truncate', '-s', '20M', at('luks.raw'));
    writeFileSync(at('key'), SECRET);
    run(
      'cryptsetup',
      'luksFormat',
      '-q',
      '--pbkdf',
      'pbkdf2',
      '--pbkdf-force-iterations',
      '1000',
      at('luks.raw'),
      at('key'),
    );
    expect((await disk('inspect', at('luks.raw'))).stdout).toMatch(
      /nothing \(0 of 100\)[^]*encrypted with LUKS2, aes-xts-plain64, 1 key slot \(pbkdf2\)/,
    );
  });

  it('looks inside LUKS with the key, and does not count that as a thief’s', async () => {
    writeFileSync(at('key'), SECRET);
    run(
      ...([
        'qemu-img',
        'convert',
        '-f',
        'raw',
        '-O',
        'luks',
        '--object',
        `secret,id=k,file=${at('key')}`,
        '-o',
        'key-secret=k,iter-time=10',
        at('ext4.raw'),
        at('luks1.img'),
      ] as const),
    );
    expect((await disk('inspect', at('luks1.img'))).stdout).toMatch(/nothing \(0 of 100\)[^]*LUKS1/);
    const { stdout } = await disk('inspect', at('luks1.img'), '--key-file', at('key'));
    expect(stdout).toMatch(/nothing \(0 of 100\)[^]*Volume 1\/1[^]*seen with the key that you gave[^]*called web/);
    expect((await disk('cat', at('luks1.img'), '/etc/hostname', '--key-file', at('key'))).stdout).toBe('web\n');
    writeFileSync(at('wrong'), 'no');
    expect((await disk('cat', at('luks1.img'), '/etc/hostname', '--key-file', at('wrong'))).code).toBe(3);
  });

  it('sees nothing of an image that encrypts itself, and all of it with the key', async () => {
    writeFileSync(at('key'), SECRET);
    const options = 'encrypt.format=luks,encrypt.key-secret=k,encrypt.iter-time=10';
    const secret = ['--object', `secret,id=k,file=${at('key')}`];
    run('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', ...secret, '-o', options, at('ext4.raw'), at('own.qcow2'));
    const closed = await disk('inspect', at('own.qcow2'));
    expect([closed.code, closed.stdout]).toEqual([0, expect.stringMatching(/nothing \(0 of 100\)[^]*LUKS1/)]);
    expect((await disk('cat', at('own.qcow2'), '/etc/hostname')).code).toBe(3);
    const open = await disk('inspect', at('own.qcow2'), '--key-file', at('key'));
    expect(open.stdout).toMatch(/nothing \(0 of 100\)[^]*Volume 1\/1[^]*seen with the key that you gave[^]*called web/);
    expect((await disk('cat', at('own.qcow2'), '/etc/hostname', '--key-file', at('key'))).stdout).toBe('web\n');
  });

  it.each([
    ['own.qcow2', [], 'the image encrypts its disk with LUKS, and no key was given', '--key-file FILE'],
    ['luks1.img', [], 'all of its disk is encrypted with LUKS, and no key was given', '--keep-encrypted'],
    ['own.qcow2', ['--key-file', 'wrong'], 'the key that you gave opens none of its key slots', 'a line feed'],
    ['luks1.img', ['--key-file', 'wrong'], 'the key that you gave opens none of its key slots', 'a line feed'],
  ])('import of %s %j is refused: %s', async (image, options, what, hint) => {
    writeFileSync(at('wrong'), `${SECRET}\n`);
    const words = options.map((word) => (word === 'wrong' ? at(word) : word));
    const { code, stderr } = await disk('import', at(image), '--name', 'x', ...words);
    expect([code, stderr]).toEqual([1, expect.stringContaining(what)]);
    expect(stderr).toContain(hint);
  });

  it('ls, cat and extract show the files', async () => {
    expect((await disk('ls', at('web.qcow2'), '/etc')).stdout).toMatch(/-rw-------|-rw-r--r--.*shadow/);
    expect((await disk('cat', at('disk.raw'), '/etc/alias')).stdout).toBe('web\n');
    const { stdout } = await disk('extract', at('web.qcow2'), '/', '-o', at('out'));
    expect(stdout).toContain('left out root/out: a link to ../../etc/shadow, which leads out');
    expect(readFileSync(at('out/etc/shadow'), 'utf8')).toContain('root:$6$');
  });

  it('diff finds nothing between an image and itself in another format, and a change', async () => {
    expect((await disk('diff', at('web.qcow2'), at('disk.raw'))).stdout).toBe('Both are the same.\n');
    writeFileSync(join(at('tree'), 'etc/hostname'), 'other\n');
    run('mke2fs', '-q', '-t', 'ext4', '-d', at('tree'), at('changed.raw'), '32M');
    expect((await disk('diff', at('web.qcow2'), at('changed.raw'))).stdout).toBe('~ /etc/hostname  contents\n');
  });

  it.each([
    ['a backing file of this host', '/etc/shadow'],
    ['a backing file that leads out', '../../../../etc/shadow'],
    ['a network', 'nbd://127.0.0.1:1/x'],
  ])('opens no %s', async (_, backing) => {
    run('qemu-img', 'create', '-q', '-u', '-f', 'qcow2', '-b', backing, '-F', 'raw', at('trap.qcow2'), '1M');
    const { code, stderr } = await disk('inspect', at('trap.qcow2'));
    expect(code).toBe(1);
    expect(stderr).toContain(backing);
  });

  it('looks into an appliance’s archive, and asks which of its disks', async () => {
    run(
      'qemu-img',
      'convert',
      '-f',
      'raw',
      '-O',
      'vmdk',
      '-o',
      'subformat=streamOptimized',
      at('ext4.raw'),
      at('web.vmdk'),
    );
    run('cp', at('web.vmdk'), at('data.vmdk'));
    const ovf = (names: readonly string[]): string =>
      `<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"><References>${names
        .map((name) => `<File ovf:id="${name}" ovf:href="${name}"/>`)
        .join('')}</References><DiskSection>${names
        .map((name) => `<Disk ovf:diskId="d-${name}" ovf:fileRef="${name}" ovf:capacity="33554432" ovf:format="x"/>`)
        .join('')}</DiskSection></Envelope>`;
    writeFileSync(at('one.ovf'), ovf(['web.vmdk']));
    writeFileSync(at('two.ovf'), ovf(['web.vmdk', 'data.vmdk']));
    run('tar', '--format=ustar', '-C', dir, '-cf', at('one.ova'), 'one.ovf', 'web.vmdk');
    run('tar', '--format=ustar', '-C', dir, '-cf', at('two.ova'), 'two.ovf', 'web.vmdk', 'data.vmdk');
    expect((await disk('cat', at('one.ova'), '/etc/hostname')).stdout).toBe('web\n');
    const { code, stderr } = await disk('inspect', at('two.ova'));
    expect(stderr).toContain('name one with --disk: 1 (web.vmdk), 2 (data.vmdk)');
    expect(code).toBe(3);
    expect((await disk('cat', at('two.ova'), '/etc/hostname', '--disk', '2')).stdout).toBe('web\n');
  });

  it('reads a backing file that lies beside its image under a plain name, and says so', async () => {
    // `-u` takes the name as it is, and looks for no such file.
    run('qemu-img', 'create', '-q', '-u', '-f', 'qcow2', '-b', 'web.qcow2', '-F', 'qcow2', at('overlay.qcow2'), '32M');
    const { stdout } = await disk('inspect', at('overlay.qcow2'));
    expect(stdout).toContain('read along: web.qcow2');
    expect(stdout).toContain('called web');
  });

  it.each([
    [['cat', 'web.qcow2', '/none'], 3, 'there is no "none"'],
    [['cat', 'web.qcow2', '/etc'], 3, 'is a directory, expected a file'],
    [['ls', 'web.qcow2', '--volume', '7'], 3, 'has no volume "7"'],
    [['ls', 'disk.raw', '--volume', '1'], 3, 'holds no file system'],
    [['inspect', 'none.raw'], 3, 'there is no file'],
    [['frob', 'web.qcow2'], 2, 'disk has no "frob"'],
    [['cat', 'web.qcow2'], 2, 'no file inside is named'],
    [['extract', 'web.qcow2'], 2, 'no directory to write to'],
    [['diff', 'web.qcow2'], 2, 'needs two images'],
  ])('%j ends with %i: %s', async ([action = '', image = '', ...rest], expected, words) => {
    const { code, stderr } = await disk(action, at(image), ...rest);
    expect(stderr).toContain(words);
    expect(code).toBe(expected);
  });
});

function run(...argv: string[]): void {
  runTool(argv);
}
