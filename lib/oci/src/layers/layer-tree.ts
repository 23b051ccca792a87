// The files of an image, layer upon layer: which layer brought each, and what a later one hid. OCI Image Specification 1.1,
// "Whiteouts" and "Opaque Whiteout". What is hidden is still carried by the image, so it is kept here.
import type { TarEntry } from './tar-entry.ts';

const PREFIX = '.wh.';
const OPAQUE = '.wh..wh..opq';
/** Records of aufs itself (`.wh..wh.plnk`), which hide nothing. */
const OF_AUFS = '.wh..wh.';

export interface ImageFile {
  readonly entry: TarEntry;
  /** The layer that brought it, counted from 0, the base. */
  readonly layer: number;
  /** The layer that deleted or replaced it. */
  readonly hiddenBy: number | undefined;
}

export interface LayerTree {
  /** Layers in order, entries in the order of their archive. */
  readonly add: (layer: number, entry: TarEntry) => void;
  /** What a container would see. */
  readonly visible: () => readonly ImageFile[];
  /** What is in the image and not to be seen. */
  readonly hidden: () => readonly ImageFile[];
}

interface Node {
  file: ImageFile | undefined;
  /** undefined for what has none, which is nearly all: an empty map has some hundred bytes. */
  children: Map<string, Node> | undefined;
  /** The layer whose turn it was when all below was hidden: what came before it is gone already. */
  clearedFor: number;
}

export function openLayerTree(): LayerTree {
  const root: Node = { file: undefined, children: undefined, clearedFor: 0 };
  const hidden: ImageFile[] = [];

  /** Only what came with layers below: a whiteout says nothing of its own layer. */
  const hide = (node: Node, layer: number, itself: boolean): void => {
    const open: Node[] = [node];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      const { file } = next;
      if (file !== undefined && file.layer < layer && (itself || next !== node)) {
        hidden.push({ ...file, hiddenBy: layer });
        next.file = undefined;
      }
      if (next.clearedFor >= layer) continue;
      next.clearedFor = layer;
      if (next.children === undefined) continue;
      for (const child of next.children.values()) open.push(child);
    }
  };
  /** Entries of a folder follow each other. */
  let last = { path: '', node: root };
  const folderAt = (path: string): Node => {
    if (path !== last.path) last = { path, node: partsOf(path).reduce(childOf, root) };
    return last.node;
  };
  const add = (layer: number, entry: TarEntry): void => {
    const slash = entry.path.lastIndexOf('/');
    const name = entry.path.slice(slash + 1);
    if (name.startsWith(PREFIX)) {
      const folder = find(root, partsOf(entry.path).slice(0, -1));
      const deleted =
        name === OPAQUE || name.startsWith(OF_AUFS) ? undefined : folder?.children?.get(name.slice(PREFIX.length));
      if (folder !== undefined && name === OPAQUE) hide(folder, layer, false);
      if (deleted !== undefined) hide(deleted, layer, true);
      return;
    }
    const node = name === '' ? root : childOf(folderAt(entry.path.slice(0, Math.max(0, slash))), name);
    const before = node.file;
    // A folder over a folder keeps what is in it; anything else takes its place.
    if (entry.type !== 'directory') hide(node, layer, false);
    if (before !== undefined) hidden.push({ ...before, hiddenBy: layer });
    node.file = { entry, layer, hiddenBy: undefined };
  };
  return {
    add,
    visible: () => filesBelow(root),
    hidden: () => hidden.filter(({ entry }) => entry.type !== 'directory'),
  };
}

function find(root: Node, parts: readonly string[]): Node | undefined {
  let node: Node | undefined = root;
  for (const part of parts) node = node?.children?.get(part);
  return node;
}

function partsOf(path: string): readonly string[] {
  return path === '' ? [] : path.split('/');
}

function childOf(node: Node, name: string): Node {
  node.children ??= new Map();
  const known = node.children.get(name);
  if (known !== undefined) return known;
  const made: Node = { file: undefined, children: undefined, clearedFor: 0 };
  node.children.set(name, made);
  return made;
}

function filesBelow(root: Node): readonly ImageFile[] {
  const files: ImageFile[] = [];
  const open: Node[] = [root];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (node.file !== undefined) files.push(node.file);
    if (node.children === undefined) continue;
    // The first of them shall be taken next.
    const first = open.length;
    for (const child of node.children.values()) open.push(child);
    for (let one = first, other = open.length - 1; one < other; one += 1, other -= 1)
      [open[one], open[other]] = [open[other] ?? root, open[one] ?? root];
  }
  return files;
}
