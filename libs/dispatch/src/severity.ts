/** Most urgent first; the order in which waiting notifications are released. */
export const SEVERITIES = ['critical', 'error', 'warning', 'info'] as const;

export type Severity = (typeof SEVERITIES)[number];

/** What monitoring systems write in label `severity`, in our four words. */
const SEVERITY_WORDS: Record<string, Severity> = {
  ...words('critical', ['critical', 'page', 'disaster', 'fatal', 'emergency', 'crit', 'down', 'p1', '5']),
  ...words('error', ['error', 'high', 'err', 'major', 'unknown', 'p2', '4']),
  ...words('warning', ['warning', 'warn', 'average', 'minor', 'p3', '3', '2']),
  ...words('info', ['info', 'information', 'none', 'debug', 'low', 'ok', 'p4', 'p5', '1', '0']),
};

/** For an alert that does not say: urgent enough to be seen, not enough to overtake. */
const SEVERITY_UNSAID: Severity = 'warning';

/** The severity of an alert with these labels. */
export function severityOf(labels: Readonly<Record<string, string>>): Severity {
  return SEVERITY_WORDS[(labels['severity'] ?? '').toLowerCase()] ?? SEVERITY_UNSAID;
}

/** The most urgent of several; of none, what an alert that does not say would have. */
export function mostUrgent(severities: Iterable<Severity>): Severity {
  let found: Severity | undefined;
  for (const severity of severities) if (found === undefined || urgency(severity) < urgency(found)) found = severity;
  return found ?? SEVERITY_UNSAID;
}

/** 0 is most urgent. */
export function urgency(severity: Severity): number {
  return SEVERITIES.indexOf(severity);
}

function words(severity: Severity, written: string[]): Record<string, Severity> {
  return Object.fromEntries(written.map((word) => [word, severity]));
}
