import { unwatchFile, watchFile } from 'node:fs';
import { type BrokerConfiguration, loadBrokerSettings } from '#config';

const WATCH_MS = 2_000;

/**
 * Looks at `tocsin.yaml` while the broker runs. A file with a mistake changes nothing but the log. Returns the function that ends it.
 * @param onChanged gets the whole section; what can change without a restart is for the caller to know
 */
export function watchSettings(
  configFile: string,
  environment: NodeJS.ProcessEnv,
  onChanged: (configuration: BrokerConfiguration) => void,
  warn: (text: string) => void,
): () => void {
  const read = () => {
    try {
      onChanged(loadBrokerSettings(environment).settings.configuration);
    } catch (error) {
      warn(`the settings stay as they are: ${(error as Error).message}`);
    }
  };
  watchFile(configFile, { interval: WATCH_MS, persistent: false }, read);
  return () => unwatchFile(configFile, read);
}
