// `ringwall scrub`: whether a sealed file is whole, without a key.
import { nativeBlake3 } from '@ringwall/host/seal';
import { scrub } from '@ringwall/seal';
import { EXIT_CODES } from '../exit-codes.ts';
import { argumentOf, printJson, type Invocation } from '../invocation.ts';
import { formatBytes } from '../quantities.ts';
import { openInput } from '../sealed/ends.ts';
import { aboutSealed } from '../sealed/seal-trouble.ts';
import { Steps } from '../sealed/steps.ts';

export async function run(invocation: Invocation): Promise<number> {
  const { out, json } = invocation;
  const file = argumentOf(invocation, 0);
  using progress = invocation.progress();
  await using ends = new AsyncDisposableStack();
  const input = ends.adopt(await openInput(file, true), ({ close }) => close());
  const steps = new Steps(progress, 'reading', file, input.file?.bytes);
  const report = await aboutSealed(file, () => scrub(steps.counted(input.stream()), nativeBlake3));
  progress.clear();
  const { damages, damaged, records, root, rootFits } = report;
  const isWhole = damaged === 0 && rootFits;
  if (json) printJson(invocation, { file, whole: isWhole, ...report });
  else if (isWhole) {
    out.line(`${out.tick} all ${String(records)} records are as their digests say`);
    out.line(`  root ${root}`);
    out.line('  it tells damage, not malice: only the root that seal printed shows that nobody made another object');
  } else {
    out.line(`${out.cross} ${String(damaged)} of ${String(records)} records are damaged`);
    for (const { chunk, offset, bytes } of damages) {
      out.line(`  chunk ${String(chunk)}, at byte ${String(offset)}: ${formatBytes(bytes)} of the contents`);
    }
    if (!rootFits) out.line('  the tree is not the one that was sealed');
  }
  return isWhole ? EXIT_CODES.ok.code : EXIT_CODES.refused.code;
}
