// Paths from before and after the merge of /usr, as one: databases from before say `lib/…` where the image has `usr/lib/…`.

export function mergedPath(path: string): string {
  return /^(?:bin|sbin|lib|lib32|lib64|libx32)\//.test(path) ? `usr/${path}` : path;
}
