// Verifies a proof bundle offline, as a tenant's own program would: `node examples/verify-proof.ts FILE BROKER-KEY`.
// The broker's key (128 hexadecimal digits) must have come to you by another way than the proof.
import { readFileSync } from 'node:fs';
import { fromHex } from '@ringwall/bytes';
import { explainProof, parseProof, verifyProof } from '@ringwall/evidence';

const [file = '', brokerKey = ''] = process.argv.slice(2);
const report = await verifyProof(parseProof(readFileSync(file)), { brokerKey: fromHex(brokerKey), now: new Date() });
process.stdout.write(`${explainProof(report).join('\n')}\n`);
process.exitCode = report.outcome === 'proven' ? 0 : 1;
