// `ringwall verify` of the record of an erasure: who says that the keys are gone, and what that does not mean.
import { verifyErasure, type ErasureReport, type SignedErasure } from '@ringwall/evidence';
import { bullet } from '../bullet.ts';
import { printJson, type Invocation } from '../invocation.ts';
import type { Terminal } from '../terminal.ts';

const HEADINGS: Readonly<Record<ErasureReport['outcome'], string>> = {
  proven: 'PROVEN: the broker that you trust has destroyed the keys',
  unanchored: 'CONSISTENT, NOT PROVEN: name the broker that you trust: --broker-key KEY',
  refused: 'REFUSED: this does not show that the keys are gone',
  invalid: 'INVALID: this is not what a broker has signed',
};

export async function verifyErasureRecord(
  invocation: Invocation,
  erasure: SignedErasure,
  brokerKey: Uint8Array | undefined,
): Promise<ErasureReport['outcome']> {
  const report = await verifyErasure(erasure, brokerKey === undefined ? {} : { brokerKey });
  if (invocation.json) printJson(invocation, report);
  else for (const line of render(invocation.out, report)) invocation.out.line(line);
  return report.outcome;
}

function render(out: Terminal, { outcome, reasons, says, cannotSay }: ErasureReport): string[] {
  const holds = outcome === 'proven' || outcome === 'unanchored';
  return [
    out.paint(holds ? (outcome === 'proven' ? 'green' : 'yellow') : 'red', HEADINGS[outcome]),
    ...reasons.flatMap((reason) => bullet(out, out.cross, reason)),
    ...says.flatMap((sentence) => bullet(out, holds ? out.tick : out.sign('·', '-'), sentence)),
    ...(cannotSay.length === 0 ? [] : ['', out.paint('bold', 'It says nothing')]),
    ...cannotSay.flatMap((sentence) => bullet(out, out.bang, sentence)),
  ];
}
