import {
  type BeforeApplicationShutdown,
  type DynamicModule,
  Module,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { targetKinds } from '#senders';
import { Dispatcher } from './dispatcher.js';
import type { DispatcherParts } from './dispatcher-parts.js';

/** Starts the dispatcher when the application is up, and stops it before the application's connections are closed. */
class DispatcherLifecycle implements OnApplicationBootstrap, BeforeApplicationShutdown {
  constructor(private readonly dispatcher: Dispatcher) {}

  onApplicationBootstrap(): void {
    this.dispatcher.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.dispatcher.stop();
  }
}

@Module({})
export class DispatcherModule {
  static register(parts: Omit<DispatcherParts, 'targetKinds'>): DynamicModule {
    return {
      module: DispatcherModule,
      providers: [
        { provide: Dispatcher, useFactory: () => new Dispatcher({ targetKinds, ...parts }) },
        {
          provide: DispatcherLifecycle,
          useFactory: (dispatcher: Dispatcher) => new DispatcherLifecycle(dispatcher),
          inject: [Dispatcher],
        },
      ],
      exports: [Dispatcher],
    };
  }
}
