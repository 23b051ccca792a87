// Which part of an IMA list a quote stands for. The list is read after the quote was made, so it may run ahead of the
// quoted PCR; it may never be behind it, and a list in which a file changed under the measurement proves nothing.

import { ImaReplay, type ImaBank, type ImaReplayOptions, type ImaState } from './ima-replay.ts';
import { readImaText } from './ima-text.ts';

export type ImaMatch =
  /** The first `state.entries` entries are those that the TPM was extended with; what follows is not proven yet. */
  | { readonly outcome: 'matched'; readonly state: ImaState; readonly ahead: number }
  /** No part of the list leads to the quoted PCR: entries are missing, or are not those that were measured. */
  | { readonly outcome: 'behind'; readonly entries: number }
  /** The part that leads there has violations: what was measured is not what was used. */
  | { readonly outcome: 'violated'; readonly state: ImaState };

export interface ImaMatchOptions extends Omit<ImaReplayOptions, 'quoted'> {
  readonly quoted: { readonly bank: ImaBank; readonly value: Uint8Array };
  readonly form?: 'binary' | 'text';
}

/**
 * Replays a list, or an increment of one (`from`), to the quoted PCR. A PCR that is still all zeros matches before the
 * first entry: `state.entries` is 0 then, and whether that is good enough is the caller's to say. Throws `ParseError`.
 */
export function matchImaLog(list: Uint8Array | Iterable<Uint8Array>, options: ImaMatchOptions): ImaMatch {
  const { form, ...replayOptions } = options;
  const replay = new ImaReplay(replayOptions);
  const chunks = list instanceof Uint8Array ? [list] : list;
  for (const chunk of form === 'text' ? readImaText(chunks) : chunks) replay.push(chunk);
  replay.end();
  const { matched } = replay;
  const { entries } = replay.state;
  if (matched === undefined) return { outcome: 'behind', entries };
  if (matched.violations > 0) return { outcome: 'violated', state: matched };
  return { outcome: 'matched', state: matched, ahead: entries - matched.entries };
}
