// Module hooks with which a child process of a spec runs the TypeScript sources, as Jest does in the spec itself.
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { transform } from '@swc/core';

const ROOT = new URL('../../../', import.meta.url);
const LIBRARIES = JSON.parse(readFileSync(new URL('package.json', ROOT), 'utf8')).imports;

export function resolve(specifier, context, next) {
  if (specifier in LIBRARIES)
    return next(source(new URL(LIBRARIES[specifier].replace('./dist/', './'), ROOT)), context);
  if (/^\.\.?\/.*\.js$/.test(specifier)) return next(source(new URL(specifier, context.parentURL)), context);
  return next(specifier, context);
}

export async function load(url, context, next) {
  if (!url.endsWith('.ts')) return next(url, context);
  const { code } = await transform(readFileSync(fileURLToPath(url), 'utf8'), {
    jsc: { target: 'es2022', parser: { syntax: 'typescript', decorators: true } },
    module: { type: 'es6' },
  });
  return { format: 'module', source: code, shortCircuit: true };
}

function source(url) {
  const typescript = new URL(url.href.replace(/\.js$/, '.ts'));
  return (existsSync(typescript) ? typescript : url).href;
}
