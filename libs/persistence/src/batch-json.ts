/** Rows of one statement at most, and bytes of its parameter: a long statement holds up everything else in the process. */
const ROWS_MAX = 1_000;
const CHARACTERS_MAX = 2_000_000;

/** The rows as JSON arrays, each small enough for one statement. */
export function* jsonBatches(rows: readonly object[]): Generator<string> {
  let parts: string[] = [];
  let characters = 0;
  for (const row of rows) {
    const json = storableJson(row);
    if (parts.length > 0 && (parts.length === ROWS_MAX || characters + json.length > CHARACTERS_MAX)) {
      yield `[${parts.join(',')}]`;
      parts = [];
      characters = 0;
    }
    parts.push(json);
    characters += json.length;
  }
  if (parts.length > 0) yield `[${parts.join(',')}]`;
}

/** JSON whose strings PostgreSQL accepts: no NUL, no half of a surrogate pair. Strings that hold JSON themselves stay exact. */
export function storableJson(value: unknown): string {
  const json = JSON.stringify(value);
  // Rare, so the check is one pass over the text; an escape that is itself escaped matches too and costs only the second pass.
  if (!/\\u(?:0000|d[89a-f])/.test(json)) return json;
  return JSON.stringify(value, (_, field: unknown) => (typeof field === 'string' ? storableText(field) : field));
}

/** What PostgreSQL's text refuses becomes the replacement character, in both databases. */
export function storableText(text: string): string {
  return text.replaceAll(/[\0\p{Surrogate}]/gu, '\ufffd');
}
