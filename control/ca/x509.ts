// @peculiar/x509, made to load: its container of algorithms (tsyringe) insists on the reflect-metadata polyfill, but
// registers only classes without constructor parameters, for which "no metadata" is the right answer.
import './no-metadata.ts';
export * from '@peculiar/x509';
