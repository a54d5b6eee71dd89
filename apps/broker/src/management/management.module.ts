import { type DynamicModule, Module } from '@nestjs/common';
import { APP_INTERCEPTOR } from '@nestjs/core';
import { BROKER_ACCESS, type BrokerAccess } from './broker-access.js';
import { BROKER_STATUS, type BrokerStatus } from './broker-status.js';
import { ConnectionsController } from './connections.controller.js';
import { DurableAnswerInterceptor } from './durable-answer.interceptor.js';
import { HealthController } from './health.controller.js';
import { LimitsController } from './limits.controller.js';
import { ManagementController } from './management.controller.js';
import { PermissionsController } from './permissions.controller.js';
import { UsersController } from './users.controller.js';
import { VirtualHostsController } from './virtual-hosts.controller.js';

@Module({})
export class ManagementModule {
  static register(status: BrokerStatus, access: BrokerAccess): DynamicModule {
    return {
      module: ManagementModule,
      controllers: [
        ConnectionsController,
        ManagementController,
        VirtualHostsController,
        UsersController,
        PermissionsController,
        LimitsController,
        HealthController,
      ],
      providers: [
        { provide: BROKER_STATUS, useValue: status },
        { provide: BROKER_ACCESS, useValue: access },
        { provide: APP_INTERCEPTOR, useClass: DurableAnswerInterceptor },
      ],
    };
  }
}
