import { ChannelError } from '../errors.js';
import { type Destination, NO_DESTINATIONS, type Route, type RoutingTable } from './routing.js';

/** Different routing keys whose destinations are remembered. */
const KNOWN_MAX = 16_384;

/** One word of binding keys. `#` nodes also stand for themselves repeated: they match zero or more words. */
interface TrieNode {
  readonly isHash: boolean;
  readonly words: Map<string, TrieNode>;
  readonly destinations: Destination[];
}

/**
 * Words separated by dots; in binding keys `*` is exactly one word and `#` zero or more. The empty key has no words.
 * Matching walks all fitting nodes of the trie together, word by word, so that several `#` cannot make it explode.
 */
export class TopicRouting implements RoutingTable {
  readonly #root = createNode(false);
  /** What keys that were asked for have matched, until a binding comes or goes. */
  readonly #known = new Map<string, readonly Destination[]>();

  add(route: Route): void {
    if (this.#known.size > 0) this.#known.clear();
    let node = this.#root;
    for (const word of wordsOf(route.routingKey)) {
      let next = node.words.get(word);
      if (next === undefined) {
        next = createNode(word === '#');
        node.words.set(word, next);
      }
      node = next;
    }
    node.destinations.push(route.destination);
  }

  remove(route: Route): void {
    if (this.#known.size > 0) this.#known.clear();
    removeFrom(this.#root, wordsOf(route.routingKey), 0, route.destination);
  }

  match(routingKey: string): readonly Destination[] {
    let matched = this.#known.get(routingKey);
    if (matched === undefined) {
      matched = this.#walk(routingKey);
      if (this.#known.size === KNOWN_MAX) this.#known.clear();
      this.#known.set(routingKey, matched);
    }
    return matched;
  }

  #walk(routingKey: string): readonly Destination[] {
    if (this.#root.words.size === 0 && this.#root.destinations.length === 0) return NO_DESTINATIONS;

    let active = new Set<TrieNode>();
    enter(this.#root, active);
    for (const word of wordsOf(routingKey)) {
      active = step(active, word);
      if (active.size === 0) return NO_DESTINATIONS;
    }
    const matched: Destination[] = [];
    for (const node of active) matched.push(...node.destinations);
    return matched;
  }
}

/** Throws 406 for more `#` than later RabbitMQ takes: each multiplies what one message may have to walk there. */
export function assertTopicKey(bindingKey: string, hashesMax: number): void {
  const hashes = wordsOf(bindingKey).filter((word) => word === '#').length;
  if (hashes <= hashesMax) return;
  const text = `invalid binding key '${bindingKey}': it holds ${hashes} wildcards '#', at most ${hashesMax} are allowed`;
  throw new ChannelError('precondition-failed', text);
}

function step(active: Set<TrieNode>, word: string): Set<TrieNode> {
  const next = new Set<TrieNode>();
  for (const node of active) {
    if (node.isHash) enter(node, next);
    // A routing key may itself hold a word `*` or `#`; the binding's wildcards are entered below and by `enter`.
    const same = word === '*' || word === '#' ? undefined : node.words.get(word);
    if (same !== undefined) enter(same, next);
    const anyWord = node.words.get('*');
    if (anyWord !== undefined) enter(anyWord, next);
  }
  return next;
}

/** A `#` below is reached without using a word. */
function enter(node: TrieNode, active: Set<TrieNode>): void {
  if (active.has(node)) return;
  active.add(node);
  const hash = node.words.get('#');
  if (hash !== undefined) enter(hash, active);
}

function removeFrom(node: TrieNode, words: readonly string[], depth: number, destination: Destination): void {
  if (depth === words.length) {
    node.destinations.splice(node.destinations.indexOf(destination), 1);
    return;
  }
  const word = words[depth]!;
  const next = node.words.get(word)!;
  removeFrom(next, words, depth + 1, destination);
  if (next.words.size === 0 && next.destinations.length === 0) node.words.delete(word);
}

function createNode(isHash: boolean): TrieNode {
  return { isHash, words: new Map(), destinations: [] };
}

function wordsOf(key: string): readonly string[] {
  return key === '' ? [] : key.split('.');
}
