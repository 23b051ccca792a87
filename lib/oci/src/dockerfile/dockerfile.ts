// A Dockerfile as a tree: directives, instructions, stages with their names and bases. Dockerfile reference.
import { OciError } from '../oci-error.ts';
import { expandWord, type Variables } from './expand.ts';
import { malformed, parseInstruction, type Instruction, type PlacedWord } from './instruction.ts';
import { readLines, type Comment, type Directives } from './logical-lines.ts';

/** Generated files have some hundred. Rules compare instructions with those above them, so that time is the square. */
const MAX_INSTRUCTIONS = 5000;
/** The largest known have some thirty. A stage knows all those that it is built on. */
const MAX_STAGES = 500;

export interface Stage {
  readonly index: number;
  /** `AS name`, in lower case as the builder compares it. */
  readonly name: string | undefined;
  readonly from: Instruction;
  /** The image or stage, as written. */
  readonly base: PlacedWord;
  /** With the arguments before the first FROM put in; undefined where one of them has no default. */
  readonly baseImage: string | undefined;
  /** Where the base is an earlier stage. */
  readonly baseStage: number | undefined;
  readonly platform: string | undefined;
  /** Those after FROM. */
  readonly instructions: readonly Instruction[];
}

export interface Dockerfile {
  readonly directives: Directives;
  readonly comments: readonly Comment[];
  /** All, in the order of the file. */
  readonly instructions: readonly Instruction[];
  readonly stages: readonly Stage[];
  /** Those before the first FROM. */
  readonly preamble: readonly Instruction[];
}

/** Throws OciError `malformed`, with line and column, and `limit`. */
export function parseDockerfile(source: string): Dockerfile {
  const reader = readLines(source);
  const instructions: Instruction[] = [];
  for (let line = reader.nextLogical(); line !== undefined; line = reader.nextLogical()) {
    if (instructions.length >= MAX_INSTRUCTIONS) {
      throw new OciError('limit', `Dockerfile has more than ${MAX_INSTRUCTIONS} instructions`);
    }
    instructions.push(parseInstruction(line, reader));
  }
  if (instructions.length === 0) throw new OciError('malformed', 'Dockerfile has no instruction');
  const first = instructions.findIndex(({ keyword }) => keyword === 'FROM');
  const preamble = first < 0 ? instructions : instructions.slice(0, first);
  const { directives, comments } = reader;
  return { directives, comments, instructions, preamble, stages: stagesOf(instructions, preamble, directives.escape) };
}

function stagesOf(
  instructions: readonly Instruction[],
  preamble: readonly Instruction[],
  escape: string,
): readonly Stage[] {
  const globals = argumentsOf(preamble, escape);
  const stages: (Stage & { instructions: Instruction[] })[] = [];
  const byName = new Map<string, number>();
  for (const instruction of instructions) {
    if (instruction.keyword !== 'FROM') {
      stages.at(-1)?.instructions.push(instruction);
      continue;
    }
    const [base, as, name] = instruction.words;
    if (base === undefined) throw malformed(instruction.at, 'FROM names no image');
    if (stages.length >= MAX_STAGES) throw new OciError('limit', `Dockerfile has more than ${MAX_STAGES} stages`);
    const baseImage = expandWord(base.text, globals, escape).value;
    const platform = instruction.flags.find((flag) => flag.name === 'platform')?.value;
    const stageName = as?.text.toUpperCase() === 'AS' ? name?.text.toLowerCase() : undefined;
    const index = stages.length;
    stages.push({
      index,
      name: stageName,
      from: instruction,
      base,
      baseImage,
      baseStage: baseImage === undefined ? undefined : byName.get(baseImage.toLowerCase()),
      platform,
      instructions: [],
    });
    if (stageName !== undefined) byName.set(stageName, index);
  }
  return stages;
}

/** `ARG name=default` before the first FROM, each seeing those above it. */
function argumentsOf(preamble: readonly Instruction[], escape: string): Variables {
  const variables = new Map<string, string>();
  for (const { keyword, words } of preamble) {
    if (keyword !== 'ARG') continue;
    for (const { text } of words) {
      const equals = text.indexOf('=');
      const value = equals < 0 ? undefined : expandWord(text.slice(equals + 1), variables, escape).value;
      if (value !== undefined) variables.set(text.slice(0, equals), value);
    }
  }
  return variables;
}
