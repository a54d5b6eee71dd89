// The database thread from the sources, for specs.
import { register } from 'node:module';

register('../../../testing/src/typescript-hooks.mjs', import.meta.url);
await import('./database-thread.ts');
