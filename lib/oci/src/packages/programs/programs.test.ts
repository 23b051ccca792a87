import { deflateSync } from 'node:zlib';
import { ParseError } from '@ringwall/bytes';
import { describe, expect, it } from 'vitest';
import { makeElf } from '../../../testing/make-elf.ts';
import { makeEntry, ROOMY } from '../../../testing/make-image.ts';
import { parseElf } from './elf.ts';
import { goModules } from './go-build-info.ts';
import { programInspector } from './programs.ts';
import { rustCrates } from './rust-audit.ts';

const MARK = 'x'.repeat(16);
const MODULES = `${MARK}path\texample.org/app\nmod\texample.org/app\t(devel)\t\ndep\tgolang.org/x/net\tv0.7.0\th1:x\ndep\told.org/x\tv1.0.0\n=>\tfork.org/x\tv1.0.1\th1:y\nbuild\t-compiler=gc\n${MARK}`;
const EXPECTED = ['stdlib 1.20.1', 'golang.org/x/net v0.7.0', 'fork.org/x v1.0.1'];
const text = new TextEncoder();

/** The format since Go 1.18. */
function inlineInfo(version: string, modules: string): Uint8Array {
  const length = (value: number): number[] => (value < 128 ? [value] : [(value & 127) | 128, ...length(value >> 7)]);
  const head = [0xff, ...text.encode(' Go buildinf:'), 8, 2, ...Array.from({ length: 16 }, () => 0)];
  return Uint8Array.from([
    ...head,
    ...length(version.length),
    ...text.encode(version),
    ...length(modules.length),
    ...text.encode(modules),
  ]);
}

describe('goModules()', () => {
  it('reads the standard library, the modules, and what took their place', () => {
    expect(named(goModules(parseElf(makeElf({ '.go.buildinfo': inlineInfo('go1.20.1', MODULES) }))))).toEqual(EXPECTED);
  });

  it('follows the pointers of older programs, in either byte order', () => {
    for (const bigEndian of [false, true]) {
      const memory = new Uint8Array(2048);
      const view = new DataView(memory.buffer);
      const put = (at: number, value: string, stringAt: number): void => {
        view.setBigUint64(at, BigInt(stringAt), !bigEndian);
        view.setBigUint64(at + 8, BigInt(value.length), !bigEndian);
        memory.set(text.encode(value), stringAt);
      };
      put(16, 'go1.20.1', 100);
      put(32, MODULES, 200);
      const info = new Uint8Array(32);
      info.set([0xff, ...text.encode(' Go buildinf:'), 8, bigEndian ? 1 : 0]);
      new DataView(info.buffer).setBigUint64(16, 16n, !bigEndian);
      new DataView(info.buffer).setBigUint64(24, 32n, !bigEndian);
      const elf = { is64: true, littleEndian: !bigEndian };
      const found = goModules({
        ...elf,
        section: () => info,
        memory: (address, length) => memory.subarray(address, address + length),
      });
      expect(named(found)).toEqual(EXPECTED);
      expect(() => goModules({ ...elf, section: () => info, memory: () => undefined })).toThrow(ParseError);
    }
  });

  it('has nothing of a program that is none of Go', () => {
    expect(goModules(parseElf(makeElf({ '.text': new Uint8Array(10) })))).toEqual([]);
  });
});

describe('rustCrates()', () => {
  const section = (packages: unknown): Uint8Array => deflateSync(JSON.stringify({ packages }));

  it('reads what is in the program, and from crates.io', () => {
    const packages = [
      { name: 'app', version: '0.1.0', source: 'local', root: true },
      { name: 'serde', version: '1.0.188', source: 'crates.io' },
      { name: 'cc', version: '1.0.83', source: 'crates.io', kind: 'build' },
    ];
    expect(named(rustCrates(parseElf(makeElf({ '.dep-v0': section(packages) })), ROOMY))).toEqual(['serde 1.0.188']);
  });

  it.each([
    ['no zlib', text.encode('[]')],
    ['no JSON', deflateSync('{')],
    ['a bomb', deflateSync(new Uint8Array(20_000_000))],
  ])('refuses %s', (_what, bytes) => {
    expect(() => rustCrates(parseElf(makeElf({ '.dep-v0': bytes })), ROOMY)).toThrow(ParseError);
  });
});

describe('programInspector', () => {
  const program = makeElf({
    '.go.buildinfo': inlineInfo('go1.20.1', MODULES),
    '.dep-v0': deflateSync('{"packages":[]}'),
  });

  it('asks for programs alone, large ones', () => {
    const wants = (path: string, mode: number, bytes: number): number | undefined =>
      programInspector.wants(makeEntry(path, { mode, bytes }));
    expect(wants('usr/bin/app', 0o755, 2e6)).toBe(2e6);
    expect(wants('usr/bin/app', 0o644, 2e6)).toBeUndefined();
    expect(wants('usr/bin/true', 0o755, 2e4)).toBeUndefined();
    expect(wants('usr/lib/libx.so.1', 0o755, 2e6)).toBeUndefined();
  });

  it('says that a program which was not read whole is not known', () => {
    const entry = makeEntry('usr/bin/app', { bytes: program.length + 1 });
    expect(programInspector.inspect(entry, program, ROOMY)).toMatchObject([{ kind: 'unread' }]);
  });

  it('ends well with every changed byte, and with every cut', () => {
    for (let at = 4; at < program.length; at += 1) {
      const changed = Uint8Array.from(program);
      changed[at] = (changed[at] ?? 0) ^ 0xff;
      for (const bytes of [changed, program.subarray(0, at)]) {
        const facts = programInspector.inspect(makeEntry('usr/bin/app', { bytes: bytes.length }), bytes, ROOMY);
        for (const fact of facts) expect(fact).toHaveProperty('kind');
      }
    }
  });
});

function named(facts: readonly { readonly name: string; readonly version: string }[]): readonly string[] {
  return facts.map(({ name, version }) => `${name} ${version}`);
}
