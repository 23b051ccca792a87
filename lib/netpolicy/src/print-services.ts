// Services as people read them: `any` where it is all of them, `any but tcp/5432` where little is left out, else the first ranges.
import { lastOf, MAX_PROTOCOL, parseService, printService, type ServiceRange } from './service.ts';

/** What one line has room for. */
const MAX_RANGES_SHOWN = 8;
const MAX_GAPS_SHOWN = 3;
const ECHO_REQUESTS: readonly string[] = parseService('ping', '').map((range) => printService(range));

/** `ranges` do not overlap. */
export function printServices(ranges: readonly ServiceRange[]): string[] {
  const gaps = gapsOf(ranges);
  if (gaps.length === 0) return ['any'];
  if (gaps.length <= MAX_GAPS_SHOWN) return [`any but ${gaps.map((gap) => printService(gap)).join(' and ')}`];
  const texts = asPing(ranges.map((range) => printService(range)));
  const shown = texts.slice(0, MAX_RANGES_SHOWN);
  return texts.length > shown.length ? [...shown, `and ${texts.length - shown.length} more`] : shown;
}

/** Echo requests of both families have one name. */
function asPing(texts: readonly string[]): readonly string[] {
  if (!ECHO_REQUESTS.every((text) => texts.includes(text))) return texts;
  return ['ping', ...texts.filter((text) => !ECHO_REQUESTS.includes(text))];
}

/** What of all services is not there; more than are shown are not looked for. */
function gapsOf(ranges: readonly ServiceRange[]): ServiceRange[] {
  const gaps: ServiceRange[] = [];
  const byProtocol = Map.groupBy(ranges, ({ protocol }) => protocol);
  for (let protocol = 0; protocol <= MAX_PROTOCOL && gaps.length <= MAX_GAPS_SHOWN; protocol += 1) {
    const own = (byProtocol.get(protocol) ?? []).toSorted((a, b) => a.first - b.first);
    let next = 0;
    for (const { first, last } of own) {
      if (first > next) gaps.push({ protocol, first: next, last: first - 1 });
      next = last + 1;
    }
    if (next <= lastOf(protocol)) gaps.push({ protocol, first: next, last: lastOf(protocol) });
  }
  return gaps;
}
