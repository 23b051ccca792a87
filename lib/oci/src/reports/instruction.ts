// `created_by` of a history as the Dockerfile's author wrote it. Docker's classic builder marks what runs nothing with `#(nop)`,
// BuildKit ends lines with `# buildkit`; both put the shell before a RUN, and build arguments as `|1 name=value`.

export function instructionOf(createdBy: string): string {
  const text = createdBy.replace(/\s+# buildkit$/, '').trim();
  const nop = /^\/bin\/sh -c #\(nop\)\s+(?<rest>[^]*)$/.exec(text)?.groups?.['rest'];
  if (nop !== undefined) return nop.trim();
  const isRun = /^RUN\s/.test(text);
  const run = text.replace(/^RUN\s+/, '');
  const shell = /^(?:\|\d{1,3} [^]*?)?\/bin\/(?:ba|a|da)?sh -[a-z]{0,6}(?:c|o pipefail -c) (?<rest>[^]*)$/.exec(run)
    ?.groups?.['rest'];
  if (shell !== undefined) return `RUN ${shell.trim()}`;
  return isRun ? `RUN ${run.trim()}` : text;
}
