import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Transcript } from './player.js';
import type { Group } from './script.js';

/** What RabbitMQ said, by title; a file for each group. */
export type Record = ReadonlyMap<string, Transcript>;

const FOLDER = join(import.meta.dirname, 'record');

export function loadRecord(group: string): Record {
  const record = new Map<string, string[]>();
  const path = join(FOLDER, `${group}.txt`);
  if (!existsSync(path)) return record;
  let lines: string[] = [];
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    if (line.startsWith('## ')) {
      lines = [];
      record.set(line.slice(3), lines);
    } else if (line !== '') lines.push(line);
  }
  return record;
}

/** Replaces the group's file. */
export function saveRecord({ name, dialogues }: Group, record: Record): void {
  const blocks = dialogues.map(({ title }) => [`## ${title}`, ...(record.get(title) ?? []), ''].join('\n'));
  writeFileSync(join(FOLDER, `${name}.txt`), blocks.join('\n'));
}
