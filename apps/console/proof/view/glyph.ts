// The picture of a link: a ring that is whole, dashed, open or dotted, with a sign in it. Shape and sign say the state
// as well as the colour does.
import type { LinkState } from '@ringwall/evidence';
import { svg } from '../dom.ts';

/** On a field of 40 by 40; the ring has the radius 17, so its way round is 106.8. */
const RINGS: Readonly<Record<LinkState, { readonly dashes: string | undefined; readonly sign: string }>> = {
  holds: { dashes: undefined, sign: 'M12.5 20.5l5.2 5.2L27.8 15' },
  claimed: { dashes: '7.1 3.58', sign: 'M15.8 16.4a4.3 4.3 0 1 1 6.3 3.8c-1.4.8-2.1 1.4-2.1 3M20 27.2v.1' },
  broken: { dashes: '80.8 26', sign: 'M14.5 14.5l11 11M25.5 14.5l-11 11' },
  absent: { dashes: '.1 5.24', sign: 'M15.5 20h9' },
};

export function ring(state: LinkState): SVGSVGElement {
  const { dashes, sign } = RINGS[state];
  return svg(
    'svg',
    { class: 'ring', viewBox: '0 0 40 40', 'aria-hidden': 'true', focusable: 'false', 'data-state': state },
    svg('circle', { cx: '20', cy: '20', r: '17', 'stroke-dasharray': dashes, transform: 'rotate(-58 20 20)' }),
    svg('path', { d: sign }),
  );
}
