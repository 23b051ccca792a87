// The elements of an XML document and their attributes, as far as an OVF descriptor needs them: no text, no declarations of
// its own. Entities beyond the five of XML itself cannot be declared, so that none can grow.
import { ParseError } from '@ringwall/bytes';

/** VMware's descriptors nest some ten deep. */
const MAX_DEPTH = 64;

export interface XmlElement {
  /** Without its namespace prefix. */
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  /** Names of the elements around it, from the outermost on. */
  readonly path: readonly string[];
}

const TAG =
  /<(?:!--[\s\S]*?-->|!\[CDATA\[[\s\S]*?\]\]>|\?[\s\S]*?\?>|(!)|\/([^\s>]+)\s*>|([^\s/>!?]+)((?:\s+[^\s=>]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?)>)/y;
const ATTRIBUTE = /\s+([^\s=>]+)\s*=\s*(?:"([^"<]*)"|'([^'<]*)')/g;
const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', apos: "'", quot: '"' };

/** In the order of their opening tags. `offset` in errors counts characters. */
export function* xmlElements(text: string): Generator<XmlElement> {
  const path: string[] = [];
  for (let at = text.indexOf('<'); at !== -1; at = text.indexOf('<', at)) {
    TAG.lastIndex = at;
    const match = TAG.exec(text);
    if (match === null) throw new ParseError('invalid', 'xml', at, 'has a tag that does not end');
    const [whole, declaration, closing, opening, attributes = '', empty] = match;
    if (declaration !== undefined) throw new ParseError('unsupported', 'xml', at, 'declares a document type');
    if (closing !== undefined && path.pop() !== localName(closing)) {
      throw new ParseError('invalid', 'xml', at, `closes ${closing}, which is not open`);
    }
    if (opening !== undefined) {
      yield { name: localName(opening), attributes: readAttributes(attributes, at), path: [...path] };
      if (empty === '') path.push(localName(opening));
      if (path.length > MAX_DEPTH) throw new ParseError('limit', 'xml', at, `nests more than ${MAX_DEPTH} deep`);
    }
    at += whole.length;
  }
  if (path.length > 0) throw new ParseError('truncated', 'xml', text.length, `ends within ${path.at(-1)}`);
}

function readAttributes(text: string, at: number): Map<string, string> {
  const attributes = new Map<string, string>();
  for (const [, name = '', double, single] of text.matchAll(ATTRIBUTE)) {
    attributes.set(localName(name), decoded(double ?? single ?? '', at));
  }
  return attributes;
}

function localName(name: string): string {
  return name.slice(name.indexOf(':') + 1);
}

function decoded(text: string, at: number): string {
  return text.replaceAll(/&([^;\s]*);?/g, (whole, name: string) => {
    const code = /^#x([\da-f]{1,6})$/i.exec(name)?.[1];
    const decimal = /^#(\d{1,7})$/.exec(name)?.[1];
    const point = code === undefined ? Number(decimal) : Number.parseInt(code, 16);
    const character = point <= 0x10ffff ? String.fromCodePoint(point) : ENTITIES[name];
    if (character === undefined) throw new ParseError('unsupported', 'xml', at, `has entity ${whole}`);
    return character;
  });
}
