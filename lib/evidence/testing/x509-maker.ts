// @peculiar/x509, made to load in tests, which make certificates with it: its container (tsyringe) insists on the
// reflect-metadata polyfill, but registers only classes without constructor parameters.
import './no-metadata.ts';
export * from '@peculiar/x509';
