import { Controller, Get, Inject, UseGuards } from '@nestjs/common';
import { BasicAuthGuard } from './basic-auth.guard.js';
import { BROKER_STATUS, type BrokerStatus, type ConnectionStatus } from './broker-status.js';
import { Asked, seesAllVirtualHosts, type Visitor } from './visitor.js';

/** Open connections, with RabbitMQ's field names. */
@Controller('api/connections')
@UseGuards(BasicAuthGuard)
export class ConnectionsController {
  constructor(@Inject(BROKER_STATUS) private readonly status: BrokerStatus) {}

  /** Administrators and monitors see all, others their own. */
  @Get()
  connections(@Asked() visitor: Visitor) {
    const seesAll = seesAllVirtualHosts(visitor);
    return this.status
      .connections()
      .filter(({ user }) => seesAll || user === visitor.name)
      .map(toPage);
  }
}

function toPage(connection: ConnectionStatus) {
  const { peer, channels } = connection;
  return {
    name: connection.name,
    user_provided_name: connection.clientName,
    type: 'network',
    protocol: 'AMQP 0-9-1',
    state: connection.state,
    user: connection.user,
    vhost: connection.virtualHost,
    auth_mechanism: connection.mechanism,
    connected_at: connection.connectedAt,
    peer_host: peer.remoteAddress,
    peer_port: peer.remotePort,
    host: peer.localAddress,
    port: peer.localPort,
    ssl: peer.tls !== undefined,
    ssl_protocol: peer.tls?.protocol,
    ssl_cipher: peer.tls?.cipher,
    peer_cert_subject: peer.tls?.peerSubject,
    peer_cert_issuer: peer.tls?.peerIssuer,
    channels: channels.length,
    channel_max: connection.channelMax,
    frame_max: connection.frameMax,
    timeout: connection.heartbeatSeconds,
    recv_oct: connection.bytesRead,
    send_oct: connection.bytesWritten,
    send_pend: connection.backlogBytes,
    client_properties: connection.clientProperties,
  };
}
