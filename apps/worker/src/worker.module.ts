import {
  type BeforeApplicationShutdown,
  type DynamicModule,
  Module,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { Worker, type WorkerParts } from './worker.js';

/** Starts the worker when the application is up, and stops it before the application's connections are closed. */
class WorkerLifecycle implements OnApplicationBootstrap, BeforeApplicationShutdown {
  constructor(private readonly worker: Worker) {}

  onApplicationBootstrap(): void {
    this.worker.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.worker.stop();
  }
}

@Module({})
export class WorkerModule {
  static register(parts: WorkerParts): DynamicModule {
    return {
      module: WorkerModule,
      providers: [
        { provide: Worker, useFactory: () => new Worker(parts) },
        { provide: WorkerLifecycle, useFactory: (worker: Worker) => new WorkerLifecycle(worker), inject: [Worker] },
      ],
      exports: [Worker],
    };
  }
}
