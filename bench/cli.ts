// How long a person waits for the command line itself: whole processes against `node -e 0` in the same run.
import { Instance, BUNDLED_COMMAND } from '@ringwall/testkit';
import { pairs, timeProcess, type Figure } from './measure.ts';

const RUNS = 15;
const GOAL_RATIO = 2.5;

export async function benchCli(): Promise<Figure[]> {
  await using ringwall = await Instance.start();
  const node = [process.execPath, '-e', '0'];
  const figures: Figure[] = [];
  for (const args of [['ls'], ['--help']]) {
    const command = [...BUNDLED_COMMAND, ...args];
    timeProcess(command, ringwall.environment);
    const result = await pairs(
      RUNS,
      () => timeProcess(command, ringwall.environment),
      () => timeProcess(node, ringwall.environment),
    );
    figures.push({
      name: `ringwall ${args.join(' ')} against node -e 0`,
      value: `${result.a.toFixed(0)} ms against ${result.b.toFixed(0)} ms: ratio ${result.ratio.toFixed(2)}`,
      goal: { text: `at most ${GOAL_RATIO}`, met: result.ratio <= GOAL_RATIO },
    });
  }
  return figures;
}
