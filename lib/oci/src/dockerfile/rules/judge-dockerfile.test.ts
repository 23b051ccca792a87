import { assert, constantFrom, property, string } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DOCKERFILE_EXAMPLES } from '../../../testing/dockerfile-examples.ts';
import { OciError } from '../../oci-error.ts';
import {
  DOCKERFILE_RULES,
  judgeDockerfile,
  MAX_FINDINGS_PER_RULE,
  type DockerfileFinding,
  type JudgeOptions,
} from './judge-dockerfile.ts';

/** What some rules are silent without. */
const OPTIONS: Readonly<Record<string, JudgeOptions>> = {
  DL3026: { trustedRegistries: ['registry.acme.example', 'ghcr.io/acme'] },
  DL3049: { requiredLabels: { required: 'text' } },
  DL3050: { requiredLabels: { required: 'text' }, strictLabels: true },
  DL3056: { requiredLabels: { version: 'semver' } },
  DL3058: { requiredLabels: { contact: 'email' } },
};

function findingsOf(id: string, example: string): readonly DockerfileFinding[] {
  const text = example.replaceAll('|n', '\n');
  const whole = id === 'DL3061' || /^(?:FROM|ARG [A-Z]+(?:=\S+)?\nFROM)/.test(text) ? text : `FROM a:1\n${text}`;
  return judgeDockerfile(whole, OPTIONS[id]).filter(({ rule }) => rule.id === id);
}

const cases = (kind: 'bad' | 'good'): [id: string, example: string][] =>
  Object.entries(DOCKERFILE_EXAMPLES).flatMap(([id, examples]) =>
    examples[kind].map((example): [string, string] => [id, example]),
  );

