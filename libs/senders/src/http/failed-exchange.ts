import type { Outcome } from '#dispatch';
import type { Exchange } from './post.js';

/** The outcome of an exchange that brought no answer; the same for every HTTP sender. */
export function failedExchange(exchange: Exclude<Exchange, { ended: 'answered' }>): Outcome {
  const answer = { providerCode: exchange.code, providerMessage: exchange.message };
  if (exchange.ended === 'no-answer') return { outcome: 'unknown', reason: 'no-answer', ...answer };

  switch (exchange.why) {
    case 'forbidden':
      return { outcome: 'configuration', reason: 'configuration', ...answer };
    case 'network':
    case 'timeout':
    case 'aborted':
      return { outcome: 'retryable', reason: exchange.why, ...answer };
  }
}
