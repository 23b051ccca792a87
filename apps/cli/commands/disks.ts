// `ringwall disks`: the imported disks of this host.
import type { ShownDisk } from '@ringwall/api/disks';
import { shownName } from '../disk/file-names.ts';
import { printJson, type Invocation } from '../invocation.ts';
import { formatBytes } from '../quantities.ts';
import { renderTable, type Cell, type Column } from '../table.ts';

export async function run(invocation: Invocation): Promise<void> {
  const { out, json, self } = invocation;
  const list = await invocation.withApi((api) => api.call('listDisks'));
  if (json) {
    printJson(invocation, list);
    return;
  }
  if (list.disks.length === 0) {
    out.line(`No disks. Import one: ${self} disk import IMAGE --name NAME`);
    return;
  }
  for (const line of renderTable(out, COLUMNS, list.disks.map(rowOf))) out.line(line);
}

const COLUMNS: readonly Column[] = [
  { title: 'NAME' },
  { title: 'SIZE', align: 'right' },
  { title: 'STATE' },
  { title: 'MACHINE' },
  { title: 'FROM', elastic: true },
];

function rowOf({ name, spec, status, machine }: ShownDisk): Cell[] {
  const { format, name: file } = spec.source;
  const state = status.phase === 'ready' ? {} : ({ style: 'yellow' } as const);
  return [
    { text: name },
    { text: formatBytes(spec.sizeBytes) },
    { text: status.phase, ...state },
    { text: machine ?? '-' },
    { text: `${shownName(file)} (${shownName(format)})` },
  ];
}
