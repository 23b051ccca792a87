// What it costs to judge the name of an image against a history of 10,000 names, beside measuring its distance to each of
// them, which is what judging without an index would do.
import { compileLookalikes } from '@ringwall/oci';
import { pairs, type Figure } from './measure.ts';

const HISTORY_NAMES = 10_000;
const JUDGED = [
  'nginx',
  'ngnix',
  'acmecrop/edge-router',
  'registry.acme.internal/team5/service-2k9-apy',
  'pay-ments/api',
];
const ROUNDS = 200;
/** A distance to each takes a hundred times as long. */
const PEER_ROUNDS = 2;
const GOAL_MS = 1;

export async function benchLookalikes(): Promise<Figure[]> {
  const history = Array.from(
    { length: HISTORY_NAMES },
    (_, at) => `registry.acme.internal/team${at % 97}/service-${(at * 7919).toString(36)}-api`,
  );
  const startedAt = performance.now();
  const lookalikes = compileLookalikes({ history });
  const compileMs = performance.now() - startedAt;
  const perName = (rounds: number, work: (name: string) => void) => (): number => {
    const before = performance.now();
    for (let round = 0; round < rounds; round += 1) for (const name of JUDGED) work(name);
    return (performance.now() - before) / (rounds * JUDGED.length);
  };
  const judged = await pairs(
    5,
    perName(ROUNDS, (name) => lookalikes.judge(name)),
    perName(PEER_ROUNDS, (name) => history.forEach((known) => levenshtein(name, known))),
  );
  return [
    {
      name: `a name judged against ${HISTORY_NAMES.toLocaleString('en')} of history, against a distance to each`,
      value: `${judged.a.toFixed(2)} ms against ${judged.b.toFixed(2)} ms: ratio ${judged.ratio.toFixed(2)}`,
      goal: { text: `under ${GOAL_MS} ms`, met: judged.a < GOAL_MS },
    },
    { name: 'compiling that history', value: `${Math.round(compileMs)} ms` },
  ];
}

/** As the textbook has it, in one row. */
function levenshtein(one: string, other: string): number {
  const row = Uint16Array.from({ length: other.length + 1 }, (_, at) => at);
  for (let line = 1; line <= one.length; line += 1) {
    let diagonal = row[0] ?? 0;
    row[0] = line;
    for (let column = 1; column <= other.length; column += 1) {
      const above = row[column] ?? 0;
      const changed = diagonal + (one.charCodeAt(line - 1) === other.charCodeAt(column - 1) ? 0 : 1);
      row[column] = Math.min(above + 1, (row[column - 1] ?? 0) + 1, changed);
      diagonal = above;
    }
  }
  return row[other.length] ?? 0;
}
