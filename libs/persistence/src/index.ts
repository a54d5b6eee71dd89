export { type Connection, openPersistence, type Persistence } from './open-persistence.js';
