// Rules about COPY and ADD.
import type { Instruction } from '../instruction.ts';
import { hadolint, type Rule } from './rule.ts';
import type { DockerfileView, StageView } from './view.ts';

const ARCHIVE = /\.(?:tar|t?gz|tgz|bz2|tbz2?|xz|txz|lzma|zst|tar\.\w+)$/i;
const REMOTE = /^["']?(?:https?|ftp):\/\/|^["']?git@|\.git(?:#.*)?["']?$/i;
const FROM_ROOT = /^["']?(?:[/$]|[A-Za-z]:[\\/])/;

function* copiesOf(
  view: DockerfileView,
  ...keywords: readonly string[]
): Iterable<{ stage: StageView; copy: Instruction; before: readonly Instruction[] }> {
  for (const stage of view.stages) {
    for (const [index, instruction] of stage.instructions.entries()) {
      for (const copy of [instruction, instruction.inner]) {
        if (copy !== undefined && keywords.includes(copy.keyword)) {
          yield { stage, copy, before: stage.instructions.slice(0, index) };
        }
      }
    }
  }
}

function sourceFlag({ flags }: Instruction): { value: string | undefined } | undefined {
  return flags.find(({ name }) => name === 'from');
}

export const COPY_RULES: readonly Rule[] = [
  {
    id: 'DL3067',
    title: 'COPY takes from another stage what is needed, not all of it',
    severity: 'warning',
    reason: 'with its whole file system come the tools, the caches and the secrets of that build',
    reference: hadolint('DL3067'),
    fix: 'COPY --from=build /out/app /app',
    *check(view) {
      for (const { copy } of copiesOf(view, 'COPY')) {
        const paths = copy.words.map(({ text }) => text.replaceAll(/["']/g, ''));
        if (sourceFlag(copy) !== undefined && paths.at(-1) === '/' && paths.slice(0, -1).includes('/'))
          yield { at: copy.at };
      }
    },
  },
  {
    id: 'DL4007',
    title: 'COPY names what it copies, not the whole context',
    severity: 'warning',
    reason: 'what lies beside the sources comes along: .git, .env, keys; and each change of any of it builds all anew',
    reference: hadolint('DL4007'),
    fix: 'COPY src ./src',
    *check(view) {
      for (const { copy } of copiesOf(view, 'COPY')) {
        if (sourceFlag(copy) !== undefined) continue;
        const whole = copy.words.slice(0, -1).find(({ text }) => /^["']?\.\/?["']?$/.test(text));
        if (whole !== undefined) yield { at: whole.at };
      }
    },
  },
  {
    id: 'DL3010',
    title: 'let ADD unpack an archive of the context',
    severity: 'info',
    reason: 'the archive stays in the layer that COPY made, beside what was unpacked',
    reference: hadolint('DL3010'),
    fix: 'ADD files.tar.gz /app/',
    *check(view) {
      for (const { stage, copy } of copiesOf(view, 'COPY')) {
        if (sourceFlag(copy) !== undefined) continue;
        const archive = copy.words.slice(0, -1).find(({ text }) => ARCHIVE.test(text));
        const name = archive?.text.slice(archive.text.lastIndexOf('/') + 1);
        const unpacked = stage.runs.some(({ commands }) =>
          commands.some(
            ({ name: tool, args }) =>
              /^(?:tar|bsdtar|gunzip|unxz|bunzip2)$/.test(tool) &&
              args.some((arg) => arg.slice(arg.lastIndexOf('/') + 1) === name),
          ),
        );
        if (archive !== undefined && unpacked) yield { at: archive.at, fix: `ADD ${archive.text} …` };
      }
    },
  },
  {
    id: 'DL3020',
    title: 'COPY for files and folders, ADD for archives and addresses',
    severity: 'error',
    reason: 'ADD unpacks what it takes for an archive and fetches what it takes for an address',
    reference: hadolint('DL3020'),
    fix: 'COPY files /app/',
    cis: '4.9',
    *check(view) {
      for (const { copy } of copiesOf(view, 'ADD')) {
        const sources = copy.words.slice(0, -1);
        if (copy.heredocs.length > 0 || sources.length === 0) continue;
        if (sources.some(({ text }) => ARCHIVE.test(text.replaceAll(/["']/g, '')) || REMOTE.test(text))) continue;
        yield { at: copy.at, fix: `COPY ${copy.rest.text}` };
      }
    },
  },
  {
    id: 'DL3021',
    title: 'COPY of several files goes to a folder, with a slash',
    severity: 'error',
    reason: 'the builder refuses it',
    reference: hadolint('DL3021'),
    fix: 'COPY a b /app/',
    *check(view) {
      for (const { copy } of copiesOf(view, 'COPY')) {
        const target = copy.words.at(-1);
        if (copy.words.length > 2 && target !== undefined && !/[/\\]["']?$|^\.{1,2}$|\$/.test(target.text)) {
          yield { at: target.at, fix: `${target.text}/` };
        }
      }
    },
  },
  {
    id: 'DL3022',
    title: 'COPY --from names an earlier stage, or an image with its tag',
    severity: 'warning',
    reason: 'a name that is no stage is taken for an image of the default registry',
    reference: hadolint('DL3022'),
    fix: 'COPY --from=build /app /app',
    *check(view) {
      for (const { stage, copy } of copiesOf(view, 'COPY')) {
        const from = sourceFlag(copy)?.value;
        if (from === undefined || /[:@$]/.test(from)) continue;
        const earlier = view.stages.slice(0, stage.stage.index);
        const isStage = /^\d+$/.test(from)
          ? Number(from) < earlier.length
          : earlier.some((other) => other.stage.name === from.toLowerCase());
        if (!isStage && from.toLowerCase() !== stage.stage.name)
          yield { at: copy.at, detail: `“${from}” is no earlier stage` };
      }
    },
  },
  {
    id: 'DL3023',
    title: 'a stage does not copy from itself',
    severity: 'error',
    reason: 'the builder refuses it',
    reference: hadolint('DL3023'),
    fix: 'RUN cp /a /b',
    *check(view) {
      for (const { stage, copy } of copiesOf(view, 'COPY')) {
        const from = sourceFlag(copy)?.value?.toLowerCase();
        if (from !== undefined && from === stage.stage.name) yield { at: copy.at };
      }
    },
  },
  {
    id: 'DL3045',
    title: 'COPY to a relative path has a WORKDIR above it',
    severity: 'warning',
    reason: 'without one the base image decides where the files go',
    reference: hadolint('DL3045'),
    fix: 'WORKDIR /app',
    *check(view) {
      for (const { stage, copy, before } of copiesOf(view, 'COPY')) {
        const target = copy.words.at(-1);
        if (target === undefined || copy.words.length < 2 || FROM_ROOT.test(target.text)) continue;
        const above = [...before, ...stage.lineage.slice(1).flatMap(({ instructions }) => instructions)];
        if (!above.some(({ keyword }) => keyword === 'WORKDIR'))
          yield { at: target.at, fix: `WORKDIR /app above it, or /${target.text}` };
      }
    },
  },
  {
    id: 'RW2003',
    title: 'ADD of an address says what it must be',
    severity: 'warning',
    reason: 'whoever answers at that address decides what is in the image',
    reference: 'CIS Docker Benchmark 1.7, 4.9; https://docs.docker.com/reference/dockerfile/#add---checksum',
    fix: 'ADD --checksum=sha256:… https://example.com/file /file',
    cis: '4.9',
    *check(view) {
      for (const { copy } of copiesOf(view, 'ADD')) {
        const remote = copy.words.slice(0, -1).find(({ text }) => REMOTE.test(text));
        if (remote === undefined || copy.flags.some(({ name }) => name === 'checksum')) continue;
        // A commit says what a repository must be.
        if (!/#[0-9a-f]{40}(?:[:"']|$)/.test(remote.text))
          yield { at: remote.at, fix: `ADD --checksum=sha256:… ${remote.text} …` };
      }
    },
  },
];
