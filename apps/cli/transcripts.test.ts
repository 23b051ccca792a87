// Each file in transcripts/ is what a user types and what is printed, checked as a whole against a FakeApi that the
// commands of one file share. RINGWALL_UPDATE_TRANSCRIPTS=1 writes what is printed now: read the difference.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FAKE_NOW, FakeApi } from './testing/fake-api.ts';
import { runCli } from './testing/harness.ts';

const FOLDER = join(import.meta.dirname, 'transcripts');
const PROMPT = '$ ringwall';

describe('transcripts', () => {
  for (const file of readdirSync(FOLDER)) {
    it(`${file} is what a user sees`, async () => {
      const path = join(FOLDER, file);
      const written = readFileSync(path, 'utf8');
      const seen = await replay(written);
      if (process.env['RINGWALL_UPDATE_TRANSCRIPTS'] === '1') writeFileSync(path, seen);
      expect(seen).toBe(process.env['RINGWALL_UPDATE_TRANSCRIPTS'] === '1' ? seen : written);
    });
  }
});

/** The transcript with the answers of now. */
async function replay(transcript: string): Promise<string> {
  await using api = await FakeApi.start();
  api.snapshots.add('web', 1, new Date(FAKE_NOW - 60_000).toISOString());
  const lines = transcript.split('\n');
  const seen = lines.slice(
    0,
    lines.findIndex((line) => line.startsWith(PROMPT)),
  );
  for (const line of lines.filter((each) => each.startsWith(PROMPT))) {
    const argv = line
      .slice(PROMPT.length)
      .split(' ')
      .filter((word) => word !== '');
    const { all, code } = await runCli(api, argv);
    seen.push(line, ...all.replaceAll(/\n+$/g, '').split('\n'), ...(code === 0 ? [] : [`[exit ${String(code)}]`]), '');
  }
  return `${seen.join('\n').trimEnd()}\n`;
}
