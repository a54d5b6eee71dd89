/** A listening error as one sentence that says what to do; other errors pass through. */
export function portTaken(
  error: NodeJS.ErrnoException,
  { what, host, port, variable }: { what: string; host: string; port: number; variable: string },
): Error {
  if (error.code === 'EADDRINUSE') {
    return new Error(
      `port ${port} for ${what} is taken; stop the program that uses it, or set ${variable} to another port`,
    );
  }
  if (error.code === 'EADDRNOTAVAIL') return new Error(`${host} is no address of this machine; set TOCSIN_HOST`);
  if (error.code === 'EACCES')
    return new Error(`port ${port} for ${what} needs more rights; set ${variable} above 1023`);
  return error;
}
