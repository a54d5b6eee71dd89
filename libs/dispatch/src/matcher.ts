export type MatchOperator = '=' | '!=' | '=~' | '!~';

/** One condition on a label. A label that an alert lacks counts as empty, as in Alertmanager. */
export interface Matcher {
  name: string;
  operator: MatchOperator;
  value: string;
  matches(labels: Readonly<Record<string, string>>): boolean;
  /** In Alertmanager's form, e.g. `severity=~"critical|error"`. */
  toString(): string;
}

/** A matcher that cannot be read. The message shows the text and what is wrong with it. */
export class MatcherError extends Error {
  override readonly name = 'MatcherError';
}

/**
 * Reads matchers in Alertmanager's syntax: `severity="critical"`, `team=~"db|web"`, `"a b"!="c"`; several with commas, with or without
 * braces around them. Regular expressions match the whole value. Throws `MatcherError`.
 */
export function parseMatchers(text: string): Matcher[] {
  const inner = withoutBraces(text);
  const matchers: Matcher[] = [];
  let rest = inner.trim();
  while (rest !== '') {
    const { matcher, after } = readMatcher(rest, text);
    matchers.push(matcher);
    if (after !== '' && !after.startsWith(',')) throw problem(text, `expected a comma before '${after}'`);
    rest = after.slice(1).trim();
  }
  return matchers;
}

/** Reads exactly one matcher. Throws `MatcherError`. */
export function parseMatcher(text: string): Matcher {
  const [matcher, ...others] = parseMatchers(text);
  if (!matcher || others.length > 0) throw problem(text, 'expected one matcher such as severity="critical"');
  return matcher;
}

/** What is wrong with a matcher as written in a route; `undefined` when nothing is. */
export function matcherProblem(text: string): string | undefined {
  try {
    return parseMatchers(text).length > 0
      ? undefined
      : `matcher '${text}' is empty; write one such as severity="critical"`;
  } catch (error) {
    if (error instanceof MatcherError) return error.message;
    throw error;
  }
}

export function matchesAll(matchers: readonly Matcher[], labels: Readonly<Record<string, string>>): boolean {
  return matchers.every((matcher) => matcher.matches(labels));
}

export function createMatcher(name: string, operator: MatchOperator, value: string): Matcher {
  const test = TESTS[operator](value);
  return {
    name,
    operator,
    value,
    matches: (labels) => test(labels[name] ?? ''),
    toString: () => `${isPlain(name) ? name : JSON.stringify(name)}${operator}${JSON.stringify(value)}`,
  };
}

const TESTS: Record<MatchOperator, (value: string) => (label: string) => boolean> = {
  '=': (value) => (label) => label === value,
  '!=': (value) => (label) => label !== value,
  '=~': (value) => {
    const anchored = anchoredRegex(value);
    return (label) => anchored.test(label);
  },
  '!~': (value) => {
    const anchored = anchoredRegex(value);
    return (label) => !anchored.test(label);
  },
};

// The dot matches a newline as well: Alertmanager compiles `^(?s:...)$`. RE2's leading `(?i)` is JavaScript's flag.
function anchoredRegex(value: string): RegExp {
  const [, written = '', pattern = ''] = /^(?:\(\?([ims]+)\))?(.*)$/s.exec(value) ?? [];
  const flags = [...new Set(`s${written}`)].join('');
  return new RegExp(`^(?:${pattern})$`, flags);
}

// Backslash escapes inside quotes are JSON's, which include Alertmanager's \" \\ \n.
const MATCHER = /^(?:"((?:[^"\\]|\\.)*)"|([^\s"'{}!=~,]+))\s*(=~|!~|!=|=)\s*(?:"((?:[^"\\]|\\.)*)"|([^",]*))\s*/s;

function readMatcher(rest: string, text: string): { matcher: Matcher; after: string } {
  const found = MATCHER.exec(rest);
  if (!found) throw problem(text, 'expected label, one of = != =~ !~, and a value, such as severity="critical"');

  const [whole, quotedName, plainName, operator, quotedValue, plainValue] = found;
  const name = plainName ?? unquote(quotedName as string, text);
  const value = quotedValue === undefined ? (plainValue as string).trim() : unquote(quotedValue, text);
  if (name === '') throw problem(text, 'the label has no name');
  try {
    return { matcher: createMatcher(name, operator as MatchOperator, value), after: rest.slice(whole.length) };
  } catch (cause) {
    throw new MatcherError(`matcher '${text}': '${value}' is no regular expression: ${(cause as Error).message}`, {
      cause,
    });
  }
}

// Any other escape stays as written: "\d" in a regular expression needs no second backslash here.
function unquote(quoted: string, text: string): string {
  if (/[\n\r]/.test(quoted)) throw problem(text, 'a quoted text must not contain a line break');
  return quoted.replace(/\\(.)/g, (written, character: string) => ESCAPES[character] ?? written);
}

const ESCAPES: Record<string, string> = { '"': '"', '\\': '\\', n: '\n' };

function withoutBraces(text: string): string {
  const trimmed = text.trim();
  if (!trimmed.startsWith('{')) return trimmed;
  if (!trimmed.endsWith('}')) throw problem(text, 'the opening brace is not closed');
  return trimmed.slice(1, -1);
}

function isPlain(name: string): boolean {
  return /^[A-Za-z_:][A-Za-z0-9_:]*$/.test(name);
}

function problem(text: string, message: string): MatcherError {
  return new MatcherError(`matcher '${text}': ${message}`);
}
