const UNIT_BYTES: Record<string, number> = {
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

/** Bytes of `50MB`, `128MiB` or `1.5 GiB`; `undefined` when it is no size. Units as RabbitMQ reads them: MB is 10⁶, MiB 2²⁰. */
export function parseSize(text: string): number | undefined {
  const [, amount, unit] = /^(\d+(?:\.\d+)?) ?([A-Za-z]+)$/.exec(text) ?? [];
  const unitBytes = UNIT_BYTES[unit ?? ''];
  if (amount === undefined || unitBytes === undefined) return undefined;
  const bytes = Math.floor(Number(amount) * unitBytes);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}
