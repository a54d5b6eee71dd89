import { Controller, Get, Header, HttpException, Inject } from '@nestjs/common';
import { BROKER_STATUS, type BrokerStatus } from './broker-status.js';
import { metricsText } from './metrics-text.js';

/** Open to all that reach the port: no names of users, messages or addresses here. */
@Controller()
export class HealthController {
  constructor(@Inject(BROKER_STATUS) private readonly status: BrokerStatus) {}

  @Get('healthz')
  health() {
    const failure = this.status.failure();
    if (failure !== undefined) throw new HttpException({ status: 'failed', reason: failure }, 503);
    return { status: 'ok' };
  }

  @Get('metrics')
  @Header('content-type', 'text/plain; version=0.0.4; charset=utf-8')
  metrics(): string {
    return metricsText(this.status);
  }
}
