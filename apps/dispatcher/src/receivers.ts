import type { Settings } from '#config';
import {
  type DispatchOptions,
  type DispatchReceiver,
  type DispatchTarget,
  isNotificationChannel,
  type NotificationChannel,
  sealTarget,
  type TargetKind,
} from '#dispatch';
import type { DispatcherParts } from './dispatcher-parts.js';

/** The domain's options from `tocsin.yaml`. Throws as `readReceivers` does. */
export function readDispatchOptions({
  settings,
  targetKinds,
}: Pick<DispatcherParts, 'settings' | 'targetKinds'>): DispatchOptions {
  const { configuration, secretKey } = settings;
  return {
    route: configuration.route,
    receivers: readReceivers(settings, targetKinds),
    limitsOf: (channel) => targetKinds.get(channel) ?? { perTargetInFlight: 1, digestBytesMax: 0 },
    secret: secretKey,
    resolveTimeoutMs: configuration.resolveTimeoutMs,
  };
}

/**
 * The receivers of `tocsin.yaml` as the domain needs them: targets checked, named and then sealed.
 * Throws one sentence that names the target that cannot be used.
 */
export function readReceivers(
  { configuration, secretKey }: Pick<Settings, 'configuration' | 'secretKey'>,
  targetKinds: ReadonlyMap<NotificationChannel, TargetKind>,
): DispatchReceiver[] {
  return configuration.receivers.map(({ name, targets }) => ({
    name,
    targets: targets.map(({ channel, target, sendResolved }, index): DispatchTarget => {
      const where = `receiver '${name}', target ${index + 1}`;
      const kind = isNotificationChannel(channel) ? targetKinds.get(channel) : undefined;
      if (!kind)
        throw new Error(
          `${where}: unknown notification channel '${channel}'; known: ${[...targetKinds.keys()].join(', ')}`,
        );

      const parsed = kind.parse(target);
      if (!parsed.ok) {
        const problems = parsed.problems.map(({ field, message }) => `${field} ${message}`);
        throw new Error(`${where} (${channel}): ${problems.join('; ')}`);
      }
      return {
        channel: kind.channel,
        targetKey: kind.key(parsed.target),
        target: sealTarget(parsed.target, kind.secretFields, secretKey),
        sendResolved,
      };
    }),
  }));
}
