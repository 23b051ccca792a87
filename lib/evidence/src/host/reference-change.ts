// What somebody is about to accept of a host, beside what was accepted before: for the person who decides.
import { short } from '../keys.ts';
import type { HostReference } from './reference.ts';

/** What accepting `fresh` would change, as sentences; all of it where nothing was accepted of this host before. */
export function compareHostReferences(before: HostReference | undefined, fresh: HostReference): readonly string[] {
  const { host, tpm, events, files } = fresh;
  if (before === undefined) {
    const required = files.filter((file) => file.required).length;
    return [
      `${host} was not known before: its TPM’s key is ${short(tpm.akName)}`,
      `${events.length} measurements of its boot and ${files.length} files are expected, ${required} of them must run`,
    ];
  }
  const listed = (reference: HostReference): ReadonlySet<string> =>
    new Set([
      ...reference.events.map(({ pcr, what, digest }) => `${what} (PCR ${pcr}) ${short(digest)}`),
      ...reference.files.map(({ path, sha256 }) => `${path} ${short(sha256)}`),
    ]);
  const [old, now] = [listed(before), listed(fresh)];
  const sentences = [
    ...(before.tpm.akName === tpm.akName ? [] : [`${host} has another TPM: ${short(tpm.akName)}`]),
    ...[...old.difference(now)].map((line) => `no longer expected: ${line}`),
    ...[...now.difference(old)].map((line) => `expected from now on: ${line}`),
  ];
  return sentences.length === 0 ? ['nothing changes but who says so, and until when'] : sentences;
}
