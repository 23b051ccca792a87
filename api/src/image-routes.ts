// The routes of the REST contract that are about images, and what they and their hosts must measure; http.ts has them with all others.
import { z } from 'zod';
import { IMAGE_NAME } from './ids.ts';
import { imageSchema } from './objects.ts';
import {
  hostReferenceBuiltSchema,
  referenceAcceptedSchema,
  referenceBuiltSchema,
  referenceDiffSchema,
  referenceListSchema,
  referenceSubjectSchema,
  referenceTrialSchema,
} from './references.ts';
import { acceptedSchema, type HttpRoute } from './route-parts.ts';

export const imageListSchema = z.object({ images: z.array(imageSchema) });
export type ImageList = z.infer<typeof imageListSchema>;

export const buildImageBodySchema = z.strictObject({ rebuild: z.boolean().optional() });
export type BuildImage = z.infer<typeof buildImageBodySchema>;

/** `everything`: all that has run on this host, too, for a policy that lets nothing else run. */
export const hostReferenceBodySchema = z.strictObject({ everything: z.boolean() });
export const referenceBodySchema = z.strictObject({ subject: referenceSubjectSchema });

const imageParams = z.object({ image: z.string().regex(IMAGE_NAME) });

export const IMAGE_ROUTES = {
  listImages: {
    method: 'get',
    path: '/v1/images',
    summary: 'The images that can be built, and which are',
    status: 200,
    response: imageListSchema,
    errors: ['warden-unavailable'],
  },
  buildImage: {
    method: 'post',
    path: '/v1/images/{image}/build',
    summary: 'Builds an image, unless it is there',
    params: imageParams,
    body: buildImageBodySchema,
    status: 202,
    response: acceptedSchema,
    errors: ['bad-request', 'image-unknown', 'warden-unavailable'],
  },
  listReferences: {
    method: 'get',
    path: '/v1/references',
    summary: 'What images must measure: accepted, proposed, and accepted before',
    status: 200,
    response: referenceListSchema,
    errors: ['broker-unavailable'],
  },
  buildReference: {
    method: 'post',
    path: '/v1/images/{image}/reference',
    summary: 'Computes what machines of an image will measure, signed by this host, and proposes it to the broker',
    params: imageParams,
    status: 200,
    response: referenceBuiltSchema,
    errors: ['bad-request', 'image-unknown', 'conflict', 'warden-unavailable', 'broker-unavailable'],
  },
  hostReference: {
    method: 'post',
    path: '/v1/host/reference',
    summary:
      'What this host is by its own word: its TPM, its boot, the files that start machines; for a person to accept',
    body: hostReferenceBodySchema,
    bodyRequired: true,
    status: 200,
    response: hostReferenceBuiltSchema,
    errors: ['bad-request', 'conflict', 'host-lacks', 'too-large', 'tpm-failed', 'warden-unavailable'],
  },
  diffReference: {
    method: 'post',
    path: '/v1/references/diff',
    summary: 'What accepting it would change, as sentences',
    body: referenceBodySchema,
    bodyRequired: true,
    status: 200,
    response: referenceDiffSchema,
    errors: ['bad-request', 'not-found', 'too-large', 'broker-unavailable'],
  },
  tryReference: {
    method: 'post',
    path: '/v1/references/try',
    summary: 'What the evidence that was kept would have been judged with it; nothing is changed',
    body: referenceBodySchema,
    bodyRequired: true,
    status: 200,
    response: referenceTrialSchema,
    errors: ['bad-request', 'not-found', 'too-large', 'broker-unavailable'],
  },
  acceptReference: {
    method: 'post',
    path: '/v1/references/accept',
    summary: 'Puts it in force: what was accepted of the image before counts no longer',
    body: referenceBodySchema,
    bodyRequired: true,
    status: 200,
    response: referenceAcceptedSchema,
    errors: ['bad-request', 'not-found', 'too-large', 'broker-unavailable'],
  },
} as const satisfies Record<string, HttpRoute>;
