import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

/*
 * A dialogue, as its file writes it (README.md has the words):
 *
 *   ## what it shows
 *   differs: a row of docs/compatibility.md      where we answer otherwise than RabbitMQ 3.10.8 ...
 *   = A1 basic.get-empty                         ... and what our side then says, all of it
 *   unordered                                    frames of a channel may come in any order
 *   B: without consumer_cancel_notify            how a connection is made
 *   alone                                        nobody else plays meanwhile
 *   ! permit ~ann / ".*" "" ""                   done by the broker's operator before going on
 *   > queue.declare ~q                           sent on connection A, channel 1; its answer is awaited
 *   B2>> basic.publish "" ~q : "x"               sent on connection B, channel 2, together with what follows
 *   < basic.deliver *2                           more is awaited before going on
 */

export interface Step {
  kind: 'send' | 'send with the next' | 'wait' | 'operate';
  connection: string;
  channel: number;
  text: string;
  line: number;
}

export interface Dialogue {
  group: string;
  title: string;
  /** Rows of docs/compatibility.md that make us answer otherwise. */
  differs: string[];
  /** What we say where that is not what RabbitMQ says. */
  ours: string[];
  isUnordered: boolean;
  /** What it does to the broker would change what others hear. */
  isAlone: boolean;
  /** By connection, in the words of the dialogue. */
  options: Map<string, string[]>;
  steps: Step[];
}

export interface Group {
  name: string;
  dialogues: Dialogue[];
}

const FOLDER = join(import.meta.dirname, 'dialogues');
const STEP = /^([A-Z]?)(\d*)(>>|>|<) (.+)$/;
const OPTIONS = /^([A-Z]): (.+)$/;

/** Every file of the folder, in the order of their names. */
export function loadGroups(): Group[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith('.txt'))
    .sort()
    .map((file) => {
      const name = basename(file, '.txt');
      return { name, dialogues: parseDialogues(name, readFileSync(join(FOLDER, file), 'utf8')) };
    });
}

/** Throws with file and line for what is no dialogue. */
export function parseDialogues(group: string, text: string): Dialogue[] {
  const dialogues: Dialogue[] = [];
  const titles = new Set<string>();
  text.split('\n').forEach((line, index) => {
    const fail = (why: string) => new Error(`${group}.txt:${index + 1}: ${why}: ${line}`);
    if (line.startsWith('## ')) {
      const title = line.slice(3);
      if (titles.has(title)) throw fail('this title is used twice');
      titles.add(title);
      dialogues.push({
        group,
        title,
        differs: [],
        ours: [],
        isUnordered: false,
        isAlone: false,
        options: new Map(),
        steps: [],
      });
      return;
    }
    if (line.trim() === '' || line.startsWith('# ')) return;
    const dialogue = dialogues.at(-1);
    if (!dialogue) throw fail('a title is due');
    if (!readLine(dialogue, line, index + 1)) throw fail('no line of a dialogue');
  });
  return dialogues;
}

function readLine(dialogue: Dialogue, line: string, number: number): boolean {
  if (line === 'unordered') {
    dialogue.isUnordered = true;
    return true;
  }
  if (line === 'alone') {
    dialogue.isAlone = true;
    return true;
  }
  if (line.startsWith('! ')) {
    dialogue.steps.push({ kind: 'operate', connection: '', channel: 0, text: line.slice(2), line: number });
    return true;
  }
  if (line.startsWith('differs: ')) {
    dialogue.differs.push(line.slice('differs: '.length));
    return true;
  }
  if (line.startsWith('= ')) {
    dialogue.ours.push(line.slice(2));
    return true;
  }
  const options = OPTIONS.exec(line);
  if (options) {
    dialogue.options.set(options[1]!, options[2]!.split(', '));
    return true;
  }
  const step = STEP.exec(line);
  if (!step) return false;
  const [, connection, channel, arrow, text] = step as unknown as [string, string, string, string, string];
  dialogue.steps.push({
    kind: arrow === '<' ? 'wait' : arrow === '>' ? 'send' : 'send with the next',
    connection: connection || 'A',
    channel: channel === '' ? channelOf(text) : Number(channel),
    text,
    line: number,
  });
  return true;
}

/** Where no channel is named: 0 for what belongs to the connection. */
function channelOf(text: string): number {
  return /^(connection\.|heartbeat|protocol-header|end)/.test(text) ? 0 : 1;
}
