// Summaries in compressed blocks of some dozen: alone each is too short to compress, and who asks for one unpacks its block. A text
// is found by its block and its place in it; 0 is the empty one.
import type { DatabaseSync } from 'node:sqlite';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { BoundedMap } from '@ringwall/bytes';

/** With 256 the texts took a tenth less, and the findings of an image four times as long to unpack. */
const TEXTS_OF_A_BLOCK = 64;
/** Summaries of 300 characters, which may have four bytes each, in JSON. */
const MAX_BLOCK_BYTES: number = 256 * 1024;
/** Of blocks that were just read: findings of one package lie beside each other. */
const KEPT_BLOCKS = 128;

export interface TextWriter {
  readonly add: (text: string) => number;
  readonly finish: () => void;
}

export function openTextWriter(database: DatabaseSync): TextWriter {
  const last = database.prepare('SELECT coalesce(max(block), 0) AS block FROM texts').get();
  const insert = database.prepare('INSERT INTO texts (block, data) VALUES (?, ?)');
  let block = Number(last?.['block']) + 1;
  let texts: string[] = [];
  const finish = (): void => {
    if (texts.length > 0) insert.run(block, zstdCompressSync(JSON.stringify(texts)));
    texts = [];
    block += 1;
  };
  return {
    add: (text) => {
      if (text === '') return 0;
      if (texts.length === TEXTS_OF_A_BLOCK) finish();
      texts.push(text);
      return block * TEXTS_OF_A_BLOCK + texts.length - 1;
    },
    finish,
  };
}

export function openTextReader(database: DatabaseSync): (text: number) => string {
  const select = database.prepare('SELECT data FROM texts WHERE block = ?');
  const kept = new BoundedMap<number, readonly unknown[]>(KEPT_BLOCKS);
  return (text) => {
    if (text === 0) return '';
    const block = Math.floor(text / TEXTS_OF_A_BLOCK);
    const texts = kept.get(block) ?? readBlock(select.get(block)?.['data']);
    kept.set(block, texts);
    const found = texts[text % TEXTS_OF_A_BLOCK];
    return typeof found === 'string' ? found : '';
  };
}

/** Texts of advisories that were replaced stay in their blocks; where these are more than what is used, all are written anew. */
export function compactTexts(database: DatabaseSync): void {
  const count = (sql: string): number => Number(database.prepare(sql).get()?.['count']);
  const used = count('SELECT count(*) AS count FROM advisories WHERE text <> 0');
  const blocks = count('SELECT count(*) AS count FROM texts');
  if (blocks <= 1 || used * 2 > blocks * TEXTS_OF_A_BLOCK) return;
  const read = openTextReader(database);
  const rows = database.prepare('SELECT id, text FROM advisories WHERE text <> 0 ORDER BY text').all();
  const texts = rows.map((row) => ({ id: Number(row['id']), text: read(Number(row['text'])) }));
  database.exec('DELETE FROM texts');
  const writer = openTextWriter(database);
  const update = database.prepare('UPDATE advisories SET text = ? WHERE id = ?');
  for (const { id, text } of texts) update.run(writer.add(text), id);
  writer.finish();
}

function readBlock(data: unknown): readonly unknown[] {
  if (!(data instanceof Uint8Array)) return [];
  const texts: unknown = JSON.parse(zstdDecompressSync(data, { maxOutputLength: MAX_BLOCK_BYTES }).toString('utf8'));
  return Array.isArray(texts) ? texts : [];
}
