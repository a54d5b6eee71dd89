import { decodeProperties, encodeProperties, type Table } from '#amqp-codec';

const DELIVERY_COUNT = 'x-delivery-count';

/** Properties with the header quorum queues put on a redelivery: how often the delivery failed before. */
export function withDeliveryCount(properties: Buffer, failures: number): Buffer {
  const decoded = decodeProperties(properties);
  const others = (decoded.headers ?? []).filter(([key]) => key !== DELIVERY_COUNT);
  const headers: Table = [...others, [DELIVERY_COUNT, { tag: 'l', value: BigInt(failures) }]];
  return encodeProperties({ ...decoded, headers });
}
