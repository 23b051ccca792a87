import { readdirSync } from 'node:fs';
import { basename } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fixture, FIXTURES } from '../../testing/fixtures.ts';
import { nodeCodecs } from '../node/codecs.ts';
import { contentsOf } from '../open-disk.ts';
import { memorySource } from '../source/byte-source.ts';
import { encodeFileName } from './file-name.ts';
import type { FileNode } from './file-system.ts';

const NAMES = readdirSync(FIXTURES)
  .map((name) => basename(name, '.gz'))
  .filter((name) => !name.startsWith('image-'));

describe.each(NAMES)('the sizes of %s', (name) => {
  test('are those of contents and targets, and 0 for what has neither', () => {
    const contents = contentsOf(memorySource(fixture(name)), nodeCodecs);
    if (contents.kind !== 'file-system') throw new Error(`${name} is ${contents.kind}`);
    const nodes = nodesBelow(contents.fileSystem.root);
    expect(nodes.length).toBeGreaterThan(20);
    for (const node of nodes) expect([node.kind, node.size]).toEqual([node.kind, lengthOf(node)]);
  });
});

function nodesBelow(directory: FileNode): FileNode[] {
  const nodes = [...directory.entries()].map((entry) => entry.node());
  return [directory, ...nodes.flatMap((node) => (node.kind === 'directory' ? nodesBelow(node) : [node]))];
}

function lengthOf(node: FileNode): number {
  if (node.kind === 'file') return node.open().size;
  return node.kind === 'symlink' ? encodeFileName(node.target()).length : 0;
}
