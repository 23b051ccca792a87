// Takes bytes of a stranger apart: `node examples/read-response.ts HEX` reads the header of a TPM's response, and says
// what is wrong where it is none, with the field and the byte.
import { Cursor, fromHex, ParseError } from '@ringwall/bytes';

const [hex = ''] = process.argv.slice(2);
try {
  const bytes = fromHex(hex);
  const cursor = new Cursor(bytes);
  const [tag, size, code] = [cursor.u16be('tag'), cursor.u32be('responseSize'), cursor.u32be('responseCode')];
  if (size !== bytes.length) throw cursor.error('invalid', 'responseSize', `${size}, expected ${bytes.length}`);
  process.stdout.write(`tag 0x${tag.toString(16)}, code 0x${code.toString(16)}, ${cursor.remaining} bytes of body\n`);
} catch (error) {
  if (!(error instanceof ParseError)) throw error;
  process.stdout.write(`${error.code} at byte ${error.offset}: ${error.message}\n`);
  process.exitCode = 1;
}
