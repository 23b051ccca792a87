// A digest that can be copied: its beginning on the screen, all of it on paper and in the clipboard.
import { button, el } from '../dom.ts';

/** Enough to tell two apart by eye; whoever needs certainty copies all 64. */
export const SHOWN_DIGITS = 12;

/** `say` tells what happened to somebody who cannot see it. */
export function digest(hex: string, what: string, say: (sentence: string) => void): HTMLElement {
  const code = el(
    'code',
    { title: hex },
    hex.slice(0, SHOWN_DIGITS),
    el('span', { class: 'tail' }, hex.slice(SHOWN_DIGITS)),
  );
  const copy = button('Copy', () => void copyText(hex, code).then(say), {
    class: 'copy',
    'aria-label': `Copy ${what}, ${hex.slice(0, SHOWN_DIGITS)}`,
  });
  return el('span', { class: 'digest' }, code, copy);
}

async function copyText(text: string, shown: HTMLElement): Promise<string> {
  try {
    await navigator.clipboard.writeText(text);
    return 'Copied.';
  } catch {
    // A browser may deny the clipboard to a page that was opened from a file: then the person copies.
    window.getSelection()?.selectAllChildren(shown);
    return 'Selected: press Ctrl+C or ⌘C to copy it.';
  }
}
