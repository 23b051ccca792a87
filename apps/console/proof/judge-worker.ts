// Where bundles are parsed and judged: a worker, so that no bundle can make the page stand still.
import { answerOf, type Question } from './judgement.ts';

self.addEventListener('message', (event: MessageEvent<Question>) => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- between a page and its worker there is none
  void answerOf(event.data).then((answer) => self.postMessage(answer));
});
