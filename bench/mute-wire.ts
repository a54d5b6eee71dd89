import { Duplex } from 'node:stream';
import { setImmediate as nextTick } from 'node:timers/promises';
import {
  encodeMethod,
  KEY_ACK,
  type MethodArguments,
  type MethodName,
  PROTOCOL_HEADER,
  SETTLEMENT_FRAME_BYTES,
  writeSettlement,
} from '#amqp-codec';
import type { Broker } from '#broker';

const PEER = { remoteAddress: '127.0.0.1', remotePort: 1, localAddress: '127.0.0.1', localPort: 2 };

/** A client of a broker in the same process: it speaks, and does not listen. */
export class MuteWire {
  private readonly stream = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });

  static async connect(broker: Broker): Promise<MuteWire> {
    const wire = new MuteWire();
    broker.accept(wire.stream, PEER);
    wire.hears(PROTOCOL_HEADER);
    const response = Buffer.from('\0guest\0guest');
    await wire.says(0, 'connection.start-ok', { clientProperties: [], mechanism: 'PLAIN', response, locale: 'en_US' });
    await wire.says(0, 'connection.tune-ok', { channelMax: 2047, frameMax: 131_072, heartbeat: 0 });
    await wire.says(0, 'connection.open', { virtualHost: '/' });
    await wire.says(1, 'channel.open', {});
    return wire;
  }

  /** Past the stream's own buffer: what is measured is the broker. */
  hears(bytes: Buffer): void {
    this.stream.emit('data', bytes);
  }

  async says<Name extends MethodName>(channel: number, name: Name, fields: MethodArguments<Name>): Promise<void> {
    this.hears(encodeMethod(channel, name, fields));
    // A login is answered some ticks later.
    for (let tick = 0; tick < 10; tick++) await nextTick();
  }

  acknowledges(tag: number): void {
    const frame = Buffer.allocUnsafe(SETTLEMENT_FRAME_BYTES);
    writeSettlement(frame, 0, 1, KEY_ACK, tag, 1);
    this.hears(frame);
  }
}
