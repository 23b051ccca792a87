import { describe, expect, it } from 'vitest';
import { withCrc32 } from '../../../testing/secret-corpus.ts';
import { hideSecrets } from './hide-secrets.ts';

describe('hideSecrets()', () => {
  it.each([
    ["RUN echo 'root:toor' | chpasswd", "RUN echo 'root:[secret]' | chpasswd"],
    ['RUN printf "a:b1\\nb:c2\\n" | chpasswd', 'RUN printf "a:[secret]\\nb:[secret]\\n" | chpasswd'],
    ['RUN echo toor | passwd --stdin root', 'RUN echo [secret] | passwd --stdin root'],
    ["RUN useradd -p '$6$a$b' ada", 'RUN useradd -p [secret] ada'],
    ['RUN |1 NPM_TOKEN=k3Fq-9zLw2x /bin/sh -c npm ci', 'RUN |1 NPM_TOKEN=[secret] /bin/sh -c npm ci'],
    ['ENV DB_PASSWORD="k3Fq-9zLw2x" A=b', 'ENV DB_PASSWORD=[secret] A=b'],
    [`RUN git clone https://x:${withCrc32('ghp_')}@github.com/a`, 'RUN git clone [secret]/a'],
    [
      'RUN apt-get install -y a=1:2.3-4 && passwd --lock root',
      'RUN apt-get install -y a=1:2.3-4 && passwd --lock root',
    ],
    ['COPY --chown=1000:1000 a /b', 'COPY --chown=1000:1000 a /b'],
  ])('shows %s as %s', (instruction, shown) => {
    expect(hideSecrets(instruction)).toBe(shown);
  });
});
