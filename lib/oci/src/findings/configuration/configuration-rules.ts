// Judges the configuration of an image and the instructions that it was built of: section 4 of the CIS Docker Benchmark as
// far as a finished image shows it. What RUN ran is judged by the rules for Dockerfiles.
import { judgeDockerfile } from '../../dockerfile/rules/judge-dockerfile.ts';
import type { Finding } from '../../inspection/finding.ts';
import type { ImageConfig, InspectedImage } from '../../inspection/inspected-image.ts';
import { OciError } from '../../oci-error.ts';
import type { ShellList } from '../../shell/nodes.ts';
import { parseShell } from '../../shell/parse.ts';
import { found, type FindingRule } from '../finding-rule.ts';
import { isAssignedSecret } from '../secrets/assigned-secrets.ts';
import { readHistory, type HistoryInstruction } from './history.ts';
import { passwordsSet } from './passwords-set.ts';

const ROOT: FindingRule = {
  id: 'root-user',
  severity: 'medium',
  title: 'containers of the image run as root',
  reason: 'whoever takes over the process is root in the container, one fault of the kernel away from the host',
  fix: 'RUN useradd --system --no-log-init app and USER app, as the last instructions',
  references: ['CWE-250', 'CIS Docker 4.1'],
};

const NO_HEALTHCHECK: FindingRule = {
  id: 'no-health-check',
  severity: 'low',
  title: 'the image does not say how its health is checked',
  reason: 'a process that runs and answers nothing counts as healthy',
  fix: 'HEALTHCHECK --interval=30s CMD ["/app", "health"]; where an orchestrator has its own probes, ignore this finding',
  references: ['https://docs.docker.com/reference/dockerfile/#healthcheck', 'CIS Docker 4.6'],
};

const SSH_PORT: FindingRule = {
  id: 'exposed-ssh-port',
  severity: 'medium',
  title: 'the image offers a port for logins',
  reason: 'a way in beside the application, which is tried with usual passwords all day long',
  fix: 'leave EXPOSE 22 and the server out; `docker exec` and its like need none',
  references: ['CWE-1188', 'ATT&CK T1021.004'],
};

const FLOATING_BASE: FindingRule = {
  id: 'floating-base',
  severity: 'low',
  title: 'the image was built on a base without a fixed version',
  reason: 'the next build may have another base, and nobody can tell which one this has',
  fix: 'FROM NAME:VERSION@sha256:…',
  references: ['CWE-1357', 'CIS Docker 4.7'],
};

const PASSWORD: FindingRule = {
  id: 'password-in-history',
  severity: 'high',
  title: 'the build set a password, and the history tells how',
  reason: 'the history is part of the image: whoever can pull it reads the password, or its hash',
  fix: 'set no password in a build; let people in by key, at run time',
  references: ['CWE-798', 'CWE-532', 'ATT&CK T1552', 'CIS Docker 4.10'],
};

const BUILD_ARGUMENT: FindingRule = {
  id: 'secret-build-argument',
  severity: 'high',
  title: 'the build was given a secret as an argument',
  reason: 'the history keeps arguments with their values, readable for whoever can pull the image',
  fix: 'take it back where it was issued; RUN --mount=type=secret,id=NAME …',
  references: ['CWE-532', 'CWE-798', 'CIS Docker 4.10'],
};

const REMOTE_ADD: FindingRule = {
  id: 'remote-add',
  severity: 'medium',
  title: 'the build fetched a file without a checksum',
  reason: 'whoever answers for that address, or stands on the way, decides what is in the image',
  fix: 'ADD --checksum=sha256:… https://…',
  references: ['CWE-494', 'CIS Docker 4.9'],
};

const UNREAD: FindingRule = {
  id: 'unread-code',
  severity: 'high',
  title: 'the build fetched code and ran it unread',
  reason: 'whoever answered for that address, or stood on the way, ran code as root in the image',
  fix: 'ADD --checksum=sha256:… https://example.com/install.sh /tmp/ and RUN sh /tmp/install.sh',
  references: ['CWE-494', 'ATT&CK T1195.002', 'CIS Docker 4.11'],
};

const UNVERIFIED: FindingRule = {
  id: 'unverified-packages',
  severity: 'high',
  title: 'the build installed packages without looking at their signatures',
  reason: 'the signature is what tells a package from what somebody put in its place',
  fix: 'leave the option out and add the key of the repository',
  references: ['CWE-347', 'CIS Docker 4.11'],
};

const UNCHECKED: FindingRule = {
  id: 'unchecked-certificates',
  severity: 'high',
  title: 'the build fetched something without checking certificates',
  reason: 'whoever stood on the way decided what was fetched',
  fix: 'curl --fail https://…',
  references: ['CWE-295', 'CIS Docker 4.11'],
};

