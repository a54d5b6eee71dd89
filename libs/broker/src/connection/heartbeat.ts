/** What the heartbeat looks at, and does, on its connection. */
export interface HeartbeatPeer {
  /** Whether anything came in, or went out, since it was last asked. */
  takeInputSeen(): boolean;
  takeOutputSeen(): boolean;
  /** While we do not read, silence says nothing about the peer. */
  readonly isReading: boolean;
  sendHeartbeat(): void;
  onSilence(): void;
}

const SILENT_CHECKS_MAX = 2;

/**
 * One timer per connection: every half interval it sends a heartbeat if nothing else went out, every whole interval it
 * looks whether anything came in and gives up at the second silent look, that is between two and three intervals.
 * Returns the function that stops it.
 */
export function startHeartbeat(peer: HeartbeatPeer, intervalMs: number): () => void {
  if (intervalMs === 0) return () => {};
  let isWholeInterval = false;
  let silentChecks = 0;
  const timer = setInterval(() => {
    if (!peer.takeOutputSeen()) peer.sendHeartbeat();
    isWholeInterval = !isWholeInterval;
    if (isWholeInterval) return;

    silentChecks = peer.takeInputSeen() || !peer.isReading ? 0 : silentChecks + 1;
    if (silentChecks === SILENT_CHECKS_MAX) peer.onSilence();
  }, intervalMs / 2);
  timer.unref();
  return () => clearInterval(timer);
}