describe('the rules for Dockerfiles', () => {
  it('each have at least one example that breaks them and two that do not', () => {
    const short = DOCKERFILE_RULES.filter(({ id }) => {
      const examples = DOCKERFILE_EXAMPLES[id];
      return examples === undefined || examples.bad.length < 1 || examples.good.length < 2;
    });
    expect(short.map(({ id }) => id)).toEqual([]);
    expect(Object.keys(DOCKERFILE_EXAMPLES).length).toBe(DOCKERFILE_RULES.length);
  });

  it('are all of hadolint’s, each id once, each with what a person needs', () => {
    const ids = DOCKERFILE_RULES.map(({ id }) => id);
    const numbers = (first: number, last: number): string[] =>
      Array.from({ length: last - first + 1 }, (_, at) => `DL${first + at}`);
    const all = ['DL1001', ...numbers(3000, 3077), 'DL4000', 'DL4001', ...numbers(4003, 4007)];
    expect(all.filter((id) => !ids.includes(id))).toEqual([]);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { title, reason, reference, fix } of DOCKERFILE_RULES) {
      expect([title, reason, reference, fix].every((text) => text.length > 3 && !text.endsWith('.'))).toBe(true);
    }
  });

  it('have each recommendation of section 4 of the CIS Docker Benchmark that a Dockerfile can show', () => {
    // 4.4 is a scan of the image, 4.5 and 4.12 are signatures: of the registry, not of the file.
    const shown = ['4.1', '4.2', '4.3', '4.6', '4.7', '4.8', '4.9', '4.10', '4.11'];
    expect(new Set(DOCKERFILE_RULES.flatMap(({ cis }) => cis ?? []))).toEqual(new Set(shown));
  });

  it.each(cases('bad'))('%s: finds “%s”', (id, example) => {
    const found = findingsOf(id, example);
    const lines = example.split('|n').length + 1;
    expect(found.length).toBeGreaterThan(0);
    expect(found.every(({ at }) => at.line >= 1 && at.line <= lines && at.column >= 1)).toBe(true);
  });

  it.each(cases('good'))('%s: leaves “%s” alone', (id, example) => {
    expect(findingsOf(id, example).map(({ message }) => message)).toEqual([]);
  });

  it('say where, to the column, through continued lines, substitutions and heredocs', () => {
    const places = (source: string, id: string): number[][] =>
      judgeDockerfile(source)
        .filter(({ rule }) => rule.id === id)
        .map(({ at }) => [at.line, at.column]);
    expect(places('FROM a:1\nRUN a \\\n  # b\n && sudo c', 'DL3004')).toEqual([[4, 5]]);
    expect(places('FROM a:1\nRUN x="$(sudo y)"', 'DL3004')).toEqual([[2, 10]]);
    expect(places('FROM a:1\nRUN <<-E\n\ta\n\t\tsudo b\nE', 'DL3004')).toEqual([[4, 3]]);
    expect(places('FROM a:1\nRUN --network=none \\\n  sudo b', 'DL3004')).toEqual([[3, 3]]);
  });

  it('offer the smallest fix for just this place', () => {
    const fixes = (source: string): Record<string, string> =>
      Object.fromEntries(judgeDockerfile(source).map(({ rule, fix }) => [rule.id, fix]));
    expect(fixes('FROM debian\nWORKDIR app\nRUN apt-get install curl\nCMD app serve')).toMatchObject({
      DL3000: 'WORKDIR /app',
      DL3006: 'FROM debian:VERSION',
      DL3008: 'curl=VERSION',
      DL3014: 'apt-get install -y …',
      DL3025: 'CMD ["app","serve"]',
    });
  });

  it('obey pragmas only where they are told to', () => {
    const source =
      '# hadolint global ignore=DL3057\nFROM a\n# hadolint ignore=DL3004,DL3003\nRUN sudo a && cd b\nRUN sudo c';
    const lines = (options: JudgeOptions, id: string): number[] =>
      judgeDockerfile(source, options).flatMap(({ rule, at }) => (rule.id === id ? [at.line] : []));
    expect(lines({}, 'DL3004')).toEqual([4, 5]);
    expect(lines({ obeyPragmas: true }, 'DL3004')).toEqual([5]);
    expect(lines({}, 'DL3057')).toEqual([2]);
    expect(lines({ obeyPragmas: true }, 'DL3057')).toEqual([]);
  });

  it('find nothing in a file that does everything right', () => {
    const good = [
      '# syntax=docker/dockerfile:1',
      'ARG VERSION=1.25.3-bookworm',
      'FROM --platform=$BUILDPLATFORM golang:${VERSION} AS build',
      'WORKDIR /src',
      'COPY go.mod go.sum ./',
      'RUN --mount=type=cache,target=/root/.cache/go-build go mod download',
      'COPY cmd ./cmd',
      'RUN --mount=type=cache,target=/root/.cache/go-build --network=none go build -o /out/app ./cmd/app',
      'FROM gcr.io/distroless/static-debian12:nonroot',
      'LABEL org.opencontainers.image.source="https://example.com/app" org.opencontainers.image.licenses="Apache-2.0"',
      'COPY --from=build /out/app /app',
      'EXPOSE 8080/tcp',
      'USER 65532',
      'HEALTHCHECK --interval=30s CMD ["/app", "health"]',
      'ENTRYPOINT ["/app"]',
    ].join('\n');
    expect(judgeDockerfile(good).map(({ rule, at }) => [rule.id, at.line])).toEqual([]);
  });

  it('end, and stay small, on files that were made to be slow', () => {
    for (const unit of [
      'RUN sudo a && cd b\n',
      'FROM a AS b\n',
      'FROM b AS b\n',
      'COPY --from=x a b\n',
      'ENV A=1 B=$A\n',
      'LABEL a=b\n',
      'USER root\n',
    ]) {
      const findings = judgeDockerfile(`FROM a:1 AS b\n${unit.repeat(unit.startsWith('FROM') ? 400 : 3000)}`);
      expect(findings.length).toBeLessThanOrEqual(MAX_FINDINGS_PER_RULE * 10);
    }
    const long = 'a'.repeat(200_000);
    for (const line of [
      `RUN ${'apk add a;'.repeat(1900)}`,
      `RUN ${'apt-get update;'.repeat(1900)}`,
      `RUN ${'a | '.repeat(1900)}sh`,
      `LABEL ${long}=${long}`,
      `RUN ${long}`,
      `ENV A=//${long}`,
      `RUN chmod ${'+'.repeat(100_000)}w`,
      `EXPOSE ${'1'.repeat(100_000)}`,
      `LABEL org.opencontainers.image.licenses="${'a '.repeat(50_000)}"`,
    ]) {
      expect(judgeDockerfile(`FROM a:1\n${line}`).length).toBeGreaterThan(0);
    }
  });

  it('throw only OciError on any text', () => {
    const unit = constantFrom(
      'FROM a\n',
      'RUN ',
      'COPY ',
      'ENV ',
      'LABEL ',
      'USER ',
      'ONBUILD ',
      'apt-get install ',
      'curl x | sh',
      '\n',
      '"',
      '$',
      '[',
      ']',
      '=',
      ' ',
      'a',
      '&& ',
      '<<E\n',
      'E\n',
    );
    assert(
      property(string({ unit, maxLength: 25 }), (source) => {
        try {
          return judgeDockerfile(source).every(({ at }) => at.line > 0);
        } catch (error) {
          return error instanceof OciError;
        }
      }),
      { numRuns: 1000 },
    );
  });
});
