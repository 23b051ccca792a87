// `ringwall why`: why a machine's last evidence is as it is, event by event.
import { argumentOf, printJson, type Invocation } from '../invocation.ts';
import { plainText } from '../terminal.ts';

export async function run(invocation: Invocation): Promise<void> {
  const { out, json } = invocation;
  const machine = argumentOf(invocation, 0);
  const why = await invocation.withApi((api) => api.call('machineWhy', { params: { machine } }));
  if (json) {
    printJson(invocation, why);
    return;
  }
  const verdict = out.paint(why.outcome === 'accepted' ? 'green' : 'red', why.outcome);
  out.line(`${plainText(machine)} was ${verdict} on ${why.at}.`);
  if (why.reasons.length > 0) {
    out.line();
    out.line(out.paint('bold', 'What the broker said'));
    for (const reason of why.reasons) out.line(`  ${plainText(reason)}`);
  }
  out.line();
  out.line(out.paint('bold', 'What was measured, against what is expected now'));
  for (const sentence of why.sentences) out.line(`  ${plainText(sentence)}`);
}
