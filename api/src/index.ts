// The public names of @ringwall/api: schemas, ids and error codes; no logic.
export * from './errors.ts';
export * from './http.ts';
export * from './ids.ts';
export * from './objects.ts';
export * from './watch.ts';
export * from './references.ts';
export {
  buildImageBodySchema,
  hostReferenceBodySchema,
  imageListSchema,
  referenceBodySchema,
  type BuildImage,
  type ImageList,
} from './image-routes.ts';
export {
  createMachineBodySchema,
  keyRotationSchema,
  logsSchema,
  machineListSchema,
  stopMachineBodySchema,
  type KeyRotation,
  type Logs,
  type MachineList,
  type StopMachine,
} from './machine-routes.ts';
export { acceptedSchema, createdMachineSchema, proofSchema, type HttpRoute } from './route-parts.ts';
