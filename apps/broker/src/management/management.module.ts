import { type DynamicModule, Module } from '@nestjs/common';
import { BROKER_STATUS, type BrokerStatus } from './broker-status.js';
import { ConnectionsController } from './connections.controller.js';
import { HealthController } from './health.controller.js';
import { ManagementController } from './management.controller.js';

@Module({})
export class ManagementModule {
  static register(status: BrokerStatus): DynamicModule {
    return {
      module: ManagementModule,
      controllers: [ConnectionsController, ManagementController, HealthController],
      providers: [{ provide: BROKER_STATUS, useValue: status }],
    };
  }
}
