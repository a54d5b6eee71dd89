import { existsSync } from 'node:fs';

/**
 * A file of a Debian package that a test needs. Absent: the test is skipped with one line that names the package, or fails
 * where `TOCSIN_REQUIRE_ALL=1` says that everything must be there.
 */
export function hasDebianFile(path: string, packageName: string): boolean {
  if (existsSync(path)) return true;

  const sentence = `needs the Debian package ${packageName} (${path} is missing)`;
  if (process.env['TOCSIN_REQUIRE_ALL'] === '1') throw new Error(sentence);
  process.stderr.write(`skipped: ${sentence}\n`);
  return false;
}
