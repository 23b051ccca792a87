import { describe, expect, it } from 'vitest';
import { LINUX_CONFIG, judgeMade, type MadeImage } from '../../../testing/make-image.ts';
import type { Finding } from '../../inspection/finding.ts';
import type { ImageConfig } from '../../inspection/inspected-image.ts';
import { judgeConfiguration } from './configuration-rules.ts';
import { readHistory } from './history.ts';

const GOOD: MadeImage['config'] = { user: '10001', hasHealthcheck: true };
const judge = (config: MadeImage['config']): readonly Finding[] =>
  judgeMade({ layers: [{}, {}], config: { ...GOOD, ...config }, inspectors: [] }, [judgeConfiguration]);
const history = (...lines: readonly string[]): ImageConfig['history'] =>
  lines.map((createdBy) => ({ createdBy, emptyLayer: false, created: '' }));
const ids = (findings: readonly Finding[]): string[] =>
  findings.map(({ rule, subject }) => `${rule} ${subject}`.trim());

describe('readHistory()', () => {
  it.each([
    ['/bin/sh -c #(nop)  CMD ["bash"]', 'CMD', '["bash"]'],
    ['/bin/sh -c #(nop) ADD file:abc in / ', 'ADD', 'file:abc in /'],
    ['/bin/sh -c apt-get update && x', 'RUN', 'apt-get update && x'],
    ['RUN /bin/sh -c apt-get update # buildkit', 'RUN', 'apt-get update'],
    ['RUN /bin/bash -eo pipefail -c a | b # buildkit', 'RUN', 'a | b'],
    ['|2 A=1 B=two words /bin/sh -c make', 'RUN', 'make'],
    ['RUN |1 A=1 /bin/sh -c make # buildkit', 'RUN', 'make'],
    ['COPY /a /b # buildkit', 'COPY', '/a /b'],
    ['ENV A=b', 'ENV', 'A=b'],
    ['#(nop) USER ada', 'USER', 'ada'],
    ['bazel build ...', '', 'bazel build ...'],
    ['', '', ''],
  ])('reads %j', (createdBy, keyword, text) => {
    expect(readHistory({ ...LINUX_CONFIG, history: history(createdBy) })).toMatchObject([{ keyword, text, layer: 0 }]);
  });

  it('reads the arguments of a build, and counts layers', () => {
    const read = readHistory({
      ...LINUX_CONFIG,
      history: [
        { createdBy: 'ENV A=1', emptyLayer: true, created: '' },
        { createdBy: 'RUN |2 TOKEN=a b NAME= /bin/sh -c make # buildkit', emptyLayer: false, created: '' },
      ],
    });
    expect(read).toMatchObject([
      { layer: undefined },
      {
        layer: 0,
        buildArguments: [
          { name: 'TOKEN', value: 'a b' },
          { name: 'NAME', value: '' },
        ],
      },
    ]);
  });

  it('takes any text in bounded time', () => {
    for (const unit of [' ', '|1 ', '|1 A=', '/bin/sh -', '#(nop) ', 'RUN ', '\n', ' -c ']) {
      const createdBy = unit.repeat(20_000);
      expect(judge({ history: history(createdBy, `|1 ${createdBy}`, `/bin/sh -c ${createdBy}`) }).length).toBeLessThan(
        10,
      );
    }
  });
});

describe('judgeConfiguration()', () => {
  it.each<[what: string, config: MadeImage['config'], expected: string[]]>([
    ['nothing wrong', {}, []],
    ['no user', { user: '' }, ['root-user']],
    ['root by name', { user: 'root:root' }, ['root-user']],
    ['root by number', { user: '0:1000' }, ['root-user']],
    ['a user whose name begins with root', { user: 'rootless' }, []],
    ['no health check', { hasHealthcheck: false }, ['no-health-check']],
    ['the port of SSH', { exposedPorts: ['22/tcp', '8080/tcp'] }, ['exposed-ssh-port 22/tcp']],
    [
      'a base without a tag',
      { labels: { 'org.opencontainers.image.base.name': 'localhost:5000/debian' } },
      ['floating-base'],
    ],
    [
      'the latest base',
      { labels: { 'org.opencontainers.image.base.name': 'docker.io/library/debian:latest' } },
      ['floating-base'],
    ],
    ['a fixed base', { labels: { 'org.opencontainers.image.base.name': 'debian:12.5' } }, []],
    ['a base by digest', { labels: { 'org.opencontainers.image.base.name': 'debian@sha256:1' } }, []],
    [
      'a fetched file',
      { history: history('ADD https://example.org/x.tar.gz /x # buildkit') },
      ['remote-add https://example.org'],
    ],
    ['a fetched file with a checksum', { history: history('ADD --checksum=sha256:1 https://example.org/x /x') }, []],
    [
      'code run unread',
      { history: history('RUN /bin/sh -c curl -fsSL https://x.example/i | bash # buildkit') },
      ['unread-code'],
    ],
    ['code fetched and read', { history: history('RUN /bin/sh -c curl -fsSLo x https://x.example/i # buildkit') }, []],
    [
      'unverified packages',
      { history: history('/bin/sh -c apt-get install -y --allow-unauthenticated x') },
      ['unverified-packages'],
    ],
    [
      'unchecked certificates',
      { history: history('/bin/sh -c curl -k https://x.example/y -o y') },
      ['unchecked-certificates'],
    ],
    [
      'chpasswd',
      { history: history("RUN /bin/sh -c echo 'root:Zk3-vermilion' | chpasswd # buildkit") },
      ['password-in-history root'],
    ],
    [
      'chpasswd of two',
      { history: history('/bin/sh -c printf "ada:x9x9\\nbob:y8y8\\n" | chpasswd') },
      ['password-in-history ada', 'password-in-history bob'],
    ],
    [
      'chpasswd with a here-string',
      { history: history("RUN /bin/bash -c chpasswd <<< 'ada:secret'") },
      ['password-in-history ada'],
    ],
    ['passwd', { history: history('/bin/sh -c echo secret | passwd --stdin ada') }, ['password-in-history ada']],
    ['useradd with a hash', { history: history("/bin/sh -c useradd -p '$6$a$b' ada") }, ['password-in-history']],
    ['passwd that locks', { history: history('/bin/sh -c passwd --lock root') }, []],
    [
      'a secret argument',
      { history: history('RUN |1 NPM_TOKEN=k3Fq-9zLw2x /bin/sh -c npm ci # buildkit') },
      ['secret-build-argument NPM_TOKEN'],
    ],
    ['a script that cannot be read', { history: history("RUN /bin/sh -c echo 'a") }, ['unreadable-instruction']],
    [
      'one that is too long',
      { history: history(`RUN /bin/sh -c ${'a '.repeat(200_000)}`) },
      ['unreadable-instruction'],
    ],
    ['an argument', { history: history('RUN |1 VERSION=1.2.3-4 /bin/sh -c make # buildkit') }, []],
  ])('judges %s', (_what, config, expected) => {
    expect(ids(judge(config))).toEqual(expected);
  });

  it('names the layer, calls a usual password critical, and tells none', () => {
    const [finding] = judge({ history: history('ENV A=1', "RUN /bin/sh -c echo 'root:toor' | chpasswd") });
    expect(finding).toMatchObject({ severity: 'critical', layer: 1 });
    expect(finding?.message).toBe('a command gave the account “root” a usual password, which stands in the history');
    const strong = judge({ history: history("RUN /bin/sh -c echo 'root:Zk3-vermilion' | chpasswd") });
    expect(JSON.stringify(strong)).not.toContain('vermilion');
  });
});
