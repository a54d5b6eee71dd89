import { Controller, Delete, Get, Headers, HttpCode, HttpException, Inject, Param, UseGuards } from '@nestjs/common';
import { notFound } from './answers.js';
import { BasicAuthGuard } from './basic-auth.guard.js';
import { BROKER_ACCESS, type BrokerAccess } from './broker-access.js';
import { BROKER_STATUS, type BrokerStatus, type ConnectionStatus } from './broker-status.js';
import { Asked, isAdministrator, seesAllVirtualHosts, type Visitor } from './visitor.js';

/** Open connections, with RabbitMQ's field names. */
@Controller('api/connections')
@UseGuards(BasicAuthGuard)
export class ConnectionsController {
  constructor(
    @Inject(BROKER_STATUS) private readonly status: BrokerStatus,
    @Inject(BROKER_ACCESS) private readonly access: BrokerAccess,
  ) {}

  /** Administrators and monitors see all, others their own. */
  @Get()
  connections(@Asked() visitor: Visitor) {
    const seesAll = seesAllVirtualHosts(visitor);
    return this.status
      .connections()
      .filter(({ user }) => seesAll || user === visitor.name)
      .map(toPage);
  }

  @Get(':name')
  connection(@Param('name') name: string, @Asked() visitor: Visitor) {
    return toPage(this.find(name, visitor, seesAllVirtualHosts(visitor)));
  }

  /** Its client hears the reason that the header `x-reason` gives. */
  @Delete(':name')
  @HttpCode(204)
  close(@Param('name') name: string, @Asked() visitor: Visitor, @Headers('x-reason') reason?: string): void {
    this.find(name, visitor, isAdministrator(visitor));
    this.access.broker.closeConnection(name, reason ?? 'Closed via management plugin');
  }

  private find(name: string, visitor: Visitor, mayTouchAll: boolean): ConnectionStatus {
    const found = this.status.connections().find((each) => each.name === name);
    if (found === undefined) throw notFound();
    if (mayTouchAll || found.user === visitor.name) return found;
    throw new HttpException({ error: 'not_authorised', reason: 'User not authorised to access object' }, 401);
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
