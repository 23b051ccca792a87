// `ringwall version`: which Ringwall this is, and what it runs on.
import { readBuild } from '../installation.ts';
import { printJson, type Invocation } from '../invocation.ts';

export function run(invocation: Invocation): Promise<void> {
  const { version, id } = readBuild(invocation.installation);
  const node = process.versions.node;
  if (invocation.json) printJson(invocation, { version, build: id, node });
  else invocation.out.line(`ringwall ${version} (build ${id}, Node ${node})`);
  return Promise.resolve();
}
