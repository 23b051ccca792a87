// A guest writes what it likes to its console, and a terminal obeys: it retitles, fills the clipboard, answers questions
// as if the user had typed. `ConsoleFilter` lets through what a full-screen program needs and drops the strings (OSC,
// DCS, APC, PM, SOS of ECMA-48) that change the terminal beyond its screen; `plainLog` keeps text only.

const ESC = 0x1b;
const BEL = 0x07;
const CAN = 0x18;
const SUB = 0x1a;
/** `]` OSC, `P` DCS, `_` APC, `^` PM, `X` SOS. */
const STRING_STARTS: ReadonlySet<number> = new Set([0x5d, 0x50, 0x5f, 0x5e, 0x58]);
const BACKSLASH = 0x5c;
const BRACKET = 0x5b;
/** A CSI with more parameters than this is nothing that a terminal knows. */
const CSI_LIMIT_BYTES = 64;
/** Final bytes that make the terminal answer on the keyboard's line, or act on its window: DSR, DA, DECRQM, XTWINOPS. */
const ANSWERING_FINALS: ReadonlySet<number> = new Set(Buffer.from('nctpqx'));

type State = 'text' | 'escape' | 'csi' | 'string' | 'string-escape';

/** Filters a stream of guest bytes; sequences may be split over chunks anywhere. */
export class ConsoleFilter {
  #state: State = 'text';
  #held: number[] = [];
  #alternateScreen = false;

  /** Whether the guest switched to the other screen, as editors do, and has not come back. */
  get alternateScreen(): boolean {
    return this.#alternateScreen;
  }

  filter(bytes: Uint8Array): Uint8Array {
    const out: number[] = [];
    for (const byte of bytes) this.#take(byte, out);
    return Uint8Array.from(out);
  }

  #take(byte: number, out: number[]): void {
    switch (this.#state) {
      case 'text':
        if (byte === ESC) this.#state = 'escape';
        else out.push(byte);
        return;
      case 'escape':
        this.#takeEscape(byte, out);
        return;
      case 'csi':
        this.#takeCsi(byte, out);
        return;
      case 'string':
        if (byte === ESC) this.#state = 'string-escape';
        else if (byte === BEL || byte === CAN || byte === SUB) this.#state = 'text';
        return;
      case 'string-escape':
        if (byte === BACKSLASH) this.#state = 'text';
        else if (byte !== ESC) this.#state = 'string';
        return;
    }
  }

  #takeEscape(byte: number, out: number[]): void {
    if (STRING_STARTS.has(byte)) {
      this.#state = 'string';
    } else if (byte === BRACKET) {
      this.#state = 'csi';
      this.#held = [];
    } else if (byte !== ESC) {
      this.#state = 'text';
      // `ESC Z` asks who the terminal is.
      if (byte !== 0x5a) out.push(ESC, byte);
    }
  }

  #takeCsi(byte: number, out: number[]): void {
    if (byte === ESC) {
      this.#state = 'escape';
      return;
    }
    if (byte >= 0x20 && byte <= 0x3f && this.#held.length < CSI_LIMIT_BYTES) {
      this.#held.push(byte);
      return;
    }
    this.#state = 'text';
    const complete = byte >= 0x40 && byte <= 0x7e;
    if (!complete || ANSWERING_FINALS.has(byte)) return;
    out.push(ESC, BRACKET, ...this.#held, byte);
    const letter = String.fromCharCode(byte);
    const isScreenSwitch = /^\?(?:\d+;)*(?:47|1047|1049)(?:;|$)/.test(String.fromCharCode(...this.#held));
    if (isScreenSwitch && (letter === 'h' || letter === 'l')) this.#alternateScreen = letter === 'h';
  }
}

/** The text of a console log: no escape sequence, no control character but line feeds and tabs. What was overwritten by a carriage return stays, on a line of its own. */
export function plainLog(bytes: Uint8Array): string {
  const text = new TextDecoder('utf-8').decode(bytes);
  return (
    text
      // oxlint-disable-next-line no-control-regex -- escape sequences are what is looked for
      .replaceAll(/\u001b(?:\[[0-?]*[ -/]*[@-~]|[\]P_^X][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[ -/]*[0-~])/g, '')
      .replaceAll(/\r+\n?/g, '\n')
      // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
      .replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '')
  );
}
