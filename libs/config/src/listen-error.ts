export interface Listener {
  /** What would listen, e.g. `AMQP`. */
  what: string;
  host: string;
  port: number;
  /** The variable that chooses the port. */
  variable: string;
}

/** Why a port could not be opened, as one sentence that says what to do; other errors pass through. */
export function listenError(error: NodeJS.ErrnoException, { what, host, port, variable }: Listener): Error {
  const sentence = sentenceOf(error.code, what, host, port, variable);
  return sentence === undefined ? error : new Error(sentence, { cause: error });
}

function sentenceOf(code: string | undefined, what: string, host: string, port: number, variable: string) {
  switch (code) {
    case 'EADDRINUSE':
      return `port ${port} for ${what} on ${host} is taken; stop what listens there, or set ${variable} (0 picks a free one)`;
    case 'EACCES':
      return `port ${port} for ${what} may not be opened by this user; set ${variable} above 1023`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `${host} is no address of this machine; set TOCSIN_HOST`;
    default:
      return undefined;
  }
}
