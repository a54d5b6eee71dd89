import assert from 'node:assert';
import { type FileLayer, recoveryAction, SegmentLog } from '#segment-log';
import { Accounts, LOOPBACK_USERS } from './access/accounts.js';
import { type Behaviour, behaviourOf } from './compat.js';
import { assembleEngine, type EngineStats } from './engine/assemble.js';
import type { GivenVirtualHost } from './engine/virtual-hosts.js';
import { type Clock, systemClock } from './queues/clock.js';
import { RecoveryFindings, type RecoverySummary } from './recovery-report.js';
import type { Durability, VirtualHostDirectory } from './virtual-host.js';

export type { EngineStats } from './engine/assemble.js';
export type { VirtualHostProperties, VirtualHostStats } from './engine/virtual-hosts.js';

export interface EngineOptions {
  /** Holds the log; one engine at a time. Made when it does not exist. */
  directory: string;
  clock?: Clock;
  /** How RabbitMQ's versions differ; see `behaviourOf`. Default: as 3.13. */
  behaviour?: Behaviour;
  /** How long deliveries may stay unsettled, where queue and consumer say nothing; 0 is for ever. Default: RabbitMQ's for quorum queues, for ever for classic ones. */
  consumerTimeoutMs?: number | undefined;
  /** Takes one sentence about something an operator should know: damage found, a definition left out. */
  log?: (text: string) => void;
  /** Users that may log in from this machine only; default guest. */
  loopbackUsers?: readonly string[];
  /** Size at which a segment of the log is sealed. */
  segmentBytes?: number;
  /** Bound of message bodies kept in memory. */
  messageMemoryBytes?: number;
  /** Disk space held back for acknowledgements on a full disk; default none. `RESERVE_BYTES` suits publishers held at `UNSYNCED_BYTES_MAX`. */
  reserveBytes?: number;
  /** Where the log's files are; default this machine's file system. */
  files?: FileLayer;
}

/** Room for what publishers may have in flight (16 MiB), and as much again for acknowledgements behind it. */
export const RESERVE_BYTES = 32 * 1024 * 1024;

/** The queue engine without the wire. Owns the data directory; `close` gives it back. */
export interface Engine extends VirtualHostDirectory {
  /** Makes a virtual host with its predeclared exchanges, or changes what is said of it. Throws RangeError for a name that cannot be. */
  putVirtualHost(given: GivenVirtualHost): 'created' | 'changed';
  /** Closes the connections to it and deletes all it holds. False when there is none of that name. */
  deleteVirtualHost(name: string): boolean;
  /** Users and permissions, in the same log. */
  readonly accounts: Accounts;
  readonly durability: Durability;
  /** The disk is full, or has no room for the reserve: publishers must wait. Ends by itself. */
  readonly isLowOnDisk: boolean;
  onLowOnDisk(listener: (isLow: boolean) => void): void;
  /** The first sync that failed, or write that failed for another reason than a full disk. From then on nothing is confirmed; stop the process and start again. */
  readonly failed: Error | undefined;
  onFailed(listener: (error: Error) => void): void;
  stats(): EngineStats;
  /** What the start found wrong with the files, and what was found since. */
  recovery(): RecoverySummary;
  /** Writes and syncs what is gathered. Close connections first: their deliveries go back to the queues. */
  close(): Promise<void>;
}

/** Opens or makes the log in `directory`, puts back exchanges, queues, bindings and messages. Rejects when the directory cannot be used. */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  const { directory, clock = systemClock, log: report = () => undefined, segmentBytes, messageMemoryBytes } = options;
  const { files, reserveBytes } = options;
  const { behaviour = behaviourOf(), consumerTimeoutMs } = options;
  let assembled: Awaited<ReturnType<typeof assembleEngine>> | undefined;
  const filled = () => {
    assert(assembled, 'the log asks about messages only once it was told that the queues are filled');
    return assembled;
  };
  const log = await SegmentLog.open({
    directory,
    segmentBytes,
    files,
    reserveBytes,
    // Filling the queues reads bodies by the positions found: none may move meanwhile.
    reclaim: 'when-told',
    owner: {
      isLive: (queue, sequence) => filled().isLive(queue, sequence),
      moved: (queue, sequence, position) => filled().moved(queue, sequence, position),
    },
  });
  const findings = new RecoveryFindings(log.recovery, recoveryAction);
  log.onTrouble((finding) => {
    findings.note(finding);
    report(`${finding.file} at byte ${finding.offset}: ${finding.says}`);
  });
  for (const { file, offset, says } of log.recovery.findings) report(`${file} at byte ${offset}: ${says}`);
  assembled = await assembleEngine({ log, clock, report, messageMemoryBytes, behaviour, consumerTimeoutMs });
  log.startReclaiming();
  const { virtualHosts, consumerBias, definitionLog, stats, stop } = assembled;
  const accounts = new Accounts({ log: definitionLog, loopbackUsers: options.loopbackUsers ?? LOOPBACK_USERS, report });
  return {
    consumerBias,
    virtualHost: (name) => virtualHosts.virtualHost(name),
    onDeleting: (listener) => virtualHosts.onDeleting(listener),
    putVirtualHost: (given) => virtualHosts.put(given),
    deleteVirtualHost(name) {
      // First: a crash in between must not leave rows that would bring it back.
      if (virtualHosts.virtualHost(name) !== undefined) accounts.forgetVirtualHost(name);
      return virtualHosts.delete(name);
    },
    accounts,
    durability: log,
    get failed() {
      return log.failed;
    },
    get isLowOnDisk() {
      return log.isLowOnDisk;
    },
    onLowOnDisk: (listener) => log.onLowOnDisk(listener),
    onFailed: (listener) => log.onFailed(listener),
    stats,
    recovery: () => findings.summary,
    async close() {
      stop();
      await log.close();
    },
  };
}
