// How something comes into the page: dropped anywhere, chosen, or pasted. Sizes are looked at before any byte is read.
import { MAX_PROOF_BYTES } from '@ringwall/evidence';
import { Mistake, type Given } from './material.ts';

/** One proof and what somebody trusts: four more kinds, and room for a slip. */
const MAX_FILES = 8;

/** A file that was not read yet, and why one cannot be. */
export type Arrival = { readonly given: Given } | { readonly name: string; readonly mistake: Mistake };

export async function readFiles(files: readonly File[]): Promise<readonly Arrival[]> {
  if (files.length > MAX_FILES) {
    const mistake = new Mistake('too-many', `${files.length} files, at most ${MAX_FILES}`);
    return [{ name: `${files.length} files`, mistake }];
  }
  return Promise.all(files.map((file) => readFile(file)));
}

export function readText(text: string): Arrival {
  const bytes = new TextEncoder().encode(text.slice(0, MAX_PROOF_BYTES + 1));
  return arrived('pasted text', bytes.length, bytes);
}

/** Calls `take` for every drop, paste and choice from now on; `hover` while something is held over the page. */
export function listen(
  picker: HTMLInputElement,
  take: (arriving: Promise<readonly Arrival[]>) => void,
  hover: (over: boolean) => void,
): void {
  picker.addEventListener('change', () => {
    const files = [...(picker.files ?? [])];
    // So that the same file can be chosen again after it was made anew.
    picker.value = '';
    if (files.length > 0) take(readFiles(files));
  });
  document.addEventListener('dragover', (event) => {
    // Without this the browser would leave the page and show the file.
    event.preventDefault();
    hover(true);
  });
  document.addEventListener('dragleave', (event) => {
    if (event.relatedTarget === null) hover(false);
  });
  document.addEventListener('drop', (event) => {
    event.preventDefault();
    hover(false);
    takeFrom(event.dataTransfer, take);
  });
  document.addEventListener('paste', (event) => {
    if (event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement) return;
    takeFrom(event.clipboardData, take);
  });
}

function takeFrom(from: DataTransfer | null, take: (arriving: Promise<readonly Arrival[]>) => void): void {
  const files = [...(from?.files ?? [])];
  const text = files.length > 0 ? '' : (from?.getData('text/plain') ?? '');
  if (files.length > 0) take(readFiles(files));
  else if (text.trim() !== '') take(Promise.resolve([readText(text)]));
}

async function readFile(file: File): Promise<Arrival> {
  const { name } = file;
  if (file.size > MAX_PROOF_BYTES) return arrived(name, file.size);
  try {
    // A file may grow after it was chosen.
    const bytes = new Uint8Array(await file.slice(0, MAX_PROOF_BYTES + 1).arrayBuffer());
    return arrived(name, bytes.length, bytes);
  } catch {
    return { name, mistake: new Mistake('unreadable', 'the browser was not let at it') };
  }
}

function arrived(name: string, size: number, bytes: Uint8Array = new Uint8Array()): Arrival {
  if (size <= MAX_PROOF_BYTES) return { given: { name, bytes } };
  const mib = (size / (1024 * 1024)).toFixed(1);
  return { name, mistake: new Mistake('too-large', `it has ${mib} MiB`) };
}
