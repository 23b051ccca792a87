// What is wrong with an image that was read, by all rules and by the advisories of this host.
import {
  IMAGE_RULES,
  judgeImage,
  vulnerabilityRule,
  type Finding,
  type Heeded,
  type InspectedImage,
} from '@ringwall/oci';
import type { Invocation } from '../invocation.ts';
import { withAdvisories } from './advisories.ts';

export function judgeFindings(invocation: Invocation, image: InspectedImage, heed: Heeded): readonly Finding[] {
  return withAdvisories(invocation, (source) => judgeImage(image, [...IMAGE_RULES, vulnerabilityRule(source, heed)]));
}
