// The modules that a program of Go was linked from, which the linker writes into it: `.go.buildinfo`, in both of its formats.
// Go source, debug/buildinfo and runtime/debug (ParseBuildInfo).
import { ParseError } from '@ringwall/bytes';
import { makePackage, MAX_PACKAGES_OF_A_FILE, type PackageFact } from '../package-fact.ts';
import type { Elf } from './elf.ts';

/** Then the size of a pointer and flags. */
const MAGIC: readonly number[] = [0xff, 0x20, ...new TextEncoder().encode('Go buildinf:')];
const HEADER_BYTES = 32;
const FLAG_BIG_ENDIAN = 1;
/** Since Go 1.18 the texts follow the header, before there were pointers to them. */
const FLAG_INLINE = 2;
/** The list of modules stands between two marks of 16 bytes. */
const MARK_BYTES = 16;
const MAX_TEXT_BYTES: number = 4 * 1024 * 1024;

/** Empty where the program is none of Go. Throws ParseError. */
export function goModules(elf: Elf): readonly PackageFact[] {
  const section = elf.section('.go.buildinfo');
  if (section === undefined || !MAGIC.every((byte, at) => section[at] === byte)) return [];
  const flags = section[15] ?? 0;
  const [version, modules] = (flags & FLAG_INLINE) === 0 ? pointed(elf, section, flags) : inline(section);
  const text = modules.length > 2 * MARK_BYTES ? modules.slice(MARK_BYTES, -MARK_BYTES) : '';
  return packagesOf(version, text);
}

function inline(section: Uint8Array): readonly [string, string] {
  let at = HEADER_BYTES;
  const next = (field: string): string => {
    let [length, shift] = [0, 0];
    for (;;) {
      const byte = section[at];
      if (byte === undefined || shift > 28) throw new ParseError('invalid', field, at, 'has no length');
      at += 1;
      length += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
      shift += 7;
    }
    if (length > MAX_TEXT_BYTES || at + length > section.length)
      throw new ParseError('limit', field, at, `has ${length} bytes`);
    at += length;
    return latin1(section.subarray(at - length, at));
  };
  return [next('version'), next('modules')];
}

function pointed(elf: Elf, section: Uint8Array, flags: number): readonly [string, string] {
  const pointerBytes = section[14] ?? 0;
  if (pointerBytes !== 4 && pointerBytes !== 8) throw new ParseError('invalid', 'pointer size', 14, `${pointerBytes}`);
  const bigEndian = (flags & FLAG_BIG_ENDIAN) !== 0;
  const pointer = (bytes: Uint8Array | undefined): number => {
    if (bytes === undefined) throw new ParseError('invalid', 'pointer', 0, 'leads nowhere');
    let value = 0;
    for (const byte of bigEndian ? bytes : bytes.toReversed()) value = value * 256 + byte;
    return value;
  };
  // Each leads to a Go string: where its bytes are, and how many.
  const text = (at: number): string => {
    const header = pointer(section.subarray(at, at + pointerBytes));
    if (header === 0) return '';
    const start = pointer(elf.memory(header, pointerBytes));
    const length = pointer(elf.memory(header + pointerBytes, pointerBytes));
    if (length > MAX_TEXT_BYTES) throw new ParseError('limit', 'text', at, `has ${length} bytes`);
    return latin1(elf.memory(start, length) ?? new Uint8Array());
  };
  return [text(16), text(16 + pointerBytes)];
}

/** Lines of fields parted by tabs: `mod`, `dep`, and `=>` for what took the place of the one before. */
function packagesOf(goVersion: string, text: string): readonly PackageFact[] {
  const modules: { name: string; version: string }[] = [];
  const [, standard = ''] = /^go(\d\S*)/.exec(goVersion) ?? [];
  if (standard !== '') modules.push({ name: 'stdlib', version: standard });
  for (const line of text.split('\n')) {
    const [what = '', name = '', version = ''] = line.split('\t');
    if (what === '=>') modules.pop();
    // The program's own module is `(devel)` unless it was installed by its version.
    if (what === 'dep' || what === '=>' || (what === 'mod' && version !== '(devel)')) modules.push({ name, version });
    if (modules.length > MAX_PACKAGES_OF_A_FILE) break;
  }
  return modules.map((module) => makePackage('golang', module)).filter((found) => found !== undefined);
}

function latin1(bytes: Uint8Array): string {
  // Marks are no UTF-8, names are: what is beyond ASCII is not compared.
  return new TextDecoder('latin1').decode(bytes);
}
