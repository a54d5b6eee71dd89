import type { Outcome } from '#dispatch';
import { providerMessage } from '../wording/provider-message.js';

/** The part of a nodemailer error that decides; `command` is the SMTP command that was answered. */
export interface SmtpFailure {
  code?: string;
  message: string;
  command?: string;
  responseCode?: number;
  response?: string;
  /** One per refused recipient, when all were refused. */
  rejectedErrors?: SmtpFailure[];
}

/** What nodemailer's error does not say. */
export interface SendingState {
  /** The message text was being written: the server may have taken it. */
  isBodyStarted: boolean;
  isAborted: boolean;
  isOverdue: boolean;
}

/** The outcome of a send that nodemailer rejected. */
export function classifyFailure(failure: SmtpFailure, state: SendingState): Outcome {
  const answer = answerOf(failure);
  if (failure.responseCode !== undefined) return { ...classifyReply(failure), ...answer };
  if (state.isBodyStarted) return { outcome: 'unknown', reason: 'no-answer', ...answer };
  if (state.isAborted) return { outcome: 'retryable', reason: 'aborted', ...answer };
  if (state.isOverdue) return { outcome: 'retryable', reason: 'timeout', ...answer };
  return { ...classifyCode(failure), ...answer };
}

/** Some of several recipients were refused, the others have the mail: sent, and the record names who is without it. */
export function partlyAccepted(response: string, rejected: SmtpFailure[]): Outcome {
  const refused = rejected.map((error) => `${error.response ?? error.message}`).join('; ');
  return { outcome: 'accepted', providerMessage: providerMessage(`${response}; refused: ${refused}`) };
}

type Verdict =
  | { outcome: 'retryable'; reason: 'network' | 'timeout' | 'provider-fault' | 'provider-busy' }
  | { outcome: 'permanent'; reason: 'recipient' | 'content' | 'refused' }
  | { outcome: 'configuration'; reason: 'configuration' };

const BUSY: Verdict = { outcome: 'retryable', reason: 'provider-busy' };
const FAULT: Verdict = { outcome: 'retryable', reason: 'provider-fault' };
const NETWORK: Verdict = { outcome: 'retryable', reason: 'network' };
const TIMEOUT: Verdict = { outcome: 'retryable', reason: 'timeout' };
const RECIPIENT: Verdict = { outcome: 'permanent', reason: 'recipient' };
const CONTENT: Verdict = { outcome: 'permanent', reason: 'content' };
const REFUSED: Verdict = { outcome: 'permanent', reason: 'refused' };
const CONFIGURATION: Verdict = { outcome: 'configuration', reason: 'configuration' };

type Stage = 'AUTH' | 'MAIL FROM' | 'RCPT TO' | 'DATA';

/** RFC 5321 4.2.3, RFC 4954 6. A row names the stage it holds at; the first that fits decides. */
const REPLIES: { codes: readonly number[]; at?: Stage; verdict: Verdict }[] = [
  { codes: [454], verdict: FAULT },
  { codes: [503], verdict: FAULT }, // bad sequence: the session was in a wrong state, not the message
  { codes: [530, 534, 535, 538], verdict: CONFIGURATION },
  { codes: [552], at: 'RCPT TO', verdict: RECIPIENT },
  { codes: [552], verdict: CONTENT },
  { codes: [550, 551, 553, 501], at: 'RCPT TO', verdict: RECIPIENT },
  // Our own address is not welcome, or we are not: nothing in this notification can mend that.
  { codes: [550, 551, 553, 501], at: 'MAIL FROM', verdict: CONFIGURATION },
];

function classifyReply(failure: SmtpFailure): Verdict {
  const stage = failure.command ?? '';
  // All recipients were refused, each with an answer of its own: one that may be accepted later is worth a retry.
  if (failure.rejectedErrors && failure.rejectedErrors.length > 1) return leastFinal(failure.rejectedErrors);

  const code = failure.responseCode ?? 0;
  const row = REPLIES.find(({ codes, at }) => codes.includes(code) && (at === undefined || stage.startsWith(at)));
  if (row) return row.verdict;
  if (stage.startsWith('AUTH')) return code < 500 ? FAULT : CONFIGURATION;
  return code < 500 ? BUSY : REFUSED;
}

function leastFinal(errors: SmtpFailure[]): Verdict {
  const verdicts = errors.map((error) => classifyReply({ ...error, command: 'RCPT TO', rejectedErrors: undefined }));
  return verdicts.find(({ outcome }) => outcome === 'retryable') ?? verdicts[0] ?? RECIPIENT;
}

/** nodemailer's codes where the server said nothing. */
const CODES: Record<string, Verdict> = {
  ESOCKET: NETWORK,
  ECONNECTION: NETWORK,
  EDNS: NETWORK,
  ETLS: NETWORK,
  EPROXY: NETWORK,
  ETIMEDOUT: TIMEOUT,
  EPROTOCOL: FAULT,
  EENVELOPE: RECIPIENT,
  EMAXRECIPIENTS: RECIPIENT,
  EMESSAGE: CONTENT, // larger than the server's SIZE
  EAUTH: CONFIGURATION,
  ENOAUTH: CONFIGURATION,
  EOAUTH2: CONFIGURATION,
  ECONFIG: CONFIGURATION,
  EREQUIRETLS: CONFIGURATION,
};

function classifyCode(failure: SmtpFailure): Verdict {
  return CODES[failure.code ?? ''] ?? NETWORK;
}

function answerOf(failure: SmtpFailure) {
  const each = failure.rejectedErrors?.map((error) => error.response ?? error.message) ?? [];
  const text = each.length > 1 ? each.join('; ') : (failure.response ?? failure.message);
  return {
    providerCode: failure.responseCode === undefined ? failure.code : String(failure.responseCode),
    providerMessage: providerMessage(text),
  };
}
