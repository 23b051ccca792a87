// Rules about the frame of a Dockerfile: base images, order and number of instructions, users, shells, ports.
import type { Instruction } from '../instruction.ts';
import { hadolint, type Flaw, type Rule } from './rule.ts';
import type { DockerfileView, StageView } from './view.ts';

const MAX_PORT = 65_535;
const ROOT = /^(?:root|0)(?::|$)/;

function* instructionsOf(view: DockerfileView, keyword: Instruction['keyword']): Iterable<Instruction> {
  for (const instruction of view.file.instructions) {
    if (instruction.keyword === keyword) yield instruction;
    if (instruction.keyword === 'ONBUILD' && instruction.inner?.keyword === keyword) yield instruction.inner;
  }
}

/** Only the last one of a stage counts. */
function* allButOne(view: DockerfileView, keyword: Instruction['keyword']): Iterable<Flaw> {
  for (const { instructions } of view.stages) {
    for (const { at } of instructions.filter((instruction) => instruction.keyword === keyword).slice(1)) {
      yield { at, fix: `leave the ${keyword} above out` };
    }
  }
}

/** Bases that are images, not earlier stages. */
function imagesOf(view: DockerfileView): readonly { stage: StageView; image: string; tag: string; digest: boolean }[] {
  return view.stages.flatMap((stage) => {
    const image = stage.stage.baseImage ?? stage.stage.base.text;
    if (stage.stage.baseStage !== undefined || image === 'scratch') return [];
    const [name = '', digest] = image.split('@');
    const tag = /:([^/:}]+)$/.exec(name)?.[1] ?? '';
    return [{ stage, image, tag, digest: digest !== undefined }];
  });
}

function hasVariable(image: string): boolean {
  return image.includes('$');
}

