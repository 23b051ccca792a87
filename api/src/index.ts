// The public names of @ringwall/api: schemas, ids and error codes; no logic.
export * from './errors.ts';
export * from './http.ts';
export * from './ids.ts';
export * from './objects.ts';
export * from './watch.ts';
export * from './references.ts';
export { acceptedSchema, createdMachineSchema } from './route-parts.ts';
