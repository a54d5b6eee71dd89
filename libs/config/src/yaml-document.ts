import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, visit } from 'yaml';
import { ConfigurationError, type ConfigurationProblem } from './configuration-error.js';
import { nearestName } from './nearest.js';

export type YamlPath = readonly (string | number)[];

/** A YAML file with `${ENV}` and `file:` resolved, which still knows on which line each value stands. */
export interface YamlDocument {
  value: unknown;
  /** `tocsin.yaml:12` of the value at `path`, or of the nearest parent that exists; with `ofKey`, of the key itself. */
  where(path: YamlPath, ofKey?: boolean): string;
}

/** @param section resolves the references of this top-level key alone; the others stay as written */
export function readYaml(text: string, file: string, environment: NodeJS.ProcessEnv, section?: string): YamlDocument {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const at = (offset: number) => `${file}:${lines.linePos(offset).line || 1}`;
  const syntax = document.errors.map((error) => ({ where: at(error.pos[0]), message: firstLine(error.message) }));
  if (syntax.length > 0) throw new ConfigurationError(syntax);

  const problems = resolveReferences(section === undefined ? document : sectionOf(document, section), {
    environment,
    folder: dirname(file),
    at,
  });
  if (problems.length > 0) throw new ConfigurationError(problems);
  return {
    value: document.toJS({ maxAliasCount: 100 }),
    where: (path, ofKey = false) => at(offsetOf(document, path, ofKey)),
  };
}

/** yaml appends " at line 1, column 2:" and a drawing; the line is in `where` already. */
function firstLine(message: string): string {
  return message.split('\n')[0]!.replace(/ at line \d+, column \d+:?$/, '');
}

interface References {
  environment: NodeJS.ProcessEnv;
  folder: string;
  at: (offset: number) => string;
}

/** Keys are left alone: a reference is a value. */
function resolveReferences(
  part: Document.Parsed | Node | undefined,
  { environment, folder, at }: References,
): ConfigurationProblem[] {
  const problems: ConfigurationProblem[] = [];
  if (part === undefined) return problems;
  visit(part, {
    Scalar(key, node) {
      if (key === 'key' || typeof node.value !== 'string') return;
      try {
        node.value = resolveReference(node.value, environment, folder);
      } catch (error) {
        if (!(error instanceof ReferenceProblem)) throw error;
        problems.push({ where: at(node.range?.[0] ?? 0), message: error.message });
      }
    },
  });
  return problems;
}

function sectionOf(document: Document.Parsed, name: string): Node | undefined {
  return isMap(document.contents) ? (document.contents.get(name, true) as Node | undefined) : undefined;
}

class ReferenceProblem extends Error {}

/** `${NAME}` anywhere in a string is the variable's value, `$$` is a dollar sign, `file:path` is that file's content without its last line end. */
function resolveReference(text: string, environment: NodeJS.ProcessEnv, folder: string): string {
  const resolved = text.replace(/\$\$|\$\{([^}]*)\}?/g, (reference, name?: string) =>
    reference === '$$' ? '$' : variable(reference, name ?? '', environment),
  );
  return text.startsWith('file:') ? fileContent(resolve(folder, resolved.slice('file:'.length))) : resolved;
}

function variable(reference: string, name: string, environment: NodeJS.ProcessEnv): string {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) || !reference.endsWith('}')) {
    throw new ReferenceProblem(`'${reference}' is no reference; write \${NAME}, or $\${ for a plain \${`);
  }
  const value = environment[name];
  if (value !== undefined) return value;
  const nearest = nearestName(name, Object.keys(environment));
  const hint = nearest === undefined ? '' : ` (but ${nearest} is)`;
  throw new ReferenceProblem(
    `environment variable ${name} is not set${hint}; set it, or write $\${${name}} for the plain text`,
  );
}

function fileContent(path: string): string {
  try {
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    throw new ReferenceProblem(`cannot read '${path}' (${(error as NodeJS.ErrnoException).code ?? String(error)})`);
  }
}

/** Walks as far as the path leads; a missing key is reported at the key of the map that should have it. */
function offsetOf(document: Document.Parsed, path: YamlPath, ofKey: boolean): number {
  let node = document.contents as Node | null;
  let keyOffset = node?.range?.[0] ?? 0;
  for (const step of path) {
    const found = child(document, node, step);
    if (!found) return keyOffset;
    keyOffset = found.key.range?.[0] ?? keyOffset;
    node = found.value;
  }
  return ofKey ? keyOffset : (node?.range?.[0] ?? keyOffset);
}

function child(document: Document.Parsed, parent: Node | null, step: string | number) {
  const node = isAlias(parent) ? (parent.resolve(document) ?? null) : parent;
  if (isSeq(node)) {
    const item = node.items[Number(step)] as Node | undefined;
    return item ? { key: item, value: item } : undefined;
  }
  if (!isMap(node)) return undefined;
  const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(step));
  return pair ? { key: pair.key as Node, value: pair.value as Node | null } : undefined;
}
