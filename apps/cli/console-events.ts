// A console for programs: what the guest writes, and what becomes of the connection, as lines of JSON.
import type { ConsoleOutput } from './console.ts';
import type { Terminal } from './terminal.ts';

/** A character that was cut between two pieces is in the second. */
export function consoleEvents(out: Terminal): ConsoleOutput {
  const decoder = new TextDecoder();
  return {
    write: (bytes) => {
      const text = typeof bytes === 'string' ? bytes : decoder.decode(bytes, { stream: true });
      if (text !== '') sayEvent(out, { event: 'output', text });
      return true;
    },
    once: () => {},
  };
}

/** The guest wrote the text: what JSON leaves as it is, and a terminal would act on, is escaped as well. */
export function sayEvent(out: Terminal, event: object): void {
  const line = JSON.stringify(event).replaceAll(
    /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  out.line(line);
}
