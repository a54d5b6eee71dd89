import { describe, expect, it } from '@jest/globals';
import type { ConfirmChannel, ConsumeMessage } from 'amqplib';
import { ackAll, UnsettledDeliveries } from './delivery.js';

describe('acking many deliveries', () => {
  it('takes one frame when nothing older is unsettled', () => {
    const { deliveries, frames } = handedOut(3);
    ackAll(deliveries);
    expect(frames).toEqual(['ack up to 3']);
  });

  it('never acks an older delivery that somebody still works on', () => {
    const { deliveries, frames } = handedOut(5);
    ackAll([deliveries[0]!, deliveries[1]!, deliveries[3]!, deliveries[4]!]);
    expect(frames).toEqual(['ack 4', 'ack 5', 'ack up to 2']);
  });

  it('settles each delivery once', () => {
    const { deliveries, frames } = handedOut(2);
    deliveries[0]!.ack();
    deliveries[0]!.handBack();
    ackAll(deliveries);
    expect(frames).toEqual(['ack 1', 'ack up to 2']);
  });

  it('sends nothing on a lost channel', () => {
    const { deliveries, unsettled, frames } = handedOut(2);
    unsettled.lose();
    ackAll(deliveries);
    deliveries[1]!.reject();
    expect(frames).toEqual([]);
    expect(deliveries[0]!.isLost).toBe(true);
  });
});

/** Deliveries 1 to `count` of one channel, and the frames sent for them. */
function handedOut(count: number) {
  const frames: string[] = [];
  const channel = {
    ack: ({ fields }: ConsumeMessage, upTo = false) => frames.push(`ack ${upTo ? 'up to ' : ''}${fields.deliveryTag}`),
    nack: ({ fields }: ConsumeMessage, _upTo: boolean, requeue: boolean) =>
      frames.push(`${requeue ? 'hand back' : 'reject'} ${fields.deliveryTag}`),
  } as unknown as ConfirmChannel;
  const unsettled = new UnsettledDeliveries(channel);
  const deliveries = Array.from({ length: count }, (_, index) =>
    unsettled.add({ fields: { deliveryTag: index + 1 }, properties: {} } as ConsumeMessage),
  );
  return { deliveries, unsettled, frames };
}
