import { cutToCharacters, oneLine } from './cut.js';

/** What a provider said, fit for the attempt's record: one line, bounded, without the secrets it may have echoed. */
export function providerMessage(text: string, secrets: readonly (string | undefined)[] = []): string {
  let clean = text;
  for (const secret of secrets) {
    if (secret) clean = clean.replaceAll(secret, '***');
  }
  return cutToCharacters(oneLine(clean), MESSAGE_CHARACTERS_MAX);
}

const MESSAGE_CHARACTERS_MAX = 500;
