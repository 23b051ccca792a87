// `ringwall image`: judges container images before they run, without a service: the name of one, the Dockerfile that builds it,
// or what is in it.
import { EXIT_CODES } from '../exit-codes.ts';
import { reading, usage } from '../image/given.ts';
import { printJson, type Invocation } from '../invocation.ts';

type Action = (invocation: Invocation, subject: string, more: readonly string[]) => number | Promise<number>;

const ACTIONS: Readonly<Record<string, { readonly run: Action; readonly example: string }>> = {
  judge: { run: judge, example: 'docker.io/library/nginx' },
  scan: { run: scan, example: 'debian.tar' },
  remember: { run: remember, example: 'debian.tar --name debian:12.8' },
  pull: { run: pull, example: 'debian:12 -o debian' },
  sbom: { run: sbom, example: 'debian.tar' },
  tree: { run: tree, example: 'localhost:5000' },
};
/** Of several subjects, the others of only one. */
const OF_SEVERAL = 'tree';

export async function run(invocation: Invocation): Promise<number> {
  const [name = '', subject, ...more] = invocation.arguments;
  const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
  if (action === undefined) {
    throw usage(`image has no ${JSON.stringify(name)}`, `it has ${Object.keys(ACTIONS).join(', ')}`);
  }
  if (subject === undefined) {
    throw usage(`image ${name} needs something to judge`, `as in: ${invocation.self} image ${name} ${action.example}`);
  }
  if (more.length > 0 && name !== OF_SEVERAL)
    throw usage(`image ${name} judges one at a time`, `as in: ${invocation.self} image ${name} ${action.example}`);
  return await action.run(invocation, subject, more);
}

async function judge(invocation: Invocation, name: string): Promise<number> {
  const { out, json } = invocation;
  const policy = invocation.values.get('signatures');
  if (policy !== undefined) {
    const { judgeSigned } = await import('../image/judge-signed.ts');
    return await judgeSigned(invocation, name, policy);
  }
  const { compileNames } = await import('../image/names.ts');
  const { renderName } = await import('../image/render-name.ts');
  const verdict = reading(name, () => compileNames(invocation).judge(name));
  if (json) printJson(invocation, { name, ...verdict });
  else for (const line of renderName(name, verdict, out)) out.line(line);
  return verdict.verdict === 'allow' ? EXIT_CODES.ok.code : EXIT_CODES.refused.code;
}

async function scan(invocation: Invocation, subject: string): Promise<number> {
  const { scanSubject } = await import('../image/scan.ts');
  return await scanSubject(invocation, subject);
}

async function pull(invocation: Invocation, name: string): Promise<number> {
  const { pullImage } = await import('../image/pull.ts');
  return await pullImage(invocation, name);
}

async function sbom(invocation: Invocation, subject: string): Promise<number> {
  const { printSbom } = await import('../image/print-sbom.ts');
  return await printSbom(invocation, subject);
}

async function remember(invocation: Invocation, subject: string): Promise<number> {
  const { rememberImage } = await import('../image/catalogue.ts');
  return await rememberImage(invocation, subject);
}

async function tree(invocation: Invocation, subject: string, more: readonly string[]): Promise<number> {
  const { showTree } = await import('../image/tree.ts');
  return await showTree(invocation, [subject, ...more]);
}
