import type { Field, Table } from '#amqp-codec';

/*
 * Values as the dialogues and transcripts write them:
 *
 *   abc "a b"   long string        {key: value, ...}   table        l:5 b:1 B:1 s:1 u:1 i:1 T:5   other integers
 *   5           signed 32 bit      [value, ...]        array        f:1.5 d:1.5 D:scale/value     fractions
 *   true false  boolean            V                   void         x:00ff                        bytes
 *
 * A run of one character may be written c*count, with anything before it: k*255, ~q*100.
 */

/** Reads words and values off one line of a dialogue. */
export class TextReader {
  at = 0;

  constructor(readonly text: string) {}

  get isAtEnd(): boolean {
    this.skipSpace();
    return this.at >= this.text.length;
  }

  skipSpace(): void {
    while (this.text[this.at] === ' ') this.at++;
  }

  peek(): string {
    this.skipSpace();
    return this.text[this.at] ?? '';
  }

  takes(mark: string): boolean {
    if (this.peek() !== mark) return false;
    this.at++;
    return true;
  }

  /** A quoted string, or everything up to a space or one of `,]}` and, for keys, `:` or `=`. */
  word(stops = ' ,]}'): string {
    if (this.peek() === '"') return this.#quoted();
    const start = this.at;
    while (this.at < this.text.length && !stops.includes(this.text[this.at]!)) this.at++;
    if (this.at === start) throw new Error(`a word is due at column ${start + 1} of '${this.text}'`);
    return withRuns(this.text.slice(start, this.at));
  }

  field(): Field {
    const next = this.peek();
    if (next === '{') return { tag: 'F', value: this.table() };
    if (next === '[') return { tag: 'A', value: this.#array() };
    if (next === '"') return { tag: 'S', value: this.word() };
    return fieldOf(this.word());
  }

  table(): Table {
    const entries: [string, Field][] = [];
    this.#expect('{');
    while (!this.takes('}')) {
      const key = this.word(' :}');
      this.#expect(':');
      entries.push([key, this.field()]);
      this.takes(',');
    }
    return entries;
  }

  #array(): Field[] {
    const values: Field[] = [];
    this.#expect('[');
    while (!this.takes(']')) {
      values.push(this.field());
      this.takes(',');
    }
    return values;
  }

  #expect(mark: string): void {
    if (!this.takes(mark)) throw new Error(`'${mark}' is due at column ${this.at + 1} of '${this.text}'`);
  }

  #quoted(): string {
    const match = /^"(?:[^"\\]|\\.)*"/.exec(this.text.slice(this.at));
    if (!match) throw new Error(`unfinished string in '${this.text}'`);
    this.at += match[0].length;
    return JSON.parse(match[0]) as string;
  }
}

function withRuns(word: string): string {
  const run = /^(.*?)(.)\*(\d+)$/u.exec(word);
  return run ? run[1]! + run[2]!.repeat(Number(run[3])) : word;
}

function fieldOf(word: string): Field {
  if (word === 'V') return { tag: 'V' };
  if (word === 'true' || word === 'false') return { tag: 't', value: word === 'true' };
  if (/^-?\d+$/.test(word)) return { tag: 'I', value: Number(word) };
  const typed = /^([bBsuIilLTfdDx]):(.*)$/.exec(word);
  if (!typed) return { tag: 'S', value: word };
  const [, tag, text] = typed as unknown as [string, string, string];
  switch (tag) {
    case 'l':
    case 'L':
    case 'T':
      return { tag, value: BigInt(text) };
    case 'D': {
      const [scale, value] = text.split('/');
      return { tag, scale: Number(scale), value: Number(value) };
    }
    case 'x':
      return { tag, value: Buffer.from(text, 'hex') };
    default:
      return { tag: tag as 'I', value: Number(text) };
  }
}

export function textOfTable(table: Table): string {
  return `{${table.map(([key, field]) => `${textOfString(key)}: ${textOfField(field)}`).join(', ')}}`;
}

function textOfField(field: Field): string {
  switch (field.tag) {
    case 'V':
      return 'V';
    case 't':
    case 'I':
      return String(field.value);
    case 'S':
      return JSON.stringify(shortened(field.value));
    case 'F':
      return textOfTable(field.value);
    case 'A':
      return `[${field.value.map(textOfField).join(', ')}]`;
    case 'D':
      return `D:${field.scale}/${field.value}`;
    case 'x':
      return `x:${field.value.toString('hex')}`;
    case 'T':
      return isNow(field.value) ? 'T:now' : `T:${field.value}`;
    default:
      return `${field.tag}:${field.value}`;
  }
}

/** Without quotes where it is one plain word. */
export function textOfString(text: string): string {
  return /^[\w.~#/*-]+$/.test(text) && text.length < RUN_MIN ? text : JSON.stringify(shortened(text));
}

const RUN_MIN = 32;

/** Runs of one character, which long names and bodies consist of, by their length. */
function shortened(text: string): string {
  return text.replace(/(.)\1{31,}/gsu, (run, character: string) => `(${character}*${run.length / character.length})`);
}

const NOW_SECONDS = 3600;

/** The server's clock, in x-death. */
function isNow(seconds: bigint): boolean {
  return Math.abs(Number(seconds) - Date.now() / 1000) < NOW_SECONDS;
}
