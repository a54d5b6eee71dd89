/** What the broker has done since it started; they only grow. */
export class Counters {
  connectionsOpened = 0;
  connectionsClosed = 0;
  channelsOpened = 0;
  channelsClosed = 0;
  published = 0;
  routed = 0;
  unroutableDropped = 0;
  unroutableReturned = 0;
  confirmed = 0;
  nacked = 0;
  delivered = 0;
  deliveredNoAck = 0;
  redelivered = 0;
  got = 0;
  gotEmpty = 0;
  acknowledged = 0;
  rejected = 0;
  requeued = 0;
}
