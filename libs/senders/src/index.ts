export { targetKinds } from './target-kinds.js';
