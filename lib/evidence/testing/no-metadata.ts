// Answers every question for decorator metadata with "there is none". See x509.ts; evaluated before it by its import.
for (const name of ['getMetadata', 'getOwnMetadata', 'defineMetadata']) {
  if (name in Reflect) continue;
  Object.defineProperty(Reflect, name, { value: () => undefined, configurable: true, writable: true });
}
