/** One wrong field of a request; `index` in a posted array, 0 for a single object. */
export interface FieldProblem {
  index: number;
  /** Path inside the item, e.g. `labels.severity` or `target.to`. */
  field: string;
  message: string;
}

/** One wrong field of a query or of an operator's request. */
export type QueryProblem = Omit<FieldProblem, 'index'>;

/** Field problems listed in one answer; the total is told beside them. */
const ERRORS_SHOWN_MAX = 100;

interface ProblemDefinition {
  status: number;
  title: string;
}

/** Every kind of refusal. Each becomes an RFC 9457 document of type `urn:tocsin:<kind>`. */
export const PROBLEMS = {
  'invalid-request': { status: 400, title: 'The request is not valid' },
  'malformed-json': { status: 400, title: 'The body is not JSON' },
  unauthorized: { status: 401, title: 'Credentials are missing or wrong' },
  forbidden: { status: 403, title: 'These credentials do not allow this' },
  'not-found': { status: 404, title: 'Not found' },
  'method-not-allowed': { status: 405, title: 'This path does not take that method' },
  conflict: { status: 409, title: 'Not possible in the present state' },
  'too-large': { status: 413, title: 'The body is too large' },
  'unsupported-media-type': { status: 415, title: 'The body must be JSON' },
  'internal-error': { status: 500, title: 'Internal error' },
  unroutable: { status: 500, title: 'The broker has no queue for this message' },
  overloaded: { status: 503, title: 'Overloaded, nothing was stored' },
  'broker-unavailable': { status: 503, title: 'The broker does not take messages now' },
} as const satisfies Record<string, ProblemDefinition>;

export type ProblemKind = keyof typeof PROBLEMS;

export interface ProblemDetails {
  detail: string;
  errors?: readonly (FieldProblem | QueryProblem)[];
  /** Seconds. */
  retryAfter?: number;
  headers?: Record<string, string>;
  /** Further members of the document. */
  members?: Record<string, unknown>;
}

/** Thrown by whoever refuses a request; one filter turns it into the answer. */
export class Problem extends Error {
  override readonly name = 'Problem';

  constructor(
    readonly kind: ProblemKind,
    readonly details: ProblemDetails,
    options?: ErrorOptions,
  ) {
    super(details.detail, options);
  }

  get status(): number {
    return PROBLEMS[this.kind].status;
  }

  get headers(): Record<string, string> {
    const { headers, retryAfter } = this.details;
    return { ...headers, ...(retryAfter !== undefined && { 'retry-after': String(retryAfter) }) };
  }

  /** RFC 9457. */
  toDocument(): Record<string, unknown> {
    const { detail, errors, members } = this.details;
    const { status, title } = PROBLEMS[this.kind];
    return {
      type: `urn:tocsin:${this.kind}`,
      title,
      status,
      detail,
      ...(errors && { errors: errors.slice(0, ERRORS_SHOWN_MAX), errorCount: errors.length }),
      ...members,
    };
  }
}

/** A 400 that names each wrong field. */
export function invalidRequest(errors: readonly FieldProblem[]): Problem {
  const [first] = errors;
  const detail = first
    ? `item ${first.index}: ${first.field === '' ? '' : `${first.field} `}${first.message}${errors.length > 1 ? ` (and ${errors.length - 1} more)` : ''}; nothing was stored`
    : 'the request is not valid; nothing was stored';
  return new Problem('invalid-request', { detail, errors });
}

/** A 400 for a request that posts no items. */
export function invalidQuery(errors: readonly QueryProblem[]): Problem {
  const detail = errors.map(({ field, message }) => `${field} ${message}`.trim()).join('; ');
  return new Problem('invalid-request', { detail, errors });
}
