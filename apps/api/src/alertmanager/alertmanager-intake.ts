import { type AlertProblem, alertProblems } from '#dispatch';
import { type AlertIntake, isOneMessage } from '../alerts/alert-intake.js';
import { type AcceptedAlert, parsePostedAlert } from '../alerts/posted-alert.js';
import type { ApiParts } from '../api-parts.js';
import { Problem } from '../problem/problem.js';

/** Items of one `POST /api/v2/alerts`; Prometheus sends 256. */
const ITEMS_MAX = 10_000;
/** Bad items named in one answer. */
const BAD_ITEMS_SHOWN_MAX = 100;

/** What `POST /api/v2/alerts` does with its body. */
export class AlertmanagerIntake {
  constructor(
    private readonly intake: AlertIntake,
    private readonly parts: Pick<ApiParts, 'settings' | 'now'>,
  ) {}

  /**
   * Valid alerts are stored even when others are not; a Problem then names those, as Alertmanager does. `body` is what `rawBody` says, or some bytes
   * that were not kept. @throws Problem
   */
  async accept(body: unknown, rawBody: Buffer | undefined): Promise<void> {
    if (!Array.isArray(body)) throw new Problem('invalid-request', { detail: 'the body must be an array of alerts' });
    if (body.length > ITEMS_MAX) {
      throw new Problem('invalid-request', {
        detail: `an array has at most ${ITEMS_MAX} alerts, not ${body.length}; nothing was stored`,
      });
    }
    const problems = body.map(alertProblems);
    const isWhole = problems.every(({ length }) => length === 0);
    if (isWhole && body.length > 0 && isOneMessage(rawBody)) {
      return this.intake.acceptBody(rawBody, body.length, 'alertmanager-api');
    }

    const accepted = this.parse(body.filter((_, index) => problems[index]?.length === 0));
    if (accepted.length > 0) await this.intake.accept(accepted, 'alertmanager-api');
    if (!isWhole) throw new Problem('invalid-request', { detail: describeRefused(problems) });
  }

  private parse(items: readonly unknown[]): AcceptedAlert[] {
    const { settings, now = Date.now } = this.parts;
    const { resolveTimeoutMs } = settings.configuration;
    const options = { now: now(), resolveTimeoutMs, unknownFields: 'ignored' as const };
    return items.flatMap((item) => {
      const parsed = parsePostedAlert(item, options);
      return parsed.ok ? [parsed.alert] : [];
    });
  }
}

/** The problems of each alert by its place in the body. */
function describeRefused(problems: readonly AlertProblem[][]): string {
  const refused = problems.flatMap((ofOne, index) => {
    if (ofOne.length === 0) return [];
    return [`alert ${index}: ${ofOne.map(({ field, message }) => `${field} ${message}`.trim()).join(', ')}`];
  });
  const hidden = refused.length - BAD_ITEMS_SHOWN_MAX;
  return refused.slice(0, BAD_ITEMS_SHOWN_MAX).join('; ') + (hidden > 0 ? `; and ${hidden} more` : '');
}
