// Asks whoever sits at the terminal to type a word before something that cannot be undone by another command.
import { createInterface } from 'node:readline/promises';

/** On standard error: the output is for programs. Only where standard input is a terminal. */
export async function typesWord(word: string): Promise<boolean> {
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await reader.question(`Type ${word} to go on: `);
  reader.close();
  return answer.trim() === word;
}
