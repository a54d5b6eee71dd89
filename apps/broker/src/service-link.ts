/** `amqpsPort` is undefined without a certificate. */
interface ListeningPorts {
  amqpPort: number;
  amqpsPort: number | undefined;
  managementPort: number;
}

/**
 * What a broker started by the service says to it, and hears. The IPC channel carries these words and the sign of life:
 * when it closes, the service is gone and the broker ends.
 */
export class ServiceLink {
  /** `undefined`: started on its own (`npm run start:broker`). */
  static ofThisProcess(): ServiceLink | undefined {
    return process.send === undefined ? undefined : new ServiceLink();
  }

  /** `user:password` that the service made for itself at its start. */
  get account(): { user: string; password: string } | undefined {
    const [user, password] = process.env['BROKER_SERVICE_ACCOUNT']?.split(':') ?? [];
    return user !== undefined && password !== undefined ? { user, password } : undefined;
  }

  reportReady({ amqpPort, amqpsPort, managementPort }: ListeningPorts): void {
    process.send?.({ report: 'ready', amqpPort, amqpsPort, managementPort });
  }

  /** Resolves once the word is on its way, so that the process may end. */
  reportFailed(sentence: string): Promise<void> {
    return new Promise((resolve) => {
      if (process.send?.({ report: 'failed', sentence }, undefined, undefined, () => resolve()) === undefined)
        resolve();
    });
  }

  /** The service asks for the end, or is gone. */
  onStop(stop: () => void): void {
    process.on('message', (message) => {
      if (message === 'stop') stop();
    });
    process.on('disconnect', stop);
  }
}
