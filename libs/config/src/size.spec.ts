import { expect, it } from '@jest/globals';
import { parseSize } from './size.js';

it.each([
  ['0B', 0],
  ['50MB', 50_000_000],
  ['128MiB', 134_217_728],
  ['1.5 GiB', 1_610_612_736],
  ['2kB', 2000],
  ['50', undefined],
  ['MB', undefined],
  ['50mb', undefined],
  ['-1MB', undefined],
  ['999999999TiB', undefined],
])('%s is %s bytes', (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
});
