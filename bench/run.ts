// `npm run bench [NAME…]`: runs the benchmarks and prints their figures as lines for RESULTS.md.
import { benchAdvisories } from './advisories.ts';
import { benchBoot } from './boot.ts';
import { benchBroker } from './broker.ts';
import { benchCli } from './cli.ts';
import { benchDisk } from './disk.ts';
import { benchIdle } from './idle.ts';
import { benchIma } from './ima.ts';
import { benchLookalikes } from './lookalikes.ts';
import { describeMachine, type Figure } from './measure.ts';
import { benchNetwork } from './network.ts';
import { benchScan } from './scan.ts';
import { benchSeal } from './seal.ts';
import { benchSnapshot } from './snapshot.ts';
import { benchTemplate } from './template.ts';
import { benchVerify } from './verify.ts';

const BENCHES: Readonly<Record<string, () => Promise<Figure[]>>> = {
  cli: benchCli,
  advisories: benchAdvisories,
  boot: benchBoot,
  disk: benchDisk,
  idle: benchIdle,
  ima: benchIma,
  lookalikes: benchLookalikes,
  network: benchNetwork,
  scan: benchScan,
  seal: benchSeal,
  snapshot: benchSnapshot,
  template: benchTemplate,
  verify: benchVerify,
  broker: benchBroker,
};

const asked = process.argv.slice(2);
const names = asked.length > 0 ? asked : Object.keys(BENCHES);
const date = new Date().toISOString().slice(0, 10);
for (const name of names) {
  const bench = BENCHES[name];
  if (bench === undefined) throw new Error(`no benchmark ${name}; there are ${Object.keys(BENCHES).join(', ')}`);
  for (const figure of await bench()) {
    const goal = figure.goal === undefined ? '' : ` | ${figure.goal.text} | ${figure.goal.met ? 'met' : 'MISSED'}`;
    process.stdout.write(`| ${date} | ${describeMachine()} | ${figure.name} | ${figure.value}${goal}\n`);
  }
}
