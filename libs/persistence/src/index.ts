export { type Connection, openPersistence, type Persistence } from './open-persistence.js';
export { openPersistenceInThread } from './thread/open-in-thread.js';
