import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { option, qemuArgv, type VmmArguments } from './argv.ts';
import { probeArgv } from './probe.ts';

const VM: VmmArguments = {
  machine: 'mch_aaaaaaaaaaaaaaaaaaaa',
  accelerator: 'tcg',
  cpus: 2,
  memoryMiB: 512,
  direct: {
    commandLine: 'console=ttyS0 quiet ringwall.image=hello,-serial ringwall.verity=00',
    systemFd: 5,
    data: { fd: 6, bytes: 64 * 2 ** 20 },
  },
  tpm: { channel: 'control', fd: 7 },
};
/** One that boots what is on its disk. */
const { direct: _, ...OWN_DISK } = VM;

/** One option a line. */
function lines(argv: readonly string[]): string {
  return argv.join('\n').replaceAll(/\n(?!-)/g, ' ');
}

describe('qemuArgv()', () => {
  test('builds a machine under TCG', () => expect(lines(qemuArgv(VM))).toMatchSnapshot());
  test('builds a machine under KVM', () => expect(lines(qemuArgv({ ...VM, accelerator: 'kvm' }))).toMatchSnapshot());
  test('builds a machine with a disk that QEMU encrypts', () => {
    const plain = lines(qemuArgv(VM)).split('\n');
    const encrypted = lines(qemuArgv({ ...VM, encrypted: [{ serial: 'a2b3', fd: 8 }] })).split('\n');
    expect(encrypted.filter((line) => !plain.includes(line)).join('\n')).toMatchSnapshot();
  });

  test.each(['', 'a,b', 'A', '../x', 'x'.repeat(21)])('takes no serial number %j', (serial) => {
    expect(() => qemuArgv({ ...VM, encrypted: [{ serial, fd: 8 }] })).toThrow('serial number');
  });

  test('builds a machine that boots an encrypted disk, before a witness', () => {
    const disk = { serial: 'a2b3', fd: 8 };
    const own = { ...OWN_DISK, encrypted: [disk, { ...disk, fd: 9 }], tpm: { channel: 'commands', fd: 7 } } as const;
    expect(lines(qemuArgv(own))).toMatchSnapshot();
  });
  test('gives a machine with a cable a way to the network, and no card', () => {
    const plain = lines(qemuArgv(VM)).split('\n');
    const cabled = lines(qemuArgv({ ...VM, tapFd: 8 })).split('\n');
    expect(cabled.filter((line) => !plain.includes(line))).toEqual(['-netdev tap,id=card,fd=8']);
  });
  test('loads a state that was saved with a card into one with the same card', () => {
    const waiting = lines(qemuArgv({ ...VM, tapFd: 8, waiting: true })).split('\n');
    const savedCard = '02:00:5e:00:00:01';
    const carded = lines(qemuArgv({ ...VM, tapFd: 8, waiting: true, savedCard })).split('\n');
    expect(carded.filter((line) => !waiting.includes(line))).toEqual([
      '-device virtio-net-pci,id=card0,bus=cards,addr=0x0,netdev=card,mac=02:00:5e:00:00:01,romfile=,disable-legacy=on,disable-modern=off',
    ]);
  });
  test('maps a template privately, by a descriptor, and nothing of it shared', () => {
    const own = lines(qemuArgv({ ...VM, waiting: true })).split('\n');
    const templated = lines(qemuArgv({ ...VM, waiting: true, templateFd: 9 })).split('\n');
    expect(templated.filter((line) => !own.includes(line))).toEqual([
      '-object memory-backend-file,id=memory,size=512M,mem-path=/fd/9,share=off,align=2M',
    ]);
  });
  test('builds a probe guest', () => expect(lines(probeArgv('kvm'))).toMatchSnapshot());

  test('hands the kernel command line over as one argument, whatever is in it', () => {
    fc.assert(
      fc.property(fc.string(), (commandLine) => {
        const argv = qemuArgv({ ...VM, direct: { commandLine, systemFd: 5, data: { fd: 6, bytes: 0 } } });
        expect(argv[argv.indexOf('-append') + 1]).toBe(commandLine);
        expect(argv).toHaveLength(qemuArgv(VM).length);
      }),
    );
  });

  test('boots nothing where a state is to be loaded', () => {
    const waiting = qemuArgv({ ...VM, waiting: true });
    expect(waiting.filter((word) => !qemuArgv(VM).includes(word))).toEqual(['-S', '-incoming', 'defer']);
  });

  test('gives no network, no shared folder, no USB, no display', () => {
    expect(qemuArgv(VM).join(' ')).not.toMatch(/netdev|-nic|virtio-net|9p|virtiofs|usb-|vnc|spice|,path=\/(?!run\/)/);
  });
});

describe('option()', () => {
  test('doubles commas, so that a value never becomes an option', () => {
    expect(option('socket', { id: 'x', path: '/a,server=off' })).toBe('socket,id=x,path=/a,,server=off');
  });

  test('round-trips through QEMU’s reading of it', () => {
    const key = fc.stringMatching(/^[a-z][a-z-]{0,8}$/).filter((name) => name !== '__proto__');
    const value = fc.string().filter((text) => !/[\0\n]/.test(text));
    fc.assert(
      fc.property(fc.dictionary(key, value), (values) => {
        expect(readAsQemu(option('head', values))).toEqual({ ...values });
      }),
    );
  });

  test.each(['a\nb', 'a\0b'])('refuses %j', (text) => {
    expect(() => option('', { path: text })).toThrow(RangeError);
  });
});

/** util/qemu-option.c, get_opt_value(): a value ends at a comma that no other comma follows. */
function readAsQemu(text: string): Record<string, string> {
  const values: Record<string, string> = {};
  const [, ...pairs] = text.replaceAll(',,', '\u0001').split(',');
  for (const pair of pairs) {
    const at = pair.indexOf('=');
    values[pair.slice(0, at)] = pair.slice(at + 1).replaceAll('\u0001', ',');
  }
  return values;
}
