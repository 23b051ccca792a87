// What the command line writes to: a stream, whether a person reads it, how wide it is, and which signs it can show.
// Colour is for people only: not in a pipe, not with NO_COLOR (no-color.org), not on a dumb terminal.

/** What a text is wrapped to where the stream does not know its width, and at most where it is very wide. */
const DEFAULT_COLUMNS = 80;
const READABLE_COLUMNS = 110;

export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'blue' | 'cyan';

const SGR: Readonly<Record<Style, readonly [number, number]>> = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  blue: [34, 39],
  cyan: [36, 39],
};

export interface Stream {
  write(text: string | Uint8Array, done?: () => void): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

export class Terminal {
  /** A person looks at it, and lines can be rewritten. */
  readonly live: boolean;
  readonly #stream: Stream;
  readonly #colour: boolean;
  readonly #unicode: boolean;

  constructor(stream: Stream, environment: Readonly<Record<string, string | undefined>>) {
    const dumb = environment['TERM'] === 'dumb';
    const locale = environment['LC_ALL'] || environment['LC_CTYPE'] || environment['LANG'] || '';
    this.#stream = stream;
    this.live = stream.isTTY === true && !dumb;
    this.#colour = this.live && !environment['NO_COLOR'];
    this.#unicode = /utf-?8/i.test(locale);
  }

  get columns(): number {
    return this.#stream.columns ?? DEFAULT_COLUMNS;
  }

  /** Columns for running text: lines that are too long are hard to read. */
  get textColumns(): number {
    return Math.min(this.columns, READABLE_COLUMNS);
  }

  write(text: string): void {
    this.#stream.write(text);
  }

  /**
   * Bytes as they are, once the stream has taken those before: a pipe sets the pace. To a terminal only what can do it no
   * harm.
   */
  async bytes(bytes: Uint8Array): Promise<void> {
    const shown = this.live ? plainText(new TextDecoder().decode(bytes)) : bytes;
    await new Promise<void>((resolve) => {
      this.#stream.write(shown, resolve);
    });
  }

  line(text = ''): void {
    this.#stream.write(`${text}\n`);
  }

  paint(style: Style | undefined, text: string): string {
    if (style === undefined || !this.#colour || text === '') return text;
    const [on, off] = SGR[style];
    return `\u001b[${String(on)}m${text}\u001b[${String(off)}m`;
  }

  /** The sign where the locale can show it, else its plain likeness. */
  sign(unicode: string, plain: string): string {
    return this.#unicode ? unicode : plain;
  }

  get tick(): string {
    return this.paint('green', this.sign('✔', '+'));
  }

  get cross(): string {
    return this.paint('red', this.sign('✘', 'x'));
  }

  get bang(): string {
    return this.paint('yellow', '!');
  }

  get ellipsis(): string {
    return this.sign('…', '...');
  }
}

/** Breaks a text into lines of at most `columns`, each begun with `indent` columns of space. Long words stay whole. */
export function wrapText(text: string, columns: number, indent: number): string[] {
  const room = Math.max(columns - indent, 20);
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/).filter((part) => part !== '')) {
    if (line !== '' && line.length + 1 + word.length > room) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  if (line !== '') lines.push(line);
  return lines.map((wrapped) => `${' '.repeat(indent)}${wrapped}`);
}

/**
 * Makes a text of others harmless to a terminal: control characters, C1 controls and bidirectional overrides are left
 * out. Names, reasons and findings may hold what a guest or a file said.
 */
export function plainText(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  return text.replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '');
}
