// The tree of a shell script, as far as a judge of RUN instructions needs it: which commands, with which words, joined how.

export interface ShellWord {
  /** As written. */
  readonly text: string;
  /** Quotes and escapes removed; variables and substitutions stand in it as written. */
  readonly value: string;
  /** Nothing in it depends on the run. */
  readonly fixed: boolean;
  readonly offset: number;
  /** Scripts of `$(…)`, backquotes and `<(…)`. */
  readonly substitutions: readonly ShellList[];
}

export interface Redirect {
  /** `>`, `>>`, `<`, `<<`, `<<<`, `>&`, … */
  readonly operator: string;
  readonly target: ShellWord;
  /** Of a here-document. */
  readonly body: string | undefined;
}

export interface SimpleCommand {
  readonly type: 'command';
  readonly assignments: readonly ShellWord[];
  readonly words: readonly ShellWord[];
  readonly redirects: readonly Redirect[];
  readonly offset: number;
}

/** `if`, `for`, `( … )`, `{ … }` and the like: what stands in them is run, or may be. */
export interface CompoundCommand {
  readonly type: 'compound';
  readonly kind: 'if' | 'loop' | 'case' | 'subshell' | 'group' | 'function' | 'test';
  readonly bodies: readonly ShellList[];
  /** Of `for x in …` and `case … in`. */
  readonly words: readonly ShellWord[];
  readonly redirects: readonly Redirect[];
  readonly offset: number;
}

export type ShellCommand = SimpleCommand | CompoundCommand;

export interface Pipeline {
  readonly commands: readonly ShellCommand[];
  readonly negated: boolean;
  readonly offset: number;
  /** What joins it to the next one. */
  readonly joined: '&&' | '||' | ';' | '&' | '';
}

export interface ShellList {
  readonly pipelines: readonly Pipeline[];
}
