/** The text, or as much of it as fits, cut between code points and ended by an ellipsis. Never ends inside a Markdown link. */
export function cutToBytes(text: string, bytesMax: number): string {
  return cutToFit(text, (candidate) => Buffer.byteLength(candidate) <= bytesMax);
}

/** As `cutToBytes`, for any measure that a longer text does not pass when a shorter one fails. */
export function cutToFit(text: string, fits: (candidate: string) => boolean): string {
  if (fits(text)) return text;

  const codePoints = Array.from(text.slice(0, CUT_UNITS_MAX));
  let fitting = 0;
  let tooMany = codePoints.length + 1;
  while (tooMany - fitting > 1) {
    const middle = Math.floor((fitting + tooMany) / 2);
    if (fits(shortened(codePoints, middle))) fitting = middle;
    else tooMany = middle;
  }
  return shortened(codePoints, fitting);
}

/** No provider takes more in one text; bounds the work on a text of 256 KiB. */
const CUT_UNITS_MAX = 512 * 1024;

function shortened(codePoints: string[], count: number): string {
  return `${withoutOpenLink(codePoints.slice(0, count).join(''))}…`;
}

/** `[name](http://exam` or `[na` at the end would swallow what follows. */
function withoutOpenLink(text: string): string {
  return text.replace(/\[[^\]\n]{0,200}(\](\([^)\s]{0,2048})?)?$/, '');
}

export function cutToCharacters(text: string, charactersMax: number): string {
  const codePoints = Array.from(text.slice(0, 2 * charactersMax + 2));
  return codePoints.length <= charactersMax ? text : `${codePoints.slice(0, charactersMax - 1).join('')}…`;
}

/** For subjects, titles and list entries: line ends and runs of blanks become one blank. */
export function oneLine(text: string): string {
  return text.replace(/[\s\p{Cc}]+/gu, ' ').trim();
}
