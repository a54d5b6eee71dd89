import { appendFileSync } from 'node:fs';

/** What a scenario counted. `lost` and `resurrected` are 0, or its spec fails. */
export interface RecoveryFigures {
  scenario: string;
  seed: number | undefined;
  rounds: number;
  confirmed: number;
  delivered: number;
  lost: number;
  duplicated: number;
  resurrected: number;
}

/** One line on the console; `npm run test:recovery` gathers them from the file named by TOCSIN_RECOVERY_REPORT. */
export function reportFigures(figures: RecoveryFigures): void {
  const { scenario, seed, ...counted } = figures;
  const list = Object.entries(counted).map(([name, value]) => `${name} ${value}`);
  console.log(`${scenario}: ${list.join(', ')}${seed === undefined ? '' : `; TOCSIN_SEED=${seed}`}`);
  const path = process.env['TOCSIN_RECOVERY_REPORT'];
  if (path !== undefined) appendFileSync(path, `${JSON.stringify(figures)}\n`);
}
