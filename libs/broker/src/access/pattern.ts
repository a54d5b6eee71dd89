import { type Context, createContext, Script } from 'node:vm';

/** Longer ones are refused. */
export const PATTERN_CHARACTERS_MAX = 1_000;
/** Answers remembered by each pattern; when it is full it starts anew. */
export const ANSWERS_MAX = 1_000;
/** A pattern that takes longer twice is given up: it allows nothing until it is set again. */
export const MATCH_MS_MAX = 100;

/** A permission that cannot be understood; the text says why. */
export class PatternError extends Error {}

/**
 * A regular expression of a permission: found anywhere in the name, and an empty one allows nothing, as on RabbitMQ. Compiled once,
 * and no name makes it hang: what could backtrack without end runs under a time limit, and every answer is remembered.
 */
export class Pattern {
  readonly #expression: RegExp;
  readonly #isForAll: boolean;
  readonly #isQuick: boolean;
  readonly #answers = new Map<string, boolean>();
  #isGivenUp = false;

  /** `report` hears when the pattern was given up. Throws PatternError. */
  constructor(
    readonly source: string,
    private readonly report: (text: string) => void = () => {},
  ) {
    this.#expression = compile(source);
    this.#isForAll = source === '.*';
    this.#isQuick = isQuick(this.#expression.source);
  }

  allows(text: string): boolean {
    if (this.#isForAll) return true;
    const known = this.#answers.get(text);
    if (known !== undefined) return known;
    const answer = this.#isQuick ? this.#expression.test(text) : this.#matchesInTime(text);
    if (this.#answers.size >= ANSWERS_MAX) this.#answers.clear();
    this.#answers.set(text, answer);
    return answer;
  }

  /** Twice, because the first time the machine and not the pattern may have been slow. */
  #matchesInTime(text: string): boolean {
    if (this.#isGivenUp) return false;
    const answer = matchWithin(this.#expression, text) ?? matchWithin(this.#expression, text);
    if (answer !== undefined) return answer;
    this.#isGivenUp = true;
    this.report(
      `permission pattern '${this.source}' took more than ${MATCH_MS_MAX} ms twice and allows nothing from now on; write it without nested repetitions`,
    );
    return false;
  }
}

/** RabbitMQ's expressions are PCRE. What JavaScript would read otherwise is translated or refused, never guessed at. */
function compile(source: string): RegExp {
  if (source.length > PATTERN_CHARACTERS_MAX) {
    throw new PatternError(`a pattern has at most ${PATTERN_CHARACTERS_MAX} characters, not ${source.length}`);
  }
  const isCaseless = source.startsWith('(?i)');
  const translated = translate(isCaseless ? source.slice('(?i)'.length) : source);
  try {
    return new RegExp(source === '' ? '^$' : translated, isCaseless ? 'i' : '');
  } catch (error) {
    throw new PatternError((error as Error).message);
  }
}

/** A backslash with its character, a class, or one other character. */
const PIECES = /\\[\s\S]|\[\^?\]?(?:\\[\s\S]|[^\]\\])*\]|[\s\S]/g;
const ANCHORS: Readonly<Record<string, string>> = { '\\A': '^', '\\z': '$', '\\Z': '$' };
const SAME_ESCAPES = /^\\(?:[^A-Za-z]|[bBdDwWsSfnrtxck])$/;

function translate(source: string): string {
  const pieces = source.match(PIECES) ?? [];
  return pieces.map((piece) => ANCHORS[piece] ?? checked(piece)).join('');
}

function checked(piece: string): string {
  if (piece.startsWith('\\') && !SAME_ESCAPES.test(piece)) {
    throw new PatternError(`'${piece}' is not understood here; write it out`);
  }
  if (!piece.startsWith('[') || piece.length === 1) return piece;
  const escapes = piece.match(/\\[\s\S]/g) ?? [];
  for (const each of escapes) if (each !== '\\b') checked(each);
  if (/^\[\^?\]/.test(piece)) throw new PatternError(`write the ']' at the beginning of '${piece}' as '\\]'`);
  if (piece.slice(1).includes('[:'))
    throw new PatternError(`'${piece}': character classes by name are not understood here`);
  return piece;
}

/**
 * Whether it cannot take long on a name of 255 bytes: at most two repetitions and no group, or one of each, the group not repeated.
 * Its time grows with the third power of the name's length at worst: some milliseconds.
 */
function isQuick(source: string): boolean {
  const rest = source.replace(/\\[^1-9]/g, 'x').replace(/\[(?:\\.|[^\]\\])*\]/g, 'x');
  if (/\\|\(\?[^:]|\)[*+?{]/.test(rest)) return false;
  const repetitions = rest.replace(/\(\?:/g, '(').match(/[*+?{]/g)?.length ?? 0;
  const groups = rest.match(/\(/g)?.length ?? 0;
  return groups === 0 ? repetitions <= 2 : groups === 1 && repetitions <= 1;
}

let room: { context: Context; script: Script } | undefined;

/** Undefined when it took too long. A regular expression can be interrupted only where a script can. */
function matchWithin(expression: RegExp, text: string): boolean | undefined {
  room ??= { context: createContext(Object.create(null)), script: new Script('expression.test(text)') };
  Object.assign(room.context, { expression, text });
  try {
    return room.script.runInContext(room.context, { timeout: MATCH_MS_MAX }) as boolean;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') return undefined;
    throw error;
  }
}
