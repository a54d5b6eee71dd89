import { brokerUrlOf, loadSettings, requireSharedDatabase, secretsOf } from '#config';
import { matcherProblem } from '#dispatch';
import { connectMessaging } from '#messaging';
import { openPersistence } from '#persistence';
import { checkTarget, targetKinds } from '#senders';
import { createLogger, Health, Metrics, runProcess } from '#telemetry';
import { createApi } from './create-api.js';

/** The api as a process of its own. */
runProcess(async (life) => {
  // Before the settings are loaded: a start that cannot succeed makes no credentials.
  requireSharedDatabase(process.env, 'api');
  const settings = await loadSettings({ environment: process.env, checkTarget, checkMatcher: matcherProblem });
  const logger = createLogger({ name: 'api', level: settings.logLevel, secrets: secretsOf(settings) });
  const persistence = await openPersistence(settings);
  life.onStop(() => persistence.close());
  const messaging = await connectMessaging({
    url: brokerUrlOf(settings),
    name: 'tocsin-api',
    logger,
    tls: settings.brokerTls,
  });
  life.onStop(() => messaging.close());
  messaging.on('failed', (error) => life.end(1, error.message));

  const health = new Health();
  health.addReady('database', () => persistence.ping());
  const { review } = persistence;
  const api = await createApi({ settings, messaging, review, targetKinds, logger, metrics: new Metrics(), health });
  life.onStop(() => api.close());
  life.announceReady('api', { http: api.url });
});
