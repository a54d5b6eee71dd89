export { checkTarget } from './check-target.js';
export { createSenders, type SenderSettings } from './create-senders.js';
export { targetKinds } from './target-kinds.js';
