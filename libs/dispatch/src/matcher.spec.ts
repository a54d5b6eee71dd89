import { describe, expect, it } from '@jest/globals';
import { MatcherError, matcherProblem, parseMatcher, parseMatchers } from './matcher.js';

describe('matcher', () => {
  it.each([
    ['severity="critical"', { severity: 'critical' }, true],
    ['severity="critical"', { severity: 'info' }, false],
    ['severity=critical', { severity: 'critical' }, true],
    [' severity = "critical" ', { severity: 'critical' }, true],
    ['severity!="critical"', { severity: 'info' }, true],
    ['severity!="critical"', {}, true],
    ['severity=""', {}, true],
    ['team=~"db|web"', { team: 'web' }, true],
    ['team=~"db|web"', { team: 'web2' }, false],
    ['team=~db.*', { team: 'db2' }, true],
    ['team=~"(?i)DB"', { team: 'db' }, true],
    ['team=~"a.b"', { team: 'a\nb' }, true],
    ['team!~"db.*"', { team: 'db2' }, false],
    ['team!~".+"', {}, true],
    ['instance=~"web-\\d{2}:.*"', { instance: 'web-01:9100' }, true],
    ['"日 志"="a\\"b"', { '日 志': 'a"b' }, true],
    ['url="a=b"', { url: 'a=b' }, true],
  ])('%s on %j is %s', (text, labels, expected) => {
    expect(parseMatcher(text).matches(labels)).toBe(expected);
  });

  it('reads several, with or without braces', () => {
    expect(parseMatchers('{a="1,2",b=~"c{2}"}').map(String)).toEqual(['a="1,2"', 'b=~"c{2}"']);
    expect(parseMatchers('a="1", b!=c,').map(String)).toEqual(['a="1"', 'b!="c"']);
    expect(parseMatchers('{}')).toEqual([]);
  });

  it('writes what it reads', () => {
    for (const text of ['a="b"', '"a b"!~"c\\"d"']) expect(String(parseMatcher(text))).toBe(text);
  });

  it.each([
    ['severity', 'expected label, one of'],
    ['="x"', 'expected label, one of'],
    ['a="b" c="d"', 'expected a comma'],
    ['a="b', 'expected'],
    ['{a="b"', 'brace'],
    ['a=~"("', 'no regular expression'],
    ['""="x"', 'no name'],
  ])('%s is refused: %s', (text, message) => {
    expect(() => parseMatchers(text)).toThrow(MatcherError);
    expect(() => parseMatchers(text)).toThrow(message);
    expect(matcherProblem(text)).toContain(text);
  });

  it('asks for exactly one where one is meant', () => {
    expect(() => parseMatcher('a="b",c="d"')).toThrow('expected one matcher');
    expect(matcherProblem('')).toContain('is empty');
    expect(matcherProblem('a="b"')).toBeUndefined();
  });
});