const UNREADABLE: FindingRule = {
  id: 'unreadable-instruction',
  severity: 'low',
  title: 'an instruction of the history cannot be read',
  reason: 'what it did was not judged: no other rule has seen it',
  fix: 'COPY the script and RUN it by its name',
  references: ['CWE-1059'],
};

export const CONFIGURATION_RULES: readonly FindingRule[] = [
  ROOT,
  NO_HEALTHCHECK,
  SSH_PORT,
  FLOATING_BASE,
  PASSWORD,
  BUILD_ARGUMENT,
  REMOTE_ADD,
  UNREAD,
  UNVERIFIED,
  UNCHECKED,
  UNREADABLE,
];

/** What the rules for Dockerfiles say of a RUN, where it is still true of the finished image. */
const OF_DOCKERFILE: ReadonlyMap<string, FindingRule> = new Map([
  ['RW2001', UNREAD],
  ['RW2002', PASSWORD],
  ['RW2005', UNVERIFIED],
  ['RW2009', UNCHECKED],
]);

export function judgeConfiguration({ config }: InspectedImage): readonly Finding[] {
  return [...judgeSettings(config), ...readHistory(config).flatMap((instruction) => judgeInstruction(instruction))];
}

function* judgeSettings({ user, hasHealthcheck, exposedPorts, labels }: ImageConfig): Iterable<Finding> {
  if (/^(?:root|0+)?(?::.*)?$/.test(user)) {
    const how = user === '' ? 'no user is set' : `the user is “${user}”`;
    yield found(ROOT, `containers run as root: ${how}`, {});
  }
  if (!hasHealthcheck) yield found(NO_HEALTHCHECK, 'nothing says how the health of a container is checked', {});
  for (const port of exposedPorts.filter((each) => /^(?:22|2222)(?:\/tcp)?$/.test(each))) {
    yield found(SSH_PORT, `port ${port}, of SSH, is offered`, {}, { subject: port });
  }
  const base = labels['org.opencontainers.image.base.name'];
  if (base !== undefined && /^[^@]*(?:^|\/)[^/@:]+(?::latest)?$/.test(base)) {
    yield found(FLOATING_BASE, `built on “${base.slice(0, MAX_TOLD_CHARACTERS)}”, whatever that was that day`, {});
  }
}

/** Of names that the image chose. */
const MAX_TOLD_CHARACTERS = 200;

function judgeInstruction(instruction: HistoryInstruction): readonly Finding[] {
  const { keyword, text, layer, buildArguments } = instruction;
  const secrets = buildArguments
    .filter(({ name, value }) => isAssignedSecret(name, value))
    .map(({ name }) =>
      found(
        BUILD_ARGUMENT,
        `the value of the build argument ${name} looks like a secret`,
        { layer },
        { subject: name },
      ),
    );
  if (keyword === 'ADD') {
    const address = /(?:^|\s)(https?:\/\/[^\s/@]{1,200})\S*/.exec(text)?.[1];
    if (address === undefined || text.includes('--checksum=')) return [];
    return [found(REMOTE_ADD, `a file from ${address} was added as it came`, { layer }, { subject: address })];
  }
  if (keyword !== 'RUN' || text === '') return secrets;
  const script = readScript(text);
  const passwords = (script === undefined ? [] : passwordsSet(script)).map(({ account, isUsual }) =>
    found(
      PASSWORD,
      `a command gave the account “${account}” ${isUsual ? 'a usual password' : 'a password'}, which stands in the history`,
      { layer },
      { severity: isUsual ? 'critical' : 'high', subject: account },
    ),
  );
  return [...secrets, ...passwords, ...judgeRun(instruction, script === undefined, passwords.length > 0)];
}

function judgeRun(
  { text, layer, isCut }: HistoryInstruction,
  isUnreadable: boolean,
  hasPasswords: boolean,
): readonly Finding[] {
  const rules = new Set<FindingRule>(isCut || isUnreadable ? [UNREADABLE] : []);
  try {
    for (const { rule } of judgeDockerfile(`FROM scratch\nRUN ${JSON.stringify(['/bin/sh', '-c', text])}\n`)) {
      const known = OF_DOCKERFILE.get(rule.id);
      if (known !== undefined && !(known === PASSWORD && hasPasswords)) rules.add(known);
    }
  } catch (error) {
    if (!(error instanceof OciError)) throw error;
    rules.add(UNREADABLE);
  }
  return [...rules].map((rule) => found(rule, `${rule.title}, in a RUN`, { layer }));
}

function readScript(text: string): ShellList | undefined {
  try {
    return parseShell(text);
  } catch (error) {
    if (error instanceof OciError) return undefined;
    throw error;
  }
}
