import { type DynamicModule, Module, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { AlertmanagerController } from './alertmanager/alertmanager.controller.js';
import { AlertmanagerIntake } from './alertmanager/alertmanager-intake.js';
import { AlertIntake } from './alerts/alert-intake.js';
import { AlertsController } from './alerts/alerts.controller.js';
import { API_PARTS, type ApiParts } from './api-parts.js';
import { BulkReplay } from './dead-letters/bulk-replay.js';
import { DeadLettersController } from './dead-letters/dead-letters.controller.js';
import { Replay } from './dead-letters/replay.js';
import { AlertmanagerHookController } from './hooks/alertmanager-hook.controller.js';
import { Intake } from './intake/intake.js';
import { Load } from './intake/load.js';
import { NotificationsController } from './notifications/notifications.controller.js';
import { OperationsController } from './operations/operations.controller.js';
import { Fence } from './reads/fence.js';

/** The api's parts as Nest sees them. `createApi` serves it; it does not stand alone, as hooks check credentials and load. */
@Module({})
export class ApiModule implements OnApplicationBootstrap, OnApplicationShutdown {
  constructor(
    private readonly load: Load,
    private readonly replay: Replay,
    private readonly bulk: BulkReplay,
  ) {}

  static register(parts: ApiParts): DynamicModule {
    return {
      module: ApiModule,
      controllers: [
        OperationsController,
        AlertsController,
        NotificationsController,
        AlertmanagerController,
        AlertmanagerHookController,
        DeadLettersController,
      ],
      providers: [
        { provide: API_PARTS, useValue: parts },
        { provide: Load, useValue: new Load(parts) },
        { provide: Intake, useValue: new Intake(parts) },
        { provide: AlertIntake, useFactory: (intake: Intake) => new AlertIntake(intake, parts), inject: [Intake] },
        {
          provide: AlertmanagerIntake,
          useFactory: (intake: AlertIntake) => new AlertmanagerIntake(intake, parts),
          inject: [AlertIntake],
        },
        { provide: Fence, useFactory: (intake: Intake) => new Fence(intake, parts), inject: [Intake] },
        { provide: Replay, useFactory: (intake: Intake) => new Replay(intake, parts), inject: [Intake] },
        { provide: BulkReplay, useFactory: (replay: Replay) => new BulkReplay(replay, parts), inject: [Replay] },
      ],
    };
  }

  onApplicationBootstrap(): void {
    this.load.start();
    this.replay.start();
  }

  onApplicationShutdown(): void {
    this.load.close();
    this.bulk.close();
    this.replay.close();
  }
}