export const STRUCTURE_RULES: readonly Rule[] = [
  {
    id: 'DL1001',
    title: 'an instruction is excepted from rules by a comment',
    severity: 'info',
    reason: 'whoever wrote the file decides what is found in it; exceptions belong to whoever judges',
    reference: hadolint('DL1001'),
    fix: 'leave the comment out and name the exception where the file is judged',
    *check({ file }) {
      for (const { text, line } of file.comments) {
        if (/^hadolint\s+(?:global\s+)?ignore\s*=/.test(text)) yield { at: { line, column: 1 } };
      }
    },
  },
  {
    id: 'DL3000',
    title: 'WORKDIR names a path from the root',
    severity: 'error',
    reason: 'a relative one depends on the WORKDIR above, and on that of the base image',
    reference: hadolint('DL3000'),
    fix: 'WORKDIR /app',
    *check(view) {
      for (const { words } of instructionsOf(view, 'WORKDIR')) {
        const [path] = words;
        if (path === undefined || /^["']?(?:[/$]|[A-Za-z]:[\\/])/.test(path.text)) continue;
        yield { at: path.at, fix: `WORKDIR /${path.text.replaceAll(/["']/g, '')}` };
      }
    },
  },
  {
    id: 'DL3002',
    title: 'the last USER is not root',
    severity: 'warning',
    reason: 'whoever takes over the process is root in the container, and one fault of the kernel away from the host',
    reference: hadolint('DL3002'),
    fix: 'USER 10001',
    cis: '4.1',
    *check(view) {
      const last = view.stages.at(-1);
      const user = last?.lineage.flatMap(
        ({ instructions }) => instructions.findLast(({ keyword }) => keyword === 'USER') ?? [],
      )[0];
      if (user !== undefined && ROOT.test(user.words[0]?.text ?? '')) yield { at: user.at };
    },
  },
  {
    id: 'DL3063',
    title: 'the image says who it runs as',
    severity: 'warning',
    reason: 'without a USER it runs as the base image says, which is root nearly always',
    reference: hadolint('DL3063'),
    fix: 'USER 10001',
    cis: '4.1',
    *check(view) {
      const last = view.stages.at(-1);
      if (
        last === undefined ||
        last.lineage.some(({ instructions }) => instructions.some(({ keyword }) => keyword === 'USER'))
      )
        return;
      const image = last.lineage.at(-1)?.stage.baseImage ?? '';
      if (!/nonroot|unprivileged|rootless/.test(image)) yield { at: last.stage.from.at };
    },
  },
  {
    id: 'DL3006',
    title: 'FROM names a tag',
    severity: 'warning',
    reason: 'without one it is whatever is newest on the day of the build',
    reference: hadolint('DL3006'),
    fix: 'FROM debian:trixie-slim',
    *check(view) {
      for (const { stage, image, tag, digest } of imagesOf(view)) {
        if (tag === '' && !digest && !hasVariable(image))
          yield { at: stage.stage.base.at, fix: `FROM ${image}:VERSION` };
      }
    },
  },
  {
    id: 'DL3007',
    title: 'FROM names a version, not latest',
    severity: 'warning',
    reason: 'latest is another image each month, and the build does not say which one it was',
    reference: hadolint('DL3007'),
    fix: 'FROM debian:trixie-slim',
    *check(view) {
      for (const { stage, image, tag, digest } of imagesOf(view)) {
        if (tag === 'latest' && !digest)
          yield { at: stage.stage.base.at, fix: `FROM ${image.replace(/latest$/, 'VERSION')}` };
      }
    },
  },
  {
    id: 'DL3026',
    title: 'FROM uses an allowed registry',
    severity: 'error',
    reason: 'nobody has vouched for what comes from elsewhere',
    reference: hadolint('DL3026'),
    fix: 'FROM registry.example/debian:trixie-slim',
    cis: '4.2',
    *check(view) {
      const trusted = view.options.trustedRegistries;
      if (trusted === undefined) return;
      for (const { stage, image } of imagesOf(view)) {
        const first = image.split('/')[0] ?? '';
        const domain = image.includes('/') && /[.:]|^localhost$/.test(first) ? first : 'docker.io';
        const isTrusted = trusted.some(
          (entry) =>
            entry === domain ||
            image.startsWith(`${entry}/`) ||
            (entry.startsWith('*.') && domain.endsWith(entry.slice(1))),
        );
        if (!isTrusted) yield { at: stage.stage.base.at, detail: `“${domain}” is not allowed` };
      }
    },
  },
  {
    id: 'DL3029',
    title: 'FROM leaves the platform to the builder',
    severity: 'warning',
    reason: 'an image for one platform runs on others slowly, or not at all',
    reference: hadolint('DL3029'),
    fix: 'FROM --platform=$BUILDPLATFORM …',
    *check(view) {
      for (const { stage } of view.stages) {
        if (stage.platform !== undefined && !hasVariable(stage.platform))
          yield { at: stage.from.at, fix: `FROM ${stage.base.text}` };
      }
    },
  },
  {
    id: 'DL3011',
    title: 'ports end at 65535',
    severity: 'error',
    reason: 'nothing can listen there',
    reference: hadolint('DL3011'),
    fix: 'EXPOSE 8080',
    *check(view) {
      for (const { words } of instructionsOf(view, 'EXPOSE')) {
        for (const { text, at } of words) {
          const ports = text.replace(/\/\w+$/, '').split('-');
          if (ports.some((port) => /^\d+$/.test(port) && Number(port) > MAX_PORT)) yield { at };
        }
      }
    },
  },
  {
    id: 'DL3012',
    title: 'one HEALTHCHECK in a stage',
    severity: 'error',
    reason: 'only the last one counts',
    reference: hadolint('DL3012'),
    fix: 'HEALTHCHECK CMD ["/app", "health"]',
    check: (view) => allButOne(view, 'HEALTHCHECK'),
  },
  {
    id: 'DL3024',
    title: 'names of stages are unique',
    severity: 'error',
    reason: 'COPY --from and FROM find the later one, whichever was meant',
    reference: hadolint('DL3024'),
    fix: 'FROM debian:trixie-slim AS build-tools',
    *check(view) {
      const seen = new Set<string>();
      for (const { stage } of view.stages) {
        if (stage.name === undefined) continue;
        if (seen.has(stage.name))
          yield { at: stage.from.at, detail: `“${stage.name}” is the name of an earlier stage` };
        seen.add(stage.name);
      }
    },
  },
  {
    id: 'DL3025',
    title: 'CMD and ENTRYPOINT in JSON form',
    severity: 'warning',
    reason: 'in the other form a shell runs them, which passes no signal on: the process is killed instead of stopped',
    reference: hadolint('DL3025'),
    fix: 'CMD ["/app", "serve"]',
    *check(view) {
      for (const keyword of ['CMD', 'ENTRYPOINT'] as const) {
        for (const { form, at, words } of instructionsOf(view, keyword)) {
          if (form === 'json' || words.length === 0) continue;
          yield { at, fix: `${keyword} ${JSON.stringify(words.map(({ text }) => text))}` };
        }
      }
    },
  },
  {
    id: 'DL3043',
    title: 'ONBUILD holds no ONBUILD, FROM or MAINTAINER',
    severity: 'error',
    reason: 'the builder refuses it',
    reference: hadolint('DL3043'),
    fix: 'ONBUILD RUN …',
    *check({ file }) {
      for (const { keyword, inner, at } of file.instructions) {
        if (keyword === 'ONBUILD' && ['ONBUILD', 'FROM', 'MAINTAINER'].includes(inner?.keyword ?? '')) yield { at };
      }
    },
  },
  {
    id: 'DL3044',
    title: 'an ENV does not use what it defines itself',
    severity: 'error',
    reason: 'all values of one ENV are taken before any is set: the variable has its former value, or none',
    reference: hadolint('DL3044'),
    fix: 'ENV ROOT=/opt and below it ENV BIN=$ROOT/bin',
    *check(view) {
      for (const { stage, lineage } of view.stages) {
        const known = new Set(
          lineage
            .slice(1)
            .flatMap(({ instructions }) => instructions)
            .flatMap((each) => definedBy(each)),
        );
        for (const instruction of stage.instructions) {
          if (instruction.keyword === 'ENV') {
            const own = definedBy(instruction).filter((name) => !known.has(name));
            const text = instruction.words.map((word) => word.text.slice(word.text.indexOf('=') + 1)).join(' ');
            const variables = variablesIn(text);
            const used = own.find((name) => variables.has(name));
            if (used !== undefined) yield { at: instruction.at, detail: `“${used}” is defined and used in one ENV` };
          }
          for (const name of definedBy(instruction)) known.add(name);
        }
      }
    },
  },
  {
    id: 'DL3057',
    title: 'the image says how its health is checked',
    severity: 'info',
    reason: 'a process that runs and answers nothing counts as healthy',
    reference: hadolint('DL3057'),
    fix: 'HEALTHCHECK --interval=30s CMD ["/app", "health"]',
    cis: '4.6',
    *check(view) {
      const last = view.stages.at(-1);
      if (last === undefined) return;
      const has = last.lineage.some(({ instructions }) =>
        instructions.some((each) => each.keyword === 'HEALTHCHECK' || each.inner?.keyword === 'HEALTHCHECK'),
      );
      if (!has) yield { at: last.stage.from.at };
    },
  },
  {
    id: 'DL3061',
    title: 'a Dockerfile begins with FROM, or with ARG',
    severity: 'error',
    reason: 'the builder refuses it',
    reference: hadolint('DL3061'),
    fix: 'FROM debian:trixie-slim',
    *check({ file }) {
      const wrong = file.preamble.find(({ keyword }) => keyword !== 'ARG');
      if (wrong !== undefined) yield { at: wrong.at };
    },
  },
  {
    id: 'DL4000',
    title: 'MAINTAINER is a label today',
    severity: 'error',
    reason: 'the instruction is deprecated, and what it sets is in no label',
    reference: hadolint('DL4000'),
    fix: 'LABEL org.opencontainers.image.authors="…"',
    *check(view) {
      for (const { at, rest } of instructionsOf(view, 'MAINTAINER')) {
        yield { at, fix: `LABEL org.opencontainers.image.authors=${JSON.stringify(rest.text)}` };
      }
    },
  },
  {
    id: 'DL4003',
    title: 'one CMD in a stage',
    severity: 'warning',
    reason: 'only the last one counts',
    reference: hadolint('DL4003'),
    fix: 'CMD ["/app", "serve"]',
    check: (view) => allButOne(view, 'CMD'),
  },
  {
    id: 'DL4004',
    title: 'one ENTRYPOINT in a stage',
    severity: 'error',
    reason: 'only the last one counts',
    reference: hadolint('DL4004'),
    fix: 'ENTRYPOINT ["/app"]',
    check: (view) => allButOne(view, 'ENTRYPOINT'),
  },
];

function definedBy({ keyword, words }: Instruction): readonly string[] {
  const [first, second] = words;
  if (keyword === 'ARG') return words.map(({ text }) => text.split('=')[0] ?? '');
  if (keyword !== 'ENV' || first === undefined) return [];
  if (!first.text.includes('=') && second !== undefined) return [first.text];
  return words.map(({ text }) => text.split('=')[0] ?? '');
}

function variablesIn(text: string): ReadonlySet<string> {
  return new Set(Array.from(text.matchAll(/(?<!\\)\$\{?(\w+)/g), (match) => match[1] ?? ''));
}
