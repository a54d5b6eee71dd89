/** Another dispatcher took a later epoch: nothing was written, and nothing may be. */
export class SupersededError extends Error {
  override readonly name = 'SupersededError';
}
