import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { TAKEN_OFF } from './compare.js';
import { ERROR_TABLE } from './error-table.js';
import { loadRecord } from './record.js';
import { loadGroups } from './script.js';

const dialogues = loadGroups().flatMap((group) => group.dialogues);

describe('the dialogues', () => {
  it('have at least one for every reply code that a client can bring about', () => {
    for (const [code, row] of Object.entries(ERROR_TABLE)) {
      if ('unseen' in row) continue;
      for (const [group, title] of row.shownBy) expect(transcriptOf(group, title)).toContain(`replyCode=${code}`);
    }
  });

  it('differ from RabbitMQ in what docs/compatibility.md says, and it says nothing else of them', () => {
    const declared = dialogues.flatMap(({ differs }) => differs);
    const everywhere = TAKEN_OFF.map(([row]) => row);
    expect(rowsOfTheDocs()).toEqual([...new Set([...declared, ...everywhere])].sort());
  });
});

/** What RabbitMQ said and, where we differ, what we say. */
function transcriptOf(group: string, title: string): string {
  const dialogue = dialogues.find((each) => each.group === group && each.title === title);
  if (dialogue === undefined) throw new Error(`no dialogue '${title}' in ${group}.txt`);
  return [...(loadRecord(group).get(title) ?? []), ...dialogue.ours].join('\n');
}

/** First column of the table under 'Where dialogues differ'. */
function rowsOfTheDocs(): string[] {
  const text = readFileSync(join(import.meta.dirname, '../../docs/compatibility.md'), 'utf8');
  const section = text.split('\n## ').find((each) => each.startsWith('Where dialogues differ'));
  if (section === undefined) throw new Error('docs/compatibility.md has no section Where dialogues differ');
  const rows = section.split('\n').filter((line) => line.startsWith('| '));
  return rows
    .slice(2)
    .map((line) => line.split(' | ')[0]!.slice(2))
    .sort();
}
