// Judges the name of a container image before anything is pulled: `node examples/judge-name.ts NAME`.
import { compileLookalikes, OciError } from '@ringwall/oci';

const [name = ''] = process.argv.slice(2);
// What this tenant has pulled before, and what may be pulled whatever it looks like.
const lookalikes = compileLookalikes({ history: ['ghcr.io/acme/agent:1'], allowed: ['ghcr.io/acme/*'] });

try {
  const { verdict, reason, intended } = lookalikes.judge(name);
  process.stdout.write(`${verdict}${intended === undefined ? '' : `, meant was perhaps ${intended}`}: ${reason}\n`);
  process.exitCode = verdict === 'block' ? 1 : 0;
} catch (error) {
  if (!(error instanceof OciError)) throw error;
  process.stdout.write(`no name of an image: ${error.message}\n`);
  process.exitCode = 2;
}
