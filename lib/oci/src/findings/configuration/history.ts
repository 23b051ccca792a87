// The instructions that an image was built of, as its history tells them. Every builder words `created_by` in its own way:
// Docker before BuildKit, BuildKit, and Buildah. Whoever made the image controls every word; what cannot be read is told as
// it is.
import type { ImageConfig } from '../../inspection/inspected-image.ts';

/** Overlay file systems end at some hundred layers; the history counts empty ones, too. */
const MAX_INSTRUCTIONS = 2000;
/** A here-document of a build has some kilobytes. */
const MAX_CHARACTERS: number = 256 * 1024;
const MAX_ARGUMENTS = 200;

export interface HistoryInstruction {
  /** `RUN`, `ENV`, …; '' where it cannot be known. */
  readonly keyword: string;
  /** What follows it; of RUN, the script. */
  readonly text: string;
  /** Of a RUN: the build's arguments that it was given, which the history keeps with their values. */
  readonly buildArguments: readonly { readonly name: string; readonly value: string }[];
  /** That it wrote; undefined where it wrote none. */
  readonly layer: number | undefined;
  /** It is longer than what is read of it. */
  readonly isCut: boolean;
}

export function readHistory({ history }: ImageConfig): readonly HistoryInstruction[] {
  let layer = -1;
  return history.slice(0, MAX_INSTRUCTIONS).map(({ createdBy, emptyLayer }) => {
    if (!emptyLayer) layer += 1;
    return {
      ...readInstruction(createdBy.slice(0, MAX_CHARACTERS)),
      layer: emptyLayer ? undefined : layer,
      isCut: createdBy.length > MAX_CHARACTERS,
    };
  });
}

function readInstruction(createdBy: string): Omit<HistoryInstruction, 'layer' | 'isCut'> {
  const text = createdBy.replace(/\s{0,8}# buildkit\s{0,8}$/, '').trim();
  const older = /^(?:\/bin\/sh -c )?#\(nop\)\s{0,8}/.exec(text);
  if (older !== null) return plain(text.slice(older[0].length));
  const run = /^(?:RUN\s{1,8})?(\|\d{1,4} )?/.exec(text);
  const isRun = text.startsWith('RUN ') || text.startsWith('|') || /^\/bin\/(?:ba)?sh -\w*c /.test(text);
  if (!isRun) return plain(text);
  let rest = text.slice(run?.[0].length ?? 0);
  const buildArguments: { name: string; value: string }[] = [];
  if (run?.[1] !== undefined) {
    // `|2 A=one B=two words /bin/sh -c …`: a value ends where the next argument or the shell begins.
    const shell = rest.search(/(?:^| )\/\S{1,60} -\S{0,20}c /);
    const given = shell < 0 ? '' : rest.slice(0, shell);
    for (const part of given.split(/ (?=[A-Za-z_]\w{0,100}=)/, MAX_ARGUMENTS)) {
      const equals = part.indexOf('=');
      if (equals > 0) buildArguments.push({ name: part.slice(0, equals), value: part.slice(equals + 1) });
    }
    rest = rest.slice(Math.max(0, shell)).trimStart();
  }
  const script = /^\/\S{1,60}(?: [\w-]{1,20}){0,4}? -\w{0,10}c /.exec(rest);
  return { keyword: 'RUN', text: rest.slice(script?.[0].length ?? 0), buildArguments };
}

function plain(text: string): Omit<HistoryInstruction, 'layer' | 'isCut'> {
  const [keyword = ''] = /^[A-Z]{2,12}(?=\s|$)/.exec(text) ?? [];
  return { keyword, text: text.slice(keyword.length).trim(), buildArguments: [] };
}
