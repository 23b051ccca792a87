// The crates that a program of Rust was built from, where it was built by cargo-auditable, as Debian, Alpine and NixOS do: JSON in
// zlib in the section `.dep-v0`. https://github.com/rust-secure-code/cargo-auditable/blob/master/PARSING.md.
import { inflateZlib } from '../../archives/inflate.ts';
import { ParseError } from '@ringwall/bytes';
import { LARGE_FILE_BYTES } from '../../inspection/inspection-budget.ts';
import type { InspectorRoom } from '../../inspection/inspector.ts';
import { listOf, recordOf, textAt } from '../../json-value.ts';
import { makePackage, MAX_PACKAGES_OF_A_FILE, type PackageFact } from '../package-fact.ts';
import type { Elf } from './elf.ts';

/** As that document recommends. */
const MAX_JSON_BYTES: number = 8 * 1024 * 1024;
/** Of a byte of it, once it is objects. */
const JSON_WEIGHT = 10;

/** Empty where the program has no such section. Throws ParseError, and what `room` throws. */
export function rustCrates(elf: Elf, room: InspectorRoom): readonly PackageFact[] {
  const section = elf.section('.dep-v0');
  if (section === undefined) return [];
  const json = inflateZlib(section, MAX_JSON_BYTES);
  room.unpack(json.length);
  if (json.length * JSON_WEIGHT > LARGE_FILE_BYTES) room.holdLarge();
  const document = parse(new TextDecoder().decode(json));
  return (
    listOf(recordOf(document)?.['packages'])
      .slice(0, MAX_PACKAGES_OF_A_FILE)
      .map((each) => recordOf(each))
      // What only the build ran is not in the program; what comes from elsewhere than crates.io has no advisories there.
      .filter((each) => textAt(each, 'kind') !== 'build' && textAt(each, 'source') === 'crates.io')
      .map((each) => makePackage('cargo', { name: textAt(each, 'name'), version: textAt(each, 'version') }))
      .filter((found) => found !== undefined)
  );
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new ParseError('invalid', '.dep-v0', 0, 'is no JSON');
  }
}
