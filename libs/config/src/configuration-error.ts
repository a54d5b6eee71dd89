/** One thing wrong in `tocsin.yaml`, the environment or the credentials file. */
export interface ConfigurationProblem {
  /** `tocsin.yaml:12`, or the name of the variable. */
  where: string;
  /** What is wrong and what to write instead; never a secret's value. */
  message: string;
}

/** Stops the start-up. Its message has one line for each problem: `<where>: <message>`. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';

  constructor(
    readonly problems: readonly ConfigurationProblem[],
    options?: ErrorOptions,
  ) {
    super(problems.map(({ where, message }) => `${where}: ${message}`).join('\n'), options);
  }
}
