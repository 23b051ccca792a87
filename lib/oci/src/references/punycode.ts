// Punycode, the ASCII form of a Unicode host label (RFC 3492, with the parameters of section 5). A label that does not
// decode to text that encodes back to it is refused: one name, one spelling.

const BASE = 36;
const TMIN = 1;
const TMAX = 26;
const SKEW = 38;
const DAMP = 700;
const INITIAL_BIAS = 72;
const INITIAL_N = 0x80;
const MAX_CODE_POINT = 0x10ffff;
/** A label of DNS (RFC 1035 section 2.3.4), which also keeps the quadratic encoder small. */
export const MAX_LABEL_CHARACTERS = 63;

/** Without the prefix `xn--`. Undefined where the label would be too long for DNS. */
export function encodePunycode(label: string): string | undefined {
  const input = Array.from(label, (character) => character.codePointAt(0) ?? 0);
  if (input.length > MAX_LABEL_CHARACTERS) return undefined;
  const basic = input.filter((code) => code < INITIAL_N);
  let output = String.fromCodePoint(...basic) + (basic.length > 0 ? '-' : '');
  let [n, delta, bias, handled] = [INITIAL_N, 0, INITIAL_BIAS, basic.length];
  while (handled < input.length) {
    const next = Math.min(...input.filter((code) => code >= n));
    delta += (next - n) * (handled + 1);
    n = next;
    for (const code of input) {
      if (code < n) delta += 1;
      if (code !== n) continue;
      output += variableLength(delta, bias);
      bias = adapt(delta, handled + 1, handled === basic.length);
      delta = 0;
      handled += 1;
    }
    delta += 1;
    n += 1;
  }
  return output.length > MAX_LABEL_CHARACTERS ? undefined : output;
}

/** Without the prefix `xn--`. Undefined where it is no punycode, or another spelling of one. */
export function decodePunycode(encoded: string): string | undefined {
  if (encoded.length > MAX_LABEL_CHARACTERS) return undefined;
  const delimiter = encoded.lastIndexOf('-');
  const output = Array.from(encoded.slice(0, Math.max(0, delimiter)), (character) => character.codePointAt(0) ?? 0);
  let at = delimiter < 0 ? 0 : delimiter + 1;
  let [n, i, bias] = [INITIAL_N, 0, INITIAL_BIAS];
  while (at < encoded.length) {
    const before = i;
    let weight = 1;
    for (let k = BASE; ; k += BASE) {
      const digit = digitOf(encoded.charCodeAt(at));
      at += 1;
      if (digit === undefined) return undefined;
      i += digit * weight;
      const threshold = thresholdOf(k, bias);
      if (digit < threshold) break;
      weight *= BASE - threshold;
      if (weight > MAX_CODE_POINT * BASE) return undefined;
    }
    bias = adapt(i - before, output.length + 1, before === 0);
    n += Math.floor(i / (output.length + 1));
    if (n > MAX_CODE_POINT || (n >= 0xd800 && n <= 0xdfff)) return undefined;
    i %= output.length + 1;
    output.splice(i, 0, n);
    i += 1;
  }
  const label = String.fromCodePoint(...output);
  return encodePunycode(label) === encoded ? label : undefined;
}

function variableLength(delta: number, bias: number): string {
  let text = '';
  let rest = delta;
  for (let k = BASE; ; k += BASE) {
    const threshold = thresholdOf(k, bias);
    if (rest < threshold) return text + characterOf(rest);
    const digit = threshold + ((rest - threshold) % (BASE - threshold));
    text += characterOf(digit);
    rest = Math.floor((rest - threshold) / (BASE - threshold));
  }
}

/** a to z, then 0 to 9. */
function characterOf(value: number): string {
  return String.fromCharCode(value < 26 ? 0x61 + value : 0x30 + value - 26);
}

function digitOf(code: number): number | undefined {
  if (code >= 0x61 && code <= 0x7a) return code - 0x61;
  if (code >= 0x30 && code <= 0x39) return code - 0x30 + 26;
  return undefined;
}

function thresholdOf(k: number, bias: number): number {
  return Math.min(TMAX, Math.max(TMIN, k - bias));
}

function adapt(delta: number, points: number, first: boolean): number {
  let rest = first ? Math.floor(delta / DAMP) : delta >> 1;
  rest += Math.floor(rest / points);
  let k = 0;
  for (; rest > ((BASE - TMIN) * TMAX) >> 1; k += BASE) rest = Math.floor(rest / (BASE - TMIN));
  return k + Math.floor(((BASE - TMIN + 1) * rest) / (rest + SKEW));
}
